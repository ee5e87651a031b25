//! Runs a build or a hook: a command in its own process group, with a time limit and bounded output, of which nothing is
//! left behind when it ends, runs out of time or is no longer wanted.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use crate::environment::Variables;
use crate::instance::Exit;
use crate::output::{LastLines, RotatingLog};
use crate::processes::{self, Identity};
use crate::shell;

/// How long output is waited for when the command has ended and its group was killed.
const LAST_OUTPUT: Duration = Duration::from_secs(1);

/// What a pipe takes without a reader (pipe(7), "Pipe capacity"), and so the most that a command is given to read.
const INPUT_BYTES: usize = 64 * 1024;

/// A command to run.
pub(crate) struct Run<'a> {
    pub(crate) command: &'a str,
    pub(crate) directory: &'a Path,
    pub(crate) variables: Variables,
    /// A variable and value that no other run has: by it, what is left of a run that nobody saw end is found.
    pub(crate) mark: (&'static str, String),
    pub(crate) timeout: Duration,
    /// Where the whole output goes, where it is kept.
    pub(crate) log: Option<PathBuf>,
    /// What it prints on its standard output is its answer, and no longer than this.
    pub(crate) answers: Option<usize>,
    /// What it reads from its standard input: at most [`INPUT_BYTES`].
    pub(crate) input: Option<&'a [u8]>,
}

/// How it went.
pub(crate) struct Ran {
    /// Nothing when it ran out of time.
    pub(crate) exit: Option<Exit>,
    pub(crate) last_lines: Vec<String>,
    /// Its standard output, where that is an answer.
    pub(crate) answer: Vec<u8>,
}

/// The standard output of a command that answers.
struct Answer {
    from: Option<pipe::Receiver>,
    text: Vec<u8>,
    most: usize,
}

impl Answer {
    /// Reads on; never done when there is nothing to read from. Cancellation safe.
    async fn read(&mut self, chunk: &mut [u8]) -> io::Result<()> {
        let Some(from) = &mut self.from else { return std::future::pending().await };
        let read = from.read(chunk).await?;
        if read == 0 {
            self.from = None;
        }
        if self.text.len() + read > self.most {
            return Err(io::Error::other(format!("the command prints more than {} bytes", self.most)));
        }
        self.text.extend_from_slice(&chunk[..read]);
        Ok(())
    }
}

/// Kills a process group, and what has left it but is known by the run's mark, when dropped.
struct Group {
    leader: Option<Pid>,
    mark: (&'static str, String),
}

/// How often a dropped run is looked for: what was just being forked is found by the next look. The next run with the same
/// mark looks again.
const DROP_ROUNDS: u32 = 3;

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.leader {
            // Gone already is fine.
            let _ = kill_process_group(group, Signal::KILL);
        }
        for _ in 0..DROP_ROUNDS {
            let left = processes::members(None, Some((self.mark.0, &self.mark.1)));
            if left.is_empty() {
                return;
            }
            for process in left {
                let _ = process.signal(Signal::KILL);
            }
        }
    }
}

