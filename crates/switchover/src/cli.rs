//! What can be typed: the commands, and what they all share.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};
use switchover_model::AppName;

use crate::app_file;
use crate::commands;
use crate::daemon::Daemon;
use crate::exit::Exit;
use crate::failure::{Done, Failure};
use crate::place;

/// Releases software the blue-green way: two environments side by side, one switch, and one switch back.
#[derive(Debug, Parser)]
#[command(name = "switchover", version, after_long_help = Exit::table(), propagate_version = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    shared: Shared,
    #[command(subcommand)]
    command: Verb,
}

/// What every command knows.
#[derive(Debug, Clone, Args)]
pub(crate) struct Shared {
    /// State folder: how the daemon is found [default: SWITCHOVER_STATE, else the user's XDG state folder, or
    /// /var/lib/switchover for root]
    // clap would show a variable that is set in usage lines, as if it had to be typed: `place` reads it.
    #[arg(long, global = true, value_name = "DIR", help_heading = "Everywhere")]
    pub(crate) state: Option<PathBuf>,
    /// The app's file [default: ./switchover.toml]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Everywhere")]
    pub(crate) config: Option<PathBuf>,
    /// The app, where there is no file
    #[arg(long, global = true, value_name = "NAME", help_heading = "Everywhere")]
    pub(crate) app: Option<AppName>,
    /// Print one JSON object instead of text
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub(crate) json: bool,
}

impl Shared {
    /// The daemon of the state folder.
    pub(crate) fn daemon(&self) -> Result<Daemon, Failure> {
        Ok(Daemon::new(&place::state_folder(self.state.as_deref())?))
    }

    /// The app that is meant: `--app`, else the file's name, else the only app that the daemon knows.
    pub(crate) async fn app(&self, daemon: &Daemon) -> Result<AppName, Failure> {
        if let Some(app) = &self.app {
            return Ok(app.clone());
        }
        if let Some(app) = app_file::name(self.config.as_deref())? {
            return Ok(app);
        }
        let known: switchover_model::answer::AppsView = daemon.get("/v1/apps").await?;
        match known.apps.as_slice() {
            [only] => Ok(only.clone()),
            [] => Err(Failure::wrong(
                "APP-UNSAID",
                "There is no switchover.toml here, and the daemon knows no app yet.",
                "Go to the app's directory, or name its file with --config FILE.",
            )),
            many => {
                let names: Vec<&str> = many.iter().map(AppName::as_str).collect();
                Err(Failure::wrong(
                    "APP-UNSAID",
                    format!(
                        "There is no switchover.toml here, and the daemon knows several apps: {}.",
                        names.join(", ")
                    ),
                    "Say which one with --app NAME; `switchover apps` shows them.",
                ))
            }
        }
    }

    /// The app's file; `--app` must be its name.
    pub(crate) fn file(&self) -> Result<app_file::AppFile, Failure> {
        let file = app_file::read(self.config.as_deref())?;
        match &self.app {
            Some(app) if *app != file.config.name => Err(Failure::wrong(
                "APP-MISMATCH",
                format!("--app says {app}, and the file is of {}.", file.config.name),
                "Leave --app out, or name the file of that app with --config FILE.",
            )),
            Some(_) | None => Ok(file),
        }
    }

    /// `switchover` and `rest` as it is typed to mean the same daemon and app.
    pub(crate) fn again(&self, rest: &str) -> String {
        let mut line = format!("switchover {rest}");
        if let Some(state) = &self.state {
            line += &format!(" --state {}", state.display());
        }
        if let Some(config) = &self.config {
            line += &format!(" --config {}", config.display());
        } else if let Some(app) = &self.app {
            line += &format!(" --app {app}");
        }
        line
    }
}

#[derive(Debug, Subcommand)]
enum Verb {
    Init(commands::init::Init),
    Validate(commands::validate::Validate),
    Schema(commands::schema::Schema),
    Plan(commands::plan::Plan),
    Apply(commands::apply::Apply),
    Serve(commands::serve::Serve),
    Deploy(commands::deploy::Deploy),
    Status(commands::status::Status),
    Apps(commands::apps::Apps),
    Promote(commands::promote::Promote),
    Pause(commands::pause::Pause),
    Resume(commands::resume::Resume),
    Abort(commands::abort::Abort),
    Rollback(commands::rollback::Rollback),
    History(commands::history::History),
    Receipt(commands::receipt::Receipt),
    Logs(commands::logs::Logs),
    Traffic(commands::traffic::Traffic),
    Db(commands::db::Db),
    Judge(commands::judge::Judge),
    Experiment(commands::experiment::Experiment),
    #[cfg(feature = "demo")]
    Demo(commands::demo::Demo),
    Completions(commands::completions::Completions),
    Man(commands::man::Man),
}

