//! The parts of this program that are not for people: each is a process of its own, started by the daemon or the demo.
//!
//! They are found before the command line is read, so that an instance's start pays for nothing else.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use switchover_router::RouterOptions;

use crate::{log, say};

/// Runs the inner part that the first argument names; nothing when it names none.
pub(crate) fn run() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next()?.to_str()? {
        "shim" => Some(shim(arguments)),
        "router" => Some(router(arguments)),
        #[cfg(feature = "demo")]
        "sample-app" => {
            let arguments = arguments.map(|argument| argument.to_string_lossy().into_owned());
            Some(switchover_testkit::sample::command(arguments))
        }
        _ => None,
    }
}

/// The process beside an instance.
#[derive(Debug, Parser)]
#[command(name = "switchover shim", no_binary_name = true)]
struct Shim {
    /// The instance's directory
    #[arg(long)]
    dir: PathBuf,
}

fn shim(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    switchover_platform::shim_main(&Shim::parse_from(arguments).dir)
}

/// The data plane.
#[derive(Debug, Parser)]
#[command(name = "switchover router", no_binary_name = true)]
struct Router {
    /// The router's directory
    #[arg(long)]
    state: PathBuf,
    /// Where requests are taken
    #[arg(long)]
    http: SocketAddr,
    /// Its lanes, one for each CPU where nothing is said
    #[arg(long)]
    lanes: Option<NonZeroUsize>,
}

fn router(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let Router { state, http, lanes } = Router::parse_from(arguments);
    log::start();
    match switchover_router::run(&RouterOptions { directory: state, http, lanes }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Its text begins with its code: whoever started the router reads it from the log.
            say::error(error);
            ExitCode::FAILURE
        }
    }
}