/// Runs `run` to its end or time limit.
///
/// Guarantees: its process group and whatever carries its mark are killed in every case, also when the future is dropped; a run with the same mark that
/// an earlier controller has left behind is killed first. Errors: among others, one of these cannot be killed.
pub(crate) async fn run(run: Run<'_>) -> io::Result<Ran> {
    let (name, value) = (run.mark.0, run.mark.1.clone());
    kill_marked(name, &value).await?;
    let mut log = match run.log {
        Some(path) => {
            // The log of this run alone.
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
            Some(RotatingLog::open(path)?)
        }
        None => None,
    };
    let mut command = tokio::process::Command::from(shell::command(&shell::line(run.command), run.directory));
    command
        .envs(run.variables)
        .env(run.mark.0, run.mark.1)
        .stdin(given(run.input)?)
        .process_group(0)
        .kill_on_drop(true);
    let (mut output, mut answer) = listen(&mut command, run.answers)?;
    let spawned = command.spawn();
    // The command holds the writing ends; with them open here the output would never end.
    drop(command);
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            let exit = Exit::NotStarted(shell::cannot_start(&error, run.directory));
            return Ok(Ran { exit: Some(exit), last_lines: Vec::new(), answer: Vec::new() });
        }
    };
    let process = child.id().and_then(|pid| Identity::of(i32::try_from(pid).ok()?));
    let process = process.ok_or_else(|| io::Error::other("the command is not in the process table"))?;
    let group = Group { leader: Pid::from_raw(process.pid), mark: (name, value.clone()) };
    let mut last_lines = LastLines::for_a_problem();
    let mut chunk = vec![0; 64 * 1024];
    let mut part = vec![0; if run.answers.is_some() { 64 * 1024 } else { 0 }];
    let deadline = tokio::time::Instant::now() + run.timeout;
    let mut is_open = true;
    let ended = process.ended();
    tokio::pin!(ended);
    let has_ended = loop {
        tokio::select! {
            ended = &mut ended => {
                ended?;
                break true;
            }
            () = tokio::time::sleep_until(deadline) => break false,
            read = output.read(&mut chunk), if is_open => match read? {
                0 => is_open = false,
                read => take(&chunk[..read], &mut last_lines, &mut log),
            },
            read = answer.read(&mut part) => read?,
        }
    };
    // Before its exit status is taken: from then on its number, and the group's, may be someone else's.
    drop(group);
    let exit = if has_ended { Some(exit_of(child.wait().await?)) } else { None };
    kill_marked(name, &value).await?;
    let rest = async {
        while is_open && let Ok(read @ 1..) = output.read(&mut chunk).await {
            take(&chunk[..read], &mut last_lines, &mut log);
        }
        while answer.from.is_some() && answer.read(&mut part).await.is_ok() {}
    };
    // Whoever still holds the pipe then has left the group and changed its environment.
    let _ = tokio::time::timeout(LAST_OUTPUT, rest).await;
    Ok(Ran { exit, last_lines: last_lines.finish(), answer: answer.text })
}

/// The standard input of a command that is given something to read, or of one that is not.
fn given(input: Option<&[u8]>) -> io::Result<Stdio> {
    let Some(input) = input else { return Ok(Stdio::null()) };
    if input.len() > INPUT_BYTES {
        return Err(io::Error::other(format!("a command is given at most {INPUT_BYTES} bytes to read")));
    }
    let (reader, mut writer) = io::pipe()?;
    writer.write_all(input)?;
    Ok(Stdio::from(reader))
}

/// What the command says, and its answer where it gives one of at most so many bytes.
fn listen(command: &mut tokio::process::Command, most: Option<usize>) -> io::Result<(pipe::Receiver, Answer)> {
    let (output, writer) = io::pipe()?;
    let output = pipe::Receiver::from_owned_fd(OwnedFd::from(output))?;
    let mut answer = Answer { from: None, text: Vec::new(), most: most.unwrap_or_default() };
    command.stderr(writer.try_clone()?);
    if most.is_some() {
        let (from, writer) = io::pipe()?;
        answer.from = Some(pipe::Receiver::from_owned_fd(OwnedFd::from(from))?);
        command.stdout(writer);
    } else {
        command.stdout(writer);
    }
    Ok((output, answer))
}

/// Kills whatever carries the mark. Errors: something of it outlives that.
async fn kill_marked(name: &str, value: &str) -> io::Result<()> {
    if processes::kill_all(|| processes::members(None, Some((name, value)))).await {
        return Ok(());
    }
    Err(io::Error::other(format!("a process with {name}={value} cannot be killed: the kernel holds it")))
}

fn take(chunk: &[u8], last_lines: &mut LastLines, log: &mut Option<RotatingLog>) {
    last_lines.push(chunk);
    if let Some(log) = log {
        // What the disk does not take is lost: the last lines are kept in memory.
        let _ = log.write(chunk);
    }
}

fn exit_of(status: std::process::ExitStatus) -> Exit {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(number)) => Exit::Signal(number),
        (None, None) => Exit::Unseen,
    }
}
