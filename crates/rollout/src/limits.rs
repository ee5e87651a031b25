//! The bounds of every wait and every memory in this room.

use switchover_model::Span;

/// Settled releases that an app remembers.
pub const ARCHIVED_RELEASES: usize = 400;
/// Commands whose keys an app remembers.
pub const REMEMBERED_KEYS: usize = 256;
/// Notes that an app remembers.
pub const REMEMBERED_NOTES: usize = 32;
/// Changes behind our back that an app remembers.
pub const REMEMBERED_DRIFTS: usize = 32;
/// Revisions kept where no file says how many.
pub const KEEP_REVISIONS: u32 = 5;
/// Drain time where no file says how long.
pub const DRAIN: Span = Span::from_secs(30);

/// An observation older than this is no observation.
pub const SEEN_MAX_AGE: Span = Span::from_secs(10);
/// How long nothing may be heard of a check, at least, until its verdict says nothing of now.
pub const ANSWER_AGE: Span = Span::from_secs(30);
/// How many of its own intervals that is for a number that is asked for.
pub const ANSWERS_MISSED: u64 = 3;
/// How long a stage waits for an observation before traffic moved.
pub const UNKNOWN: Span = Span::from_secs(120);
/// Build time where no file says how long.
pub const BUILD: Span = Span::from_secs(15 * 60);
/// What an attempt may take beyond its own time-out before it is given up.
pub const ATTEMPT_ALLOWANCE: Span = Span::from_secs(30);
/// How long a revision may be unsealed after its build passed.
pub const SEAL: Span = Span::from_secs(10);
/// How long a cancelled attempt may go on before it is no longer waited for.
pub const CANCEL: Span = Span::from_secs(60);
/// How often a lost attempt is started anew.
pub const RERUNS: u32 = 3;
/// The most questions of one try of a hook that says not yet.
pub const QUESTIONS: u64 = 500;
/// What the last question of a try is given at least, where the hook's whole time-out is not shorter.
pub const LAST_QUESTION: Span = Span::from_secs(1);
/// How long the platform may take to notice that an instance has overrun its deadline.
pub const NOTICED: Span = Span::from_secs(1);
/// What provision may take beyond the longest health deadline: starting, noticing.
pub const PROVISION_ALLOWANCE: Span = Span::from_secs(10);
/// How long a worker may take to be up.
pub const WORKER_DEADLINE: Span = Span::from_secs(60);
/// How often an instance may end by itself before it counts as a crash loop.
pub const CRASHES: u32 = 3;
/// How long a ready slot that fell ill before the shift may take to be healthy again.
pub const READY: Span = Span::from_secs(60);
/// How long a preview may take to be seen in force.
pub const PREVIEW: Span = Span::from_secs(30);
/// How long a switch may take to be seen in force.
pub const ROUTE: Span = Span::from_secs(30);
/// What a handover may take beyond the grace of the old workers and the start of the new ones.
pub const HANDOVER_ALLOWANCE: Span = Span::from_secs(10);
/// What a drain may take beyond the app's drain time: the router spreads its closing of upgrades over two seconds.
pub const DRAIN_ALLOWANCE: Span = Span::from_secs(4);
/// How long an unseen drain is waited for beyond that.
pub const DRAIN_UNSEEN: Span = Span::from_secs(60);
/// What a slot may take to be empty beyond the longest grace in it.
pub const EMPTY_ALLOWANCE: Span = Span::from_secs(30);
/// How long what was told to stop may not be seen stopping (nobody can look, nobody carries it out).
pub const STOP_BEGUN: Span = Span::from_secs(24 * 3600);
/// How long a new slot in its bake may have some, but not all, instances healthy.
pub const DIP: Span = Span::from_secs(10);
/// How many such dips a bake bears.
pub const DIPS: u32 = 5;
/// How long a bake that has no way back waits for a slot to recover.
pub const RECOVERY: Span = Span::from_secs(120);
/// A bake is proven when it could not be watched for at most one part in this many of its time.
pub const BLIND_PART: u64 = 10;
/// How long the yes of a person is waited for where no file says how long.
pub const APPROVE: Span = Span::from_secs(24 * 3600);
/// How long a time window is waited for: longer than any freeze of the file, and a week.
pub const WINDOW: Span = Span::from_secs(375 * 24 * 3600);
/// How long a person may hold a release.
pub const PAUSE: Span = Span::from_secs(7 * 24 * 3600);
/// How long the same change behind our back is not recorded again.
pub const DRIFT_QUIET: Span = Span::from_secs(600);
/// How long the answers of the others are waited for where some of the old slot would do for a way back.
pub const ANSWERS: Span = Span::from_millis(250);
/// After this, an instance of a slot that stays ill is replaced again; after so many times of it, when so many were.
pub const RENEWAL: Span = Span::from_secs(300);
/// And after this at the latest.
pub const LONGEST_RENEWAL: Span = Span::from_secs(3600);
/// How long after somebody took a release back before its switch a plain rollback is taken to have meant that release.
pub const MEANT: Span = Span::from_secs(60);
/// How old the finding of an invariant may be.
pub const INVARIANT_MAX_AGE: Span = Span::from_secs(60);
/// How long the restore point before a switch is waited for.
pub const RESTORE_POINT: Span = Span::from_secs(10);
/// How long a rollback waits for what stands in its way to be detached.
pub const DETACH: Span = Span::from_secs(5);
/// How long a way back waits for a schema that can not be seen: it is urgent, and the users may wait as long.
pub const SCHEMA_UNSEEN: Span = Span::from_secs(5);
/// How long an expand or a contract may take where no file says how long.
pub const EXPAND: Span = Span::from_secs(24 * 3600);
/// How often a migration may meet its backfill's bound: a release brings several tables and migrations.
pub const EXPAND_TIMES: u64 = 4;
/// How long a contract waits for a database that can not be asked.
pub const SCHEMA_LOST: Span = Span::from_secs(3600);
/// How long a contract waits, beyond the app's quiet time, for the last use of an older version.
pub const STILL_USED: Span = Span::from_secs(7 * 24 * 3600);
/// The same, while a newer release waits for the contract.
pub const STILL_USED_HURRIED: Span = Span::from_secs(600);
/// After this a backup that failed is tried again.
pub const BACKUP_AGAIN: Span = Span::from_secs(600);

/// How long an expand or a contract may take as a whole.
#[must_use]
pub const fn expand(backfill_timeout: Span) -> Span {
    Span::from_micros(backfill_timeout.as_micros().saturating_mul(EXPAND_TIMES))
}
/// How many steps one decision takes at most.
pub const PASSES: usize = 64;
