//! The `switchover` binary: the hands of the house.
//!
//! What it is: one file a command (`commands`), pictures for people (`show`), and a small client of the daemon (`daemon`).
//! Promises: what a command prints on standard output is its answer and nothing else; `--json` prints one object; exit
//! codes are those of `exit`; every failure names its code, its cause and the next thing to do.
//! Must never: decide about a release, touch the state folder (except in `serve`), or show a secret.
//! Begin reading at `cli` (what can be typed), then any file of `commands`.

mod app_file;
mod cli;
mod commands;
mod daemon;
#[cfg(feature = "demo")]
mod demo;
mod exit;
mod failure;
mod follow;
mod log;
mod place;
mod say;
mod show;
mod sse;
mod waiting;

fn main() -> std::process::ExitCode {
    cli::main()
}
