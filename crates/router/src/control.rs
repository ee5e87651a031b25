//! The control socket: who may speak to the router, and in which order it listens.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use switchover_model::Problem;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::wire::{Answer, Command, LINE_BYTES_MAX, Request, WIRE_VERSION};

/// Clients at once.
pub(crate) const CLIENTS_MAX: usize = 64;
/// Commands that wait for the switchboard.
pub(crate) const COMMANDS_MAX: usize = 64;
/// How long a client may take to send the rest of a line, or to take an answer.
const LINE_TIME: Duration = Duration::from_secs(5);
/// The socket's name in the router's directory.
const SOCKET: &str = "control.sock";

/// A command and where its answer goes.
pub(crate) type Asked = (Command, oneshot::Sender<Answer>);

/// A short way to the socket: its address may have 107 bytes only, a state directory's path may be longer.
#[derive(Debug)]
pub(crate) struct SocketPath {
    path: PathBuf,
    /// Keeps the short way open.
    _directory: File,
}

impl SocketPath {
    pub(crate) fn in_directory(directory: &Path) -> io::Result<Self> {
        let opened = File::open(directory)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", opened.as_raw_fd())).join(SOCKET);
        Ok(Self { path, _directory: opened })
    }

    pub(crate) fn as_path(&self) -> &Path {
        &self.path
    }
}

/// Opens the socket for this user alone. A socket file that a killed predecessor left is replaced.
///
/// Assumes: the caller holds the directory's lock, so no living router listens there.
pub(crate) fn listen(directory: &Path) -> io::Result<UnixListener> {
    let path = SocketPath::in_directory(directory)?;
    remove(directory)?;
    let listener = UnixListener::bind(path.as_path())?;
    std::fs::set_permissions(path.as_path(), std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Removes the socket's file.
pub(crate) fn remove(directory: &Path) -> io::Result<()> {
    match std::fs::remove_file(directory.join(SOCKET)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Serves clients for ever; drop it to end.
pub(crate) async fn serve(listener: UnixListener, switchboard: mpsc::Sender<Asked>) {
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if clients.len() < CLIENTS_MAX => match accepted {
                Ok((stream, _)) if is_welcome(&stream) => {
                    clients.spawn_local(converse(stream, switchboard.clone()));
                }
                Ok(_) => tracing::warn!("a stranger at the control socket was turned away"),
                Err(error) => {
                    tracing::warn!(%error, "control connections can not be accepted now");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = clients.join_next(), if !clients.is_empty() => {}
        }
    }
}

/// The router's own user and root.
fn is_welcome(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
}

async fn converse(stream: UnixStream, switchboard: mpsc::Sender<Asked>) {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    while let Some(line) = read_line(&mut reader).await {
        let (answer, in_short) = match understood(&line) {
            Ok(command) => {
                let in_short = matches!(command, Command::Observe { in_short: true, .. });
                (ask(&switchboard, command).await, in_short)
            }
            Err(problem) => (Answer::Refused(problem), false),
        };
        let Ok(mut text) = answer.write(in_short) else { return };
        text.push(b'\n');
        if !matches!(tokio::time::timeout(LINE_TIME, writer.write_all(&text)).await, Ok(Ok(()))) {
            return;
        }
    }
}

async fn ask(switchboard: &mpsc::Sender<Asked>, command: Command) -> Answer {
    let (sender, answer) = oneshot::channel();
    let ending = || Answer::Failed { cause: "the router ends".to_owned() };
    if switchboard.send((command, sender)).await.is_err() {
        return ending();
    }
    answer.await.unwrap_or_else(|_| ending())
}

/// A whole line; nothing at the end, after an error, or when the line is too long or too slow.
async fn read_line(reader: &mut BufReader<tokio::net::unix::OwnedReadHalf>) -> Option<Vec<u8>> {
    // Between two lines a client may be silent for as long as it likes.
    reader.fill_buf().await.ok().filter(|bytes| !bytes.is_empty())?;
    let mut line = Vec::new();
    let mut bounded = reader.take(LINE_BYTES_MAX as u64);
    let read = tokio::time::timeout(LINE_TIME, bounded.read_until(b'\n', &mut line)).await;
    (matches!(read, Ok(Ok(_))) && line.last() == Some(&b'\n')).then_some(line)
}

fn understood(line: &[u8]) -> Result<Command, Problem> {
    #[derive(serde::Deserialize)]
    struct Spoken {
        version: u32,
    }
    let malformed = |error: serde_json::Error| {
        Problem::new(
            "ROUTER-WIRE",
            format!("the router does not understand what it was sent: {error}."),
            "Run the same version of switchover everywhere.",
        )
    };
    let spoken: Spoken = serde_json::from_slice(line).map_err(malformed)?;
    if spoken.version != WIRE_VERSION {
        return Err(Problem::new(
            "ROUTER-VERSION",
            format!("the router speaks version {WIRE_VERSION} of its language, not {}.", spoken.version),
            "Restart the router with the version of switchover that the daemon has.",
        ));
    }
    serde_json::from_slice::<Request>(line).map(|request| request.command).map_err(malformed)
}