/// The program.
pub(crate) fn main() -> ExitCode {
    if let Some(code) = commands::inner::run() {
        return code;
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return not_understood(&error),
    };
    let json = cli.shared.json;
    match cli.run() {
        Ok(exit) => exit.into(),
        Err(failure) => failure.tell(json).into(),
    }
}

/// Shows help where it was asked for; else tells what is wrong with the command line, as text or as `--json` does.
fn not_understood(error: &clap::Error) -> ExitCode {
    let is_answer = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let wants_json = std::env::args_os().skip(1).take_while(|one| one != "--").any(|one| one == "--json");
    if is_answer || !wants_json {
        error.exit();
    }
    mistake(error).tell(true).into()
}

/// The same as a problem: what clap writes in its first paragraph is the cause, its tips and its usage are what to do next.
fn mistake(error: &clap::Error) -> Failure {
    const CODE: &str = "COMMAND-LINE-WRONG";
    if matches!(error.kind(), ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand) {
        return Failure::wrong(CODE, "No command is named.", "`switchover --help` shows the commands.");
    }
    let text = error.render().to_string();
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut paragraphs = text.split("\n\n").map(one_line);
    let cause = paragraphs.next().unwrap_or_default();
    let next: Vec<String> = paragraphs.map(|part| part.trim_end_matches('.').to_owned()).collect();
    Failure::wrong(CODE, format!("{}.", cause.trim_start_matches("error: ")), format!("{}.", next.join(". ")))
}

impl Cli {
    fn run(self) -> Done {
        let shared = self.shared;
        match self.command {
            Verb::Init(init) => init.run(&shared),
            Verb::Validate(validate) => validate.run(&shared),
            Verb::Schema(schema) => schema.run(&shared),
            Verb::Completions(completions) => completions.run(&shared),
            Verb::Man(man) => man.run(&shared),
            Verb::Judge(judge) => wait_for(judge.run(&shared)),
            Verb::Experiment(experiment) => wait_for(experiment.run(&shared)),
            #[cfg(feature = "demo")]
            Verb::Demo(demo) => wait_for(demo.run(&shared)),
            Verb::Plan(plan) => wait_for(plan.run(&shared)),
            Verb::Apply(apply) => wait_for(apply.run(&shared)),
            Verb::Serve(serve) => wait_for(serve.run(&shared)),
            Verb::Deploy(deploy) => wait_for(deploy.run(&shared)),
            Verb::Status(status) => wait_for(status.run(&shared)),
            Verb::Apps(apps) => wait_for(apps.run(&shared)),
            Verb::Promote(promote) => wait_for(promote.run(&shared)),
            Verb::Pause(pause) => wait_for(pause.run(&shared)),
            Verb::Resume(resume) => wait_for(resume.run(&shared)),
            Verb::Abort(abort) => wait_for(abort.run(&shared)),
            Verb::Rollback(rollback) => wait_for(rollback.run(&shared)),
            Verb::History(history) => wait_for(history.run(&shared)),
            Verb::Receipt(receipt) => wait_for(receipt.run(&shared)),
            Verb::Logs(logs) => wait_for(logs.run(&shared)),
            Verb::Traffic(traffic) => wait_for(traffic.run(&shared)),
            Verb::Db(db) => wait_for(db.run(&shared)),
        }
    }
}

/// Runs one command to its end on this thread.
fn wait_for(command: impl Future<Output = Done>) -> Done {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        Failure::other(
            "NO-RUNTIME",
            format!("The program could not set itself up: {error}."),
            "Look whether this user may open more files (`ulimit -n`).",
        )
    })?;
    runtime.block_on(command)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_its_help_has_the_exit_codes() {
        Cli::command().debug_assert();
        let help = Cli::command().render_long_help().to_string();
        for exit in Exit::ALL {
            let (code, what) = exit.entry();
            assert!(help.contains(&format!("{code}  {what}")), "{help}");
        }
    }
}
