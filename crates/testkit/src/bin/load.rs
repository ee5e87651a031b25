//! The load driver as a program: `load ADDRESS [--quick 32 ...]`; prints the report as JSON when it ends.
//!
//! It ends after `--lasts` or `--requests`, or at SIGINT or SIGTERM, and exits with 1 when users have a complaint.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program's output")]

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use switchover_testkit::load::{Expect, Plan, Report, start};
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "\
load ADDRESS [FLAG VALUE]...
  --host NAME             the Host field (default: the address)
  --any-app               against an app that is not the sample app: any answer below 500 will do
  --path PATH             what quick users ask for (default: /version)
  users:  --quick N --single N --slow N --streams N --events N --uploads N --websockets N --aborts N
          --every-kind    32 quick, 8 slow, 4 streams, 4 uploads of 1 MiB, 20 WebSockets
  paces:  --think TIME (on average) --slow-takes TIME --stream-takes TIME --stream-every TIME --rest TIME
          --websocket-every TIME --abort-after TIME --upload-bytes N
  ends:   --lasts TIME --requests N --timeout TIME
TIME is a number with ms, s or m, such as 250ms.";

fn main() -> ExitCode {
    let plan = match plan(std::env::args().skip(1)) {
        Ok(plan) => plan,
        Err(error) => {
            eprintln!("load: {error}\n{USAGE}");
            return ExitCode::from(64);
        }
    };
    let report = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .and_then(|runtime| runtime.block_on(run(plan)));
    match report.map(|report| (report.complaints(), serde_json::to_string_pretty(&report))) {
        Ok((complaints, Ok(json))) => {
            println!("{json}");
            for complaint in &complaints {
                eprintln!("load: {complaint}");
            }
            ExitCode::from(u8::from(!complaints.is_empty()))
        }
        Ok((_, Err(error))) => failed(&error),
        Err(error) => failed(&error),
    }
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("load: {error}");
    ExitCode::from(74)
}

async fn run(plan: Plan) -> std::io::Result<Report> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut running = start(plan);
    tokio::select! {
        () = running.ended() => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(running.stop().await)
}

fn plan(mut arguments: impl Iterator<Item = String>) -> Result<Plan, String> {
    let address = arguments.next().ok_or("which address?")?;
    let address: SocketAddr =
        address.parse().map_err(|_| format!("`{address}` is no address such as 127.0.0.1:8080"))?;
    let mut plan = Plan::nobody(address, &address.to_string());
    while let Some(name) = arguments.next() {
        match name.as_str() {
            "--any-app" => {
                plan.expects = Expect::AnyApp;
                continue;
            }
            "--every-kind" => {
                let Plan { quick, slow, streams, uploads, websockets, .. } = Plan::of_every_kind(address, "");
                plan = Plan { quick, slow, streams, uploads, websockets, ..plan };
                continue;
            }
            _ => {}
        }
        let value = arguments.next().ok_or_else(|| format!("`{name}` wants a value"))?;
        let count = || value.parse::<usize>().map_err(|_| format!("`{name}` wants a number"));
        let time = || duration(&value).ok_or_else(|| format!("`{name}` wants a time such as 250ms"));
        match name.as_str() {
            "--host" => plan.host = value,
            "--path" => plan.quick_path = value,
            "--quick" => plan.quick = count()?,
            "--single" => plan.single = count()?,
            "--slow" => plan.slow = count()?,
            "--streams" => plan.streams = count()?,
            "--events" => plan.events = count()?,
            "--uploads" => plan.uploads = count()?,
            "--websockets" => plan.websockets = count()?,
            "--aborts" => plan.aborts = count()?,
            "--upload-bytes" => plan.upload_bytes = count()?,
            "--requests" => plan.requests = Some(count()? as u64),
            "--think" => plan.think = time()?,
            "--slow-takes" => plan.slow_takes = time()?,
            "--stream-takes" => plan.stream_takes = time()?,
            "--stream-every" => plan.stream_every = time()?,
            "--rest" => plan.rest = time()?,
            "--websocket-every" => plan.websocket_every = time()?,
            "--abort-after" => plan.abort_after = time()?,
            "--timeout" => plan.timeout = time()?,
            "--lasts" => plan.lasts = Some(time()?),
            _ => return Err(format!("unknown flag `{name}`")),
        }
    }
    Ok(plan)
}

fn duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let millis = match &text[digits..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.checked_mul(millis)?))
}
