//! What is still to be told, on disk beside the app, with the place in the journal up to which it was read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};
use switchover_model::config::{Happening, Notify};
use switchover_model::record::Record;
use switchover_model::{AppName, Problem, Span, Timestamp};
use switchover_rollout::Teller;

use crate::bounds::{NOTIFY_AGE, NOTIFY_FIRST, NOTIFY_LONGEST, NOTIFY_QUEUE};

use super::message;
use super::pause_after;

/// Which delivery: the message, and who is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Key {
    pub(super) id: String,
    /// Who it is ([`Tells::who`]).
    ///
    /// [`Tells::who`]: switchover_model::config::Tells::who
    #[serde(deserialize_with = "who_or_place")]
    pub(super) target: String,
}

/// One message that is due for one who is told.
#[derive(Debug, Clone)]
pub(super) struct Due {
    pub(super) key: Key,
    pub(super) body: String,
    pub(super) to: Notify,
    pub(super) secrets_file: Option<PathBuf>,
}

/// How a try ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was taken.
    Taken,
    /// It was not; why. It is tried again.
    Refused(String),
    /// Nobody wants it any more; why.
    Gone(String),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Waiting {
    #[serde(flatten)]
    key: Key,
    what: Happening,
    body: String,
    since: Timestamp,
    tries: u32,
    next: Timestamp,
    why: Option<String>,
}

/// What was given up, by who was to be told.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct GivenUp {
    count: u64,
    last: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Kept {
    teller: Teller,
    #[serde(default)]
    waiting: Vec<Waiting>,
    #[serde(default)]
    given_up: BTreeMap<String, GivenUp>,
    /// What was dropped because the file names no more who was to be told.
    #[serde(default)]
    strangers: Option<GivenUp>,
}

/// The queue of one app.
pub(super) struct Queue {
    path: PathBuf,
    kept: Kept,
    /// The place in the journal that is on disk: reading on without anything to tell is not written down each time.
    saved: u64,
    is_changed: bool,
    /// Who is being told now.
    under_way: BTreeSet<String>,
}

