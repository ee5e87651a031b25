//! The sample app as a program.

use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::serve::{Ending, serve};
use super::settings::{Settings, SettingsError};
use super::worker::{Work, work};

/// How the program is called.
pub const USAGE: &str = "\
sample-app [--version V] [--sick LIST] [--port N]
    serves 127.0.0.1:$PORT until SIGTERM
sample-app work NAME --log FILE [--spool DIR] [--version V] [--sick LIST]
    takes jobs from a spool ($SAMPLE_SPOOL) until SIGTERM
sick: never-healthy redirects-health wants-host=HOST hangs-health exits=CODE ignores-sigterm
      floods=BYTES boots-in=MS crashes-after=N";

/// Exit code of a program called wrongly.
const WRONG_USE: u8 = 64;
/// Exit code of an app that crashed on order (EX_SOFTWARE).
const CRASHED: u8 = 70;
/// Exit code of an app that could not listen, read or write.
const BROKEN: u8 = 74;

#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error("{0}\n{USAGE}")]
    Settings(#[from] SettingsError),
    #[error("PORT is not set to a port number\n{USAGE}")]
    NoPort,
    #[error("a worker wants {0}\n{USAGE}")]
    WorkerWants(&'static str),
    #[error("{what}: {error}")]
    Io { what: String, error: io::Error },
}

/// Runs the program with `arguments` (without the program's own name) to its end, on a runtime of its own.
///
/// It writes to this process's output as any app would.
pub fn command(arguments: impl Iterator<Item = String>) -> ExitCode {
    match run(arguments) {
        Ok(code) => code,
        Err(error) => {
            say(&format!("sample-app: {error}"));
            match error {
                CommandError::Settings(_) | CommandError::NoPort | CommandError::WorkerWants(_) => {
                    ExitCode::from(WRONG_USE)
                }
                CommandError::Io { .. } => ExitCode::from(BROKEN),
            }
        }
    }
}

fn run(arguments: impl Iterator<Item = String>) -> Result<ExitCode, CommandError> {
    let arguments = Arguments::parse(arguments)?;
    let env = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let settings = Settings::gather(arguments.version, arguments.sick, env, Path::new("."))?;
    if let Some(code) = settings.sickness.exits {
        say("sample-app: cannot reach the database at 127.0.0.1:1");
        say("sample-app: giving up");
        return Ok(ExitCode::from(code));
    }
    flood(settings.sickness.floods_bytes).map_err(|error| CommandError::Io { what: "output".into(), error })?;
    let boots_in = settings.sickness.boots_in;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::Io { what: "runtime".into(), error })?;
    let stop = stop_signal(&runtime, settings.sickness.ignores_sigterm)
        .map_err(|error| CommandError::Io { what: "signals".into(), error })?;
    match arguments.work {
        Some(name) => {
            let task = Work {
                name,
                revision: settings.revision,
                spool: arguments.spool.or(settings.spool).ok_or(CommandError::WorkerWants("--spool DIR"))?,
                log: arguments.log.ok_or(CommandError::WorkerWants("--log FILE"))?,
                role_file: env("SWITCHOVER_ROLE_FILE").map(PathBuf::from),
                lease: env("SWITCHOVER_LEASE").map(PathBuf::from),
            };
            runtime.block_on(async move {
                tokio::time::sleep(boots_in).await;
                say(&format!("sample-app worker {} of {}", task.name, task.revision));
                work(task, stop).await.map_err(|error| CommandError::Io { what: "worker".into(), error })?;
                Ok(ExitCode::SUCCESS)
            })
        }
        None => {
            let port = arguments.port.or_else(|| env("PORT")).and_then(|port| port.parse().ok());
            let port: u16 = port.ok_or(CommandError::NoPort)?;
            runtime.block_on(async move {
                tokio::time::sleep(boots_in).await;
                let listener = TcpListener::bind(("127.0.0.1", port))
                    .await
                    .map_err(|error| CommandError::Io { what: format!("cannot listen on port {port}"), error })?;
                let port = listener.local_addr().map_or(port, |address| address.port());
                say(&format!("sample-app {} ({}) listens on 127.0.0.1:{port}", settings.version, settings.revision));
                Ok(match serve(settings, listener, stop).await {
                    Ending::Finished => {
                        say("sample-app has finished");
                        ExitCode::SUCCESS
                    }
                    Ending::Cut => ExitCode::from(BROKEN),
                    Ending::Crashed => {
                        say("sample-app: this should never happen");
                        ExitCode::from(CRASHED)
                    }
                })
            })
        }
    }
}

/// Completes at SIGTERM or SIGINT; with `ignored`, at SIGINT only.
///
/// The signals are caught from here on: one that comes while the app boots ends it when it has booted.
fn stop_signal(runtime: &tokio::runtime::Runtime, ignored: bool) -> io::Result<impl Future<Output = ()> + use<>> {
    let _inside = runtime.enter();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {
                    if !ignored {
                        return;
                    }
                    say("sample-app ignores SIGTERM");
                }
                _ = interrupt.recv() => return,
            }
        }
    })
}

/// Prints so many bytes as fast as the reader takes them.
fn flood(mut bytes: u64) -> io::Result<()> {
    const LINE: &[u8; 100] =
        b"what an app prints when its debug log was left on: line after line after line after line of nothing\n";
    let block = LINE.repeat(640);
    let mut output = io::stdout().lock();
    while bytes > 0 {
        let size = usize::try_from(bytes).unwrap_or(block.len()).min(block.len());
        output.write_all(&block[..size])?;
        bytes -= size as u64;
    }
    output.flush()
}

/// One line of the app's output; an output that nobody reads any more is no reason to fail.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

#[derive(Debug, Default)]
struct Arguments {
    work: Option<String>,
    version: Option<String>,
    sick: Option<String>,
    port: Option<String>,
    log: Option<PathBuf>,
    spool: Option<PathBuf>,
}

impl Arguments {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, SettingsError> {
        let mut parsed = Self::default();
        while let Some(argument) = arguments.next() {
            let (name, inline) = match argument.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (argument, None),
            };
            let mut value =
                || inline.clone().or_else(|| arguments.next()).ok_or(SettingsError::MissingValue(name.clone()));
            match name.as_str() {
                "work" => parsed.work = Some(value()?),
                "--version" => parsed.version = Some(value()?),
                "--sick" => parsed.sick = Some(value()?),
                "--port" => parsed.port = Some(value()?),
                "--log" => parsed.log = Some(value()?.into()),
                "--spool" => parsed.spool = Some(value()?.into()),
                _ => return Err(SettingsError::UnknownArgument(name)),
            }
        }
        Ok(parsed)
    }
}
