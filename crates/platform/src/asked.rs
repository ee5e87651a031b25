//! Commands of an app's own that are run in a revision for what they answer: its backup, and the numbers of its checks.

use switchover_model::config::AppConfig;
use switchover_model::revision::Revision;
use switchover_model::seam::NumberCall;
use switchover_model::{Problem, ReleaseId, Slot, Span, Timestamp};

use crate::builder::{HOOK_VARIABLE, hooks_of};
use crate::environment::Sealed;
use crate::group_run::{self, Run};
use crate::headroom;
use crate::layout::Layout;
use crate::seal;
use crate::verdict::{Words, verdict};

/// One run of such a command.
struct Asked<'a> {
    command: &'a str,
    timeout: Span,
    release: ReleaseId,
    /// The slot that is asked about, where there is one.
    slot: Option<Slot>,
    /// Since when something is counted, where that is asked.
    since: Option<Timestamp>,
    /// What it is, where it is told of and found again.
    name: String,
    words: Words,
}

/// Runs the command of `[database] backup`, and gives its last lines.
pub(crate) async fn backup(
    layout: &Layout,
    config: &AppConfig,
    revision: &Revision,
    release: ReleaseId,
) -> Result<Vec<String>, Problem> {
    let backup = config.database.as_ref().and_then(|rules| rules.backup.as_ref()).ok_or_else(|| {
        let cause = "the app asks for no backup any more.";
        Problem::new("BACKUP-MISSING", cause, "Look at `backup` in [database].")
    })?;
    let words = Words {
        failed: "BACKUP-FAILED",
        timed_out: "BACKUP-TIMED-OUT",
        what: format!("the backup `{}`", backup.command),
        place: "database.backup.command",
    };
    let (command, timeout) = (backup.command.as_str(), backup.timeout);
    let asked = Asked { command, timeout, release, slot: None, since: None, name: "backup".to_owned(), words };
    run(layout, config, revision, asked).await
}

/// Runs the command of a check, and gives its last lines.
pub(crate) async fn number(
    layout: &Layout,
    config: &AppConfig,
    revision: &Revision,
    call: &NumberCall,
) -> Result<Vec<String>, Problem> {
    let words = Words {
        failed: "CHECK-COMMAND-FAILED",
        timed_out: "CHECK-COMMAND-TIMED-OUT",
        what: format!("the command `{}`", call.command),
        place: "release.check.command",
    };
    let (command, timeout, slot) = (call.command.as_str(), call.timeout, Some(call.slot));
    let name = format!("check-{}-{}", call.check, call.slot);
    let asked = Asked { command, timeout, release: call.release, slot, since: call.since, name, words };
    run(layout, config, revision, asked).await
}

async fn run(
    layout: &Layout,
    config: &AppConfig,
    revision: &Revision,
    asked: Asked<'_>,
) -> Result<Vec<String>, Problem> {
    let Asked { command, timeout, release, slot, since, name, words } = asked;
    let dir = layout.revision(&config.name, revision.id);
    let contents = Sealed::read(&dir).map_err(|_| seal::missing(revision.id))?;
    let mut variables = contents.variables();
    let own = [
        ("SWITCHOVER_APP", config.name.to_string()),
        ("SWITCHOVER_REVISION", revision.id.to_string()),
        ("SWITCHOVER_RELEASE", release.to_string()),
    ];
    variables.extend(own.map(|(name, value)| (name.to_owned(), value)));
    variables.extend(slot.map(|slot| ("SWITCHOVER_SLOT".to_owned(), slot.to_string())));
    let seconds = |since: Timestamp| (since.as_micros() / 1_000_000).to_string();
    variables.extend(since.map(|since| ("SWITCHOVER_SINCE".to_owned(), seconds(since))));
    let timeout = timeout.to_std();
    let run = Run {
        command,
        directory: &dir.tree(),
        variables,
        mark: (HOOK_VARIABLE, format!("{}/release-{release}/{name}", hooks_of(layout, &config.name))),
        timeout,
        log: None,
        answers: None,
        input: None,
    };
    let ran = group_run::run(run)
        .await
        .map_err(|error| headroom::state_problem(&format!("running {}", words.what), &error))?;
    verdict(&ran, command, timeout, &contents, &words)
}
