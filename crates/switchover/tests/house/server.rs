//! A server that is asked by what is under test: it answers as a test says and keeps what it was asked.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::Value;

/// One request that was read whole.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Method, path and version.
    pub line: String,
    /// The fields with their names in lower case.
    pub fields: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Asked {
    /// The value of a field.
    pub fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// What a server does with a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A status and a body.
    Says(u16, String),
    /// A redirect to there.
    Leads(String),
    /// Nothing, for as long as the test runs.
    Hangs,
}

/// A server on a port of this machine.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    asked: Vec<Asked>,
    next: VecDeque<Reply>,
    then: Option<Reply>,
    held: Vec<TcpStream>,
}

impl Server {
    /// A server that gives these replies one after the other, and the last one from then on.
    pub fn start(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        Self::on(&listener, replies)
    }

    /// The same on a listener that is there.
    pub fn on(listener: &TcpListener, replies: Vec<Reply>) -> Self {
        let address = listener.local_addr().expect("an address");
        let listener = listener.try_clone().expect("the listener");
        let kept = Arc::new(Mutex::new(Kept { next: replies.into(), ..Kept::default() }));
        let theirs = Arc::clone(&kept);
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let theirs = Arc::clone(&theirs);
                std::thread::spawn(move || serve(stream, &theirs));
            }
        });
        Self { address, kept }
    }

    /// What it answers from now on.
    pub fn answer(&self, reply: Reply) {
        let mut kept = lock(&self.kept);
        kept.next.clear();
        kept.then = Some(reply);
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.kept).asked.clone()
    }

    /// A URL of it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn serve(mut stream: TcpStream, kept: &Mutex<Kept>) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
    let Some(asked) = read(&stream) else { return };
    let reply = {
        let mut kept = lock(kept);
        kept.asked.push(asked);
        if let Some(next) = kept.next.pop_front() {
            kept.then = Some(next);
        }
        kept.then.clone().unwrap_or(Reply::Says(200, String::new()))
    };
    let (status, more, body) = match reply {
        Reply::Says(status, body) => (status, String::new(), body),
        Reply::Leads(to) => (302, format!("Location: {to}\r\n"), String::new()),
        Reply::Hangs => {
            lock(kept).held.push(stream);
            return;
        }
    };
    let head = format!("HTTP/1.1 {status} S\r\n{more}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    // Nothing, where who asked has gone before it said anything.
    (reader.read_line(&mut line).ok()? > 0).then_some(())?;
    let mut fields = Vec::new();
    loop {
        let mut field = String::new();
        reader.read_line(&mut field).ok()?;
        match field.trim_end().split_once(": ") {
            Some((name, value)) => fields.push((name.to_lowercase(), value.to_owned())),
            None => break,
        }
    }
    let length = fields.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { line: line.trim_end().to_owned(), fields, body: String::from_utf8(body).ok()? })
}
