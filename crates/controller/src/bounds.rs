//! The bounds of every wait, queue and retry in this room.

use std::time::Duration;

use switchover_model::Span;

/// How long the platform may take to say what it runs.
pub(crate) const OBSERVE_PLATFORM: Duration = Duration::from_secs(2);
/// How long the traffic may take to say what is in force.
pub(crate) const OBSERVE_TRAFFIC: Duration = Duration::from_secs(2);
/// How long the look at the database that was taken last may take to be handed over.
pub(crate) const OBSERVE_SCHEMA: Duration = Duration::from_secs(2);
/// How long a sealed revision's own files may take to say what it needs of its database, and when they are read again where
/// they could not be.
pub(crate) const READ_DATABASE: Duration = Duration::from_secs(2);
pub(crate) const READ_AGAIN: Duration = Duration::from_secs(1);
/// How long one action may take to begin (a slot) or to be in force (routes).
pub(crate) const ACT: Duration = Duration::from_secs(10);
/// How often an app is looked at when nothing moves: drift is seen within this time.
pub(crate) const IDLE_BEAT: Duration = Duration::from_secs(1);
/// How often while a release moves or requests drain, for what no notification tells.
pub(crate) const BUSY_BEAT: Duration = Duration::from_millis(100);
/// How often the same action is asked for again when nothing seems to have changed.
pub(crate) const REAFFIRM: Duration = Duration::from_secs(10);
/// First pause after an action failed; doubled with each further failure.
pub(crate) const RETRY_FIRST: Duration = Duration::from_millis(250);
/// Longest pause after failures of an action.
pub(crate) const RETRY_LONGEST: Duration = Duration::from_secs(8);
/// How long the same failure is not journaled again.
pub(crate) const NOTE_QUIET: Duration = Duration::from_secs(600);
/// Failures of an action before it is journaled: one alone is often a matter of a moment.
pub(crate) const FAILURES_UNTIL_NOTED: u32 = 3;
/// Commands of one app that wait.
pub(crate) const COMMANDS: usize = 32;
/// How long a command waits for its app's attention.
pub(crate) const COMMAND: Duration = Duration::from_secs(20);
/// Decisions in a row without a look at anything else: more would be a decision that never comes to rest.
pub(crate) const TURNS_IN_A_ROW: u32 = 64;
/// How long an app whose journal can not be read waits before it is tried again.
pub(crate) const RELOAD: Duration = Duration::from_secs(5);
/// Records after which a new snapshot is kept.
pub(crate) const SNAPSHOT_EVERY: u64 = 200;
/// How long a shutdown waits for the apps' tasks.
pub(crate) const SHUTDOWN: Duration = Duration::from_secs(15);
/// Apps at once.
pub(crate) const APPS: usize = 1000;
/// Records that are read at once for those who are told of what happens.
pub(crate) const NOTIFY_PAGE: usize = 500;
/// How often the journal is looked at for them when nothing says that it has grown.
pub(crate) const NOTIFY_IDLE: Duration = Duration::from_secs(60);
/// Messages of one app that wait to be delivered; the oldest gives way.
pub(crate) const NOTIFY_QUEUE: usize = 200;
/// The pause after the first try to deliver one failed; doubled with each further failure.
pub(crate) const NOTIFY_FIRST: Duration = Duration::from_secs(1);
/// The longest such pause.
pub(crate) const NOTIFY_LONGEST: Duration = Duration::from_secs(15 * 60);
/// How long after what happened it is given up.
pub(crate) const NOTIFY_AGE: Span = Span::from_secs(3 * 24 * 3600);
/// Longest wait for a release in one call.
pub(crate) const WAIT: Duration = Duration::from_secs(60);
/// Numbers of checks and goals that are asked for at once, an app; each of one slot or of both.
pub(crate) const NUMBERS_AT_ONCE: usize = 8;
/// The longest answer with a number in it, in bytes.
pub(crate) const NUMBER_BYTES: usize = 1 << 20;
/// How long connecting to who knows a number may take.
pub(crate) const NUMBER_CONNECT: Duration = Duration::from_secs(2);
/// Records that are read from the journal at a time.
pub(crate) const PAGE: usize = 500;
