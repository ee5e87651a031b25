use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use switchover_model::config::breaks_env_name;
use switchover_model::release::Command;
use switchover_model::revision::Source;
use switchover_model::{AppName, Problem, Span};

use super::steer;
use crate::app_file::AppFile;
use crate::cli::Shared;
use crate::exit::Exit;
use crate::failure::{Done, Failure};
use crate::waiting::{Until, Wait};

/// Release a new revision: build, provision, verify, switch, bake
///
/// Without a source the app's directory is built as its file says. Ctrl-C while waiting leaves the release running.
#[derive(Debug, clap::Args)]
pub(crate) struct Deploy {
    #[command(flatten)]
    pub(crate) what: What,
    /// Wait until the release is switched, or with `--wait=settled` until its last stage is over
    #[arg(long, value_name = "UNTIL", num_args = 0..=1, require_equals = true, default_missing_value = "switched")]
    wait: Option<Goal>,
    /// Wait no longer than this, such as 90s or 10m; the release goes on
    #[arg(long, value_name = "D", value_parser = length, requires = "wait")]
    timeout: Option<Duration>,
}

/// What is released.
#[derive(Debug, clap::Args)]
pub(crate) struct What {
    /// Take this directory or .tar, .tar.gz or .tgz as it is, without a build
    #[arg(long, value_name = "PATH", conflicts_with_all = ["image", "git"])]
    artifact: Option<PathBuf>,
    /// Take a container image (not carried out yet)
    #[arg(long, value_name = "REF", conflicts_with = "git")]
    image: Option<String>,
    /// Take a commit (not carried out yet)
    #[arg(long, value_name = "REF")]
    git: Option<String>,
    /// Set an environment variable of this revision, over [env]
    #[arg(long, value_name = "K=V")]
    env: Vec<String>,
    /// When another release is switching right now: undo that one first instead of waiting for it
    #[arg(long)]
    replace: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Goal {
    Switched,
    Settled,
}

/// A duration of the command line.
pub(crate) fn length(text: &str) -> Result<Duration, String> {
    text.parse::<Span>().map(Span::to_std).map_err(|error| error.to_string())
}

impl Deploy {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let file = shared.file()?;
        let app = file.config.name.clone();
        let command = self.what.command(file)?;
        let daemon = shared.daemon()?;
        daemon.await_start().await;
        let answer = daemon.command(&app, &command).await?;
        let (Some(goal), Some(release)) = (self.wait, answer.release) else {
            steer::tell(shared, &answer, &admitted(shared, &app, answer.release));
            return Ok(Exit::Succeeded);
        };
        if !shared.json {
            answer.notes.iter().for_each(crate::say::note);
        }
        let until = match goal {
            Goal::Switched => Until::Switched,
            Goal::Settled => Until::Settled,
        };
        let after = answer.sequence.saturating_sub(1);
        Wait { shared, daemon: &daemon, app: &app, release, after, until, timeout: self.timeout }.run().await
    }
}

fn admitted(shared: &Shared, app: &AppName, release: Option<switchover_model::ReleaseId>) -> String {
    let which = release.map_or_else(
        || format!("a release of {app} is asked for"),
        |release| format!("release {release} of {app} has begun"),
    );
    format!("{which}; look with `{}`", shared.again("status --watch"))
}

impl What {
    /// The command that releases it. What is missing or not carried out yet is refused before the daemon hears of it.
    pub(crate) fn command(self, file: AppFile) -> Result<Command, Failure> {
        if self.image.is_some() {
            return Err(not_yet("--image", "Release the app's directory, or an archive with --artifact PATH."));
        }
        if self.git.is_some() {
            return Err(not_yet("--git", "Check the commit out and release that directory."));
        }
        let env = variables(&self.env)?;
        let source = match self.artifact {
            Some(path) => Source::Artifact { path: artifact(&path)? },
            None => Source::Directory { path: file.directory },
        };
        Ok(Command::Deploy { config: Box::new(file.config), source, env, replace: self.replace })
    }
}

fn not_yet(flag: &str, next: &str) -> Failure {
    Failure::wrong("NOT-CARRIED-OUT-YET", format!("{flag} is not carried out yet."), next)
}

fn artifact(path: &std::path::Path) -> Result<PathBuf, Failure> {
    let failure =
        |code: &str, cause: String, next: &str| Failure::Problem(Exit::Wrong, Problem::new(code, cause, next));
    let whole = path.canonicalize().map_err(|error| {
        failure(
            "ARTIFACT-MISSING",
            format!("The artifact {} cannot be found: {error}.", path.display()),
            "Name a directory or an archive that is there.",
        )
    })?;
    let name = whole.to_string_lossy();
    let is_archive = whole.is_file() && [".tar", ".tar.gz", ".tgz"].iter().any(|end| name.ends_with(end));
    if whole.is_dir() || is_archive {
        return Ok(whole);
    }
    Err(failure(
        "ARTIFACT-UNKNOWN",
        format!("{} is neither a directory nor a .tar, .tar.gz or .tgz.", path.display()),
        "Pack it into one of these.",
    ))
}

fn variables(given: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let mut variables = BTreeMap::new();
    for one in given {
        // The value is never shown: it may be a secret.
        let (name, value) = one.split_once('=').ok_or_else(|| {
            Failure::wrong("ENV-WRONG", "One of --env is not NAME=VALUE.", "Write it as --env NAME=VALUE.")
        })?;
        if let Some(why) = breaks_env_name(name) {
            return Err(Failure::wrong("ENV-WRONG", format!("--env: {why}."), "Choose another name."));
        }
        if variables.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(Failure::wrong("ENV-WRONG", format!("--env sets {name} twice."), "Leave one of them out."));
        }
    }
    Ok(variables)
}