impl Queue {
    /// Reads the app's queue; an empty one at the journal's begin when there is none.
    pub(super) async fn open(state: &Path, app: &AppName) -> io::Result<Self> {
        let path = state.join("apps").join(app.as_str()).join("notify.json");
        let read = path.clone();
        let kept = blocking(move || match std::fs::read(&read) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Kept::named).map_err(|error| broken(&read, &error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Kept::default()),
            Err(error) => Err(error),
        })
        .await?;
        let saved = kept.teller.sequence;
        Ok(Self { path, kept, saved, is_changed: false, under_way: BTreeSet::new() })
    }

    /// The last record that was read.
    pub(super) fn sequence(&self) -> u64 {
        self.kept.teller.sequence
    }

    /// Reads a record, and queues what it says to whoever is told of such. The oldest message gives way at the bound.
    pub(super) fn take(&mut self, app: &AppName, record: &Record) {
        let Some(notice) = self.kept.teller.read(record) else { return };
        let (id, body) = (message::id(app, &notice), message::body(app, &notice));
        for notify in &self.kept.teller.targets {
            let key = Key { id: id.clone(), target: notify.tells.who() };
            if !notify.events.contains(&notice.what) || self.kept.waiting.iter().any(|waiting| waiting.key == key) {
                continue;
            }
            let (what, body, since) = (notice.what, body.clone(), notice.at);
            self.kept.waiting.push(Waiting { key, what, body, since, tries: 0, next: notice.at, why: None });
            self.is_changed = true;
        }
        while self.kept.waiting.len() > NOTIFY_QUEUE {
            let oldest = self.kept.waiting.remove(0);
            let why = oldest.why.unwrap_or_else(|| "it was never tried".to_owned());
            give_up(&mut self.kept.given_up, &oldest.key.target, &format!("more than {NOTIFY_QUEUE} waited: {why}"));
        }
    }

    /// The oldest message for each who is told, where it is time for it. One at a time and in order for each.
    pub(super) fn due(&self, now: Timestamp) -> Vec<Due> {
        let mut due: Vec<Due> = Vec::new();
        for waiting in self.heads().filter(|waiting| waiting.next <= now) {
            let Some(to) = self.kept.target(&waiting.key.target) else { continue };
            let secrets_file = self.kept.teller.secrets_file.clone();
            due.push(Due { key: waiting.key.clone(), body: waiting.body.clone(), to: to.clone(), secrets_file });
        }
        due
    }

    /// The oldest message of each target that is not being told one.
    fn heads(&self) -> impl Iterator<Item = &Waiting> {
        let all = &self.kept.waiting;
        let free = |waiting: &&Waiting| !self.under_way.contains(&waiting.key.target);
        all.iter().enumerate().filter(move |(_, waiting)| free(waiting)).filter_map(|(at, waiting)| {
            let before = all[..at].iter().any(|other| other.key.target == waiting.key.target);
            (!before).then_some(waiting)
        })
    }

    /// A try begins: nothing else is due for the same one until it has ended.
    pub(super) fn begin(&mut self, key: &Key) {
        self.under_way.insert(key.target.clone());
    }

    /// How long nothing is due; nothing when nothing waits but for the end of a try.
    pub(super) fn pause(&self, now: Timestamp) -> Option<Duration> {
        self.heads().map(|waiting| waiting.next.since(now).to_std()).min()
    }

    /// How a try ended. Whether the message has left the queue.
    pub(super) fn end(&mut self, key: &Key, outcome: Outcome, now: Timestamp) -> bool {
        self.under_way.remove(&key.target);
        let Some(at) = self.kept.waiting.iter().position(|waiting| waiting.key == *key) else { return false };
        self.is_changed = true;
        let waiting = &mut self.kept.waiting[at];
        let too_old = now.since(waiting.since) >= NOTIFY_AGE;
        match outcome {
            Outcome::Taken => {
                self.kept.given_up.remove(&key.target);
                self.kept.strangers = None;
            }
            Outcome::Refused(why) if too_old => {
                give_up(&mut self.kept.given_up, &key.target, &format!("it was not taken for {NOTIFY_AGE}: {why}"));
            }
            Outcome::Gone(why) => give_up(&mut self.kept.given_up, &key.target, &why),
            Outcome::Refused(why) => {
                waiting.tries += 1;
                let pause = pause_after(waiting.tries, NOTIFY_FIRST, NOTIFY_LONGEST);
                waiting.next = now + Span::from_millis(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
                waiting.why = Some(why);
                return false;
            }
        }
        self.kept.waiting.remove(at);
        true
    }

    /// What the file names no more is told to nobody, and that is counted.
    fn drop_strangers(&mut self) {
        let targets = &self.kept.teller.targets;
        let is_known = |who: &str| targets.iter().any(|notify| notify.tells.who() == who);
        let (waiting, strange) =
            std::mem::take(&mut self.kept.waiting).into_iter().partition(|one| is_known(&one.key.target));
        self.kept.waiting = waiting;
        let strange: Vec<Waiting> = strange;
        self.kept.given_up.retain(|who, _| is_known(who));
        for one in strange {
            let dropped = self.kept.strangers.get_or_insert_with(GivenUp::default);
            dropped.add(one.what.as_str());
            self.is_changed = true;
        }
    }

    /// Writes it down, when there is something to write: whole or not at all, and over a power cut.
    pub(super) async fn save(&mut self) -> io::Result<()> {
        self.drop_strangers();
        let sequence = self.kept.teller.sequence;
        // Where nobody is told of anything there is nothing to lose by reading from the begin.
        let is_far = sequence.saturating_sub(self.saved) >= crate::bounds::SNAPSHOT_EVERY;
        if !self.is_changed && !is_far {
            return Ok(());
        }
        let bytes = serde_json::to_vec(&self.kept).map_err(io::Error::other)?;
        let path = self.path.clone();
        blocking(move || write(&path, &bytes)).await?;
        self.saved = sequence;
        self.is_changed = false;
        Ok(())
    }

    /// What a person should know: who can not be told, and what was given up.
    pub(super) fn troubles(&self) -> Vec<Problem> {
        let mut troubles = Vec::new();
        for notify in &self.kept.teller.targets {
            let target = notify.tells.who();
            let waiting = self.kept.waiting.iter().filter(|waiting| waiting.key.target == target);
            if let Some(failing) = waiting.clone().find(|waiting| waiting.tries > 0) {
                let why = failing.why.clone().unwrap_or_default();
                let tries = if failing.tries == 1 { "1 try".to_owned() } else { format!("{} tries", failing.tries) };
                let more = match waiting.count().saturating_sub(1) {
                    0 => String::new(),
                    1 => "; 1 more message waits".to_owned(),
                    more => format!("; {more} more messages wait"),
                };
                let cause =
                    format!("{} could not be told of `{}` in {tries}{more}: {why}.", notify.tells, failing.what);
                let next = "Mend what is told; it is tried again by itself, with longer and longer pauses.";
                troubles.push(Problem::new("NOTIFY-FAILING", cause, next));
            }
            if let Some(given_up) = self.kept.given_up.get(&target) {
                let messages = if given_up.count == 1 { "message, which was" } else { "messages, which were" };
                let cause = format!(
                    "{} was not told of {} {messages} given up; the last one because {}.",
                    notify.tells, given_up.count, given_up.last
                );
                let next = "`switchover history` shows what happened. This note goes when a message is taken again.";
                troubles.push(Problem::new("NOTIFY-GIVEN-UP", cause, next));
            }
        }
        if let Some(dropped) = &self.kept.strangers {
            let messages = if dropped.count == 1 { "message was" } else { "messages were" };
            let cause = format!(
                "{} {messages} dropped, because the file names no more who was to be told; the last one told of `{}`.",
                dropped.count, dropped.last
            );
            let next = "`switchover history` shows what happened. This note goes when a message is taken.";
            troubles.push(Problem::new("NOTIFY-GIVEN-UP", cause, next));
        }
        troubles
    }
}

