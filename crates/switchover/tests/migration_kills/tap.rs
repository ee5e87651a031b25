//! What stands between the tool and its server, and kills one of them.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Passes everything on and counts the statements by which the server has changed something; after one of them it kills.
pub(crate) struct Tap {
    directory: tempfile::TempDir,
    answered: Arc<AtomicUsize>,
}

type Killing = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

impl Tap {
    /// Kills when so many statements are answered, before the tool learns of the last one.
    pub(crate) fn before(socket: PathBuf, at: usize, kill: impl FnOnce() + Send + 'static) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join(".s.PGSQL.5432")).unwrap();
        let answered = Arc::new(AtomicUsize::new(0));
        let kill: Killing = Arc::new(Mutex::new(Some(Box::new(kill))));
        let counting = Arc::clone(&answered);
        std::thread::spawn(move || {
            // Ends with the directory: nobody can connect any more, and the process ends.
            for client in listener.incoming().flatten() {
                let Ok(server) = UnixStream::connect(&socket) else { continue };
                let (client_reads, server_writes) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || pass(client_reads, server_writes));
                let (answered, kill) = (Arc::clone(&counting), Arc::clone(&kill));
                std::thread::spawn(move || count(server, client, &answered, at, &kill));
            }
        });
        Self { directory, answered }
    }

    pub(crate) fn url(&self, database: &str) -> String {
        let host = self.directory.path().display().to_string().replace('/', "%2F");
        format!("postgresql://postgres@{host}/{database}")
    }

    pub(crate) fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }
}

fn pass(mut from: UnixStream, mut to: UnixStream) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

/// Tags of statements after which the server is as it was before.
const READING: &[&str] =
    &["SELECT", "SHOW", "SET", "BEGIN", "RESET", "FETCH", "DECLARE CURSOR", "CLOSE CURSOR", "SAVEPOINT"];

/// Passes the server's messages on: a byte that says what it is, four that say how long (PostgreSQL's manual, 55.2); `C` says
/// what a statement did, `Z` that the next one may come.
fn count(mut server: UnixStream, mut client: UnixStream, answered: &AtomicUsize, at: usize, kill: &Killing) {
    let mut head = [0; 5];
    let mut has_changed = false;
    while server.read_exact(&mut head).is_ok() {
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let mut rest = vec![0; length.saturating_sub(4)];
        if server.read_exact(&mut rest).is_err() {
            break;
        }
        if head[0] == b'C' {
            let tag = String::from_utf8_lossy(&rest);
            has_changed |= !READING.iter().any(|reading| tag.starts_with(reading));
        }
        if head[0] == b'Z' && std::mem::take(&mut has_changed) && answered.fetch_add(1, Ordering::SeqCst) + 1 == at {
            if let Some(kill) = kill.lock().unwrap().take() {
                kill();
            }
            break;
        }
        if client.write_all(&head).and_then(|()| client.write_all(&rest)).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}
