//! A small web app without any library: each argument orders one behaviour.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

/// Runs the app: `status=N`, `location=URL`, `wants-host=HOST`, `hangs`, `boots-in=MS`, `floods=BYTES`, `exits=CODE`,
/// `says=TEXT`, `never-listens`, `leaves-child`, `listens-elsewhere`, `env`, `worker`, `leased`.
pub(crate) fn run(faults: &[&str]) -> ExitCode {
    let value = |name: &str| faults.iter().find_map(|fault| fault.strip_prefix(name)?.strip_prefix('='));
    let has = |name: &str| faults.contains(&name);
    if let Some(text) = value("says") {
        println!("{text}");
    }
    if has("env") {
        for (name, value) in std::env::vars() {
            println!("{name}={value}");
        }
    }
    if let Some(bytes) = value("floods") {
        flood(bytes.parse().unwrap());
    }
    if has("leaves-child") {
        let mut child = std::process::Command::new("sh");
        child.args(["-c", "trap '' TERM; setsid sh -c 'trap \"\" TERM; sleep 300' & sleep 300"]);
        child.spawn().unwrap();
    }
    if let Some(code) = value("exits") {
        eprintln!("exiting with {code}");
        return ExitCode::from(code.parse::<u8>().unwrap());
    }
    std::thread::sleep(Duration::from_millis(value("boots-in").map_or(0, |millis| millis.parse().unwrap())));
    if has("worker") {
        println!("working");
        loop {
            std::thread::sleep(Duration::from_secs(3600));
        }
    }
    if has("leased") {
        work_by_lease();
    }
    if has("never-listens") {
        loop {
            std::thread::sleep(Duration::from_secs(3600));
        }
    }
    let port: u16 = std::env::var("PORT").unwrap().parse().unwrap();
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    println!("listening on {port}");
    for stream in listener.incoming().flatten() {
        let status = value("status").unwrap_or("200").to_owned();
        let wants_host = value("wants-host").map(str::to_owned);
        let location = value("location").map(str::to_owned);
        let hangs = has("hangs");
        std::thread::spawn(move || {
            answer(stream, &status, wants_host.as_deref(), location.as_deref(), hangs);
        });
    }
    ExitCode::SUCCESS
}

fn answer(mut stream: TcpStream, status: &str, wants_host: Option<&str>, location: Option<&str>, hangs: bool) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut host = String::new();
    let mut request = String::new();
    reader.read_line(&mut request).unwrap();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) <= 2 {
            break;
        }
        if let Some(value) = line.strip_prefix("Host: ") {
            value.trim().clone_into(&mut host);
        }
    }
    if request.contains("/crash") {
        std::process::exit(9);
    }
    if hangs {
        // Until the prober gives up.
        let _ = reader.read(&mut [0]);
        return;
    }
    let status = if wants_host.is_some_and(|wanted| wanted != host) { "400" } else { status };
    let location = location.map(|to| format!("Location: {to}\r\n")).unwrap_or_default();
    let head = format!("HTTP/1.1 {status} X\r\n{location}Content-Length: 3\r\nConnection: close\r\n\r\nok\n");
    let _ = stream.write_all(head.as_bytes());
}

/// Prints `bytes` bytes as fast as it can, the last line telling so.
fn flood(bytes: usize) {
    let line = [b"0123456789abcdef".repeat(63), b"\n".to_vec()].concat();
    let mut out = std::io::stdout().lock();
    let mut sent = 0;
    while sent < bytes {
        out.write_all(&line).unwrap();
        sent += line.len();
    }
    writeln!(out, "flooded").unwrap();
    out.flush().unwrap();
}

/// Holds the lease shared while its role is active, looking every 10 ms; lets go 300 ms after it was told to stand by, as
/// if a job had to be finished.
fn work_by_lease() -> ! {
    let lease = std::env::var("SWITCHOVER_LEASE").unwrap();
    let role = std::env::var("SWITCHOVER_ROLE_FILE").unwrap();
    let mut held: Option<File> = None;
    loop {
        let is_active = std::fs::read_to_string(&role).unwrap().trim() == "active";
        if is_active && held.is_none() {
            let file = OpenOptions::new().create(true).append(true).open(&lease).unwrap();
            file.lock_shared().unwrap();
            println!("working");
            held = Some(file);
        }
        if !is_active && held.is_some() {
            std::thread::sleep(Duration::from_millis(300));
            held = None;
            println!("standing by");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
