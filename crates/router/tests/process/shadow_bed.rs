//! Instances that answer as a test says, and keep what they were asked.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What an instance was asked: the head and the body.
pub(crate) type Asked = (String, Vec<u8>);
/// Makes the whole answer; an empty one closes the connection without any.
type Answering = dyn Fn(&str, &[u8]) -> Vec<u8> + Send + Sync;

/// An instance.
pub(crate) struct Instance {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    over: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Instance {
    pub(crate) fn start(answer: impl Fn(&str, &[u8]) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, over) = (Arc::<Mutex<Vec<Asked>>>::default(), Arc::new(AtomicBool::new(false)));
        let (keeps, ends) = (Arc::clone(&asked), Arc::clone(&over));
        let answer: Arc<Answering> = Arc::new(answer);
        let acceptor = std::thread::spawn(move || {
            let mut served = Vec::new();
            for stream in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    break;
                }
                let (keeps, ends, answer) = (Arc::clone(&keeps), Arc::clone(&ends), Arc::clone(&answer));
                served.push(std::thread::spawn(move || serve(stream.unwrap(), &keeps, &ends, &*answer)));
            }
            drop(listener);
            served.into_iter().for_each(|thread| thread.join().unwrap());
        });
        Self { address, asked, over, acceptor: Some(acceptor) }
    }

    /// What it was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The copies among it.
    pub(crate) fn copies(&self) -> Vec<Asked> {
        self.asked().into_iter().filter(|(head, _)| head.contains("\r\nX-Switchover-Shadow: 1\r\n")).collect()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.join().unwrap();
        }
    }
}

fn serve(mut stream: TcpStream, keeps: &Mutex<Vec<Asked>>, over: &AtomicBool, answer: &Answering) {
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let mut held = Vec::new();
    let mut read = |held: &mut Vec<u8>| {
        let mut bytes = [0; 16 * 1024];
        while !over.load(Ordering::SeqCst) {
            match stream.read(&mut bytes) {
                Ok(0) => return None,
                Ok(count) => {
                    held.extend_from_slice(&bytes[..count]);
                    return Some(());
                }
                Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                }
                Err(_) => return None,
            }
        }
        None
    };
    loop {
        let head_bytes = loop {
            match held.windows(4).position(|end| end == b"\r\n\r\n") {
                Some(at) => break at + 4,
                None if read(&mut held).is_some() => {}
                None => return,
            }
        };
        let head = String::from_utf8(held.drain(..head_bytes).collect()).unwrap();
        let length = head.to_ascii_lowercase().split("content-length: ").nth(1).map(str::to_owned);
        let length: usize = length.map_or(0, |rest| rest.split("\r\n").next().unwrap().parse().unwrap());
        while held.len() < length {
            if read(&mut held).is_none() {
                return;
            }
        }
        let body: Vec<u8> = held.drain(..length).collect();
        keeps.lock().unwrap().push((head.clone(), body.clone()));
        let answer = answer(&head, &body);
        if answer.is_empty() || writer.write_all(&answer).is_err() {
            return;
        }
    }
}

/// An answer with these fields and this body.
pub(crate) fn answer(status: u16, fields: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 {status} X\r\n{fields}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend_from_slice(body);
    answer
}

/// An answer of JSON.
pub(crate) fn json(body: &str) -> Vec<u8> {
    answer(200, "Content-Type: application/json\r\n", body.as_bytes())
}