impl Kept {
    fn target(&self, who: &str) -> Option<&Notify> {
        self.teller.targets.iter().find(|notify| notify.tells.who() == who)
    }

    /// A file of an earlier version says the place among the targets in the place of who it is.
    fn named(mut self) -> Self {
        let who = |place: &str| {
            let place: usize = place.parse().ok()?;
            self.teller.targets.get(place).map(|notify| notify.tells.who())
        };
        for waiting in &mut self.waiting {
            waiting.key.target = who(&waiting.key.target).unwrap_or_else(|| std::mem::take(&mut waiting.key.target));
        }
        let given_up = std::mem::take(&mut self.given_up);
        self.given_up = given_up.into_iter().map(|(target, count)| (who(&target).unwrap_or(target), count)).collect();
        self
    }
}

fn broken(path: &Path, error: &serde_json::Error) -> io::Error {
    io::Error::other(format!("{} is broken ({error}); it may be removed while the daemon is stopped", path.display()))
}

fn who_or_place<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Target {
        Who(String),
        Place(usize),
    }
    Ok(match Target::deserialize(from)? {
        Target::Who(who) => who,
        Target::Place(place) => place.to_string(),
    })
}

fn give_up(all: &mut BTreeMap<String, GivenUp>, target: &str, why: &str) {
    all.entry(target.to_owned()).or_default().add(why);
}

impl GivenUp {
    fn add(&mut self, why: &str) {
        self.count += 1;
        why.clone_into(&mut self.last);
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let Some(directory) = path.parent() else { return Err(io::ErrorKind::NotFound.into()) };
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let draft = directory.join(".notify.json");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&draft, path)?;
    std::fs::File::open(directory)?.sync_all()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests;
