//! What a release can wait for, in the words a person reads. The text is also the identity of the wait: its clock runs
//! from the record that names it until another reason or a step forward takes its place.

/// An older release has to finish its shift or its undoing first.
pub(crate) const TURN: &str = "the release before it to finish its shift or its undoing";
/// The slot it goes to still has requests of the revision before.
pub(crate) const DRAIN: &str = "the last requests on the slot it will use";
/// The slot it goes to is being emptied.
pub(crate) const EMPTY: &str = "the slot it will use to be empty";
/// The platform could not be asked.
pub(crate) const PLATFORM: &str = "the platform to answer";
/// Its build passed, the seal is not recorded.
pub(crate) const SEAL: &str = "its revision to be sealed";
/// Instances boot.
pub(crate) const HEALTHY: &str = "every instance of the new slot to be healthy";
/// The preview address is not in force yet.
pub(crate) const PREVIEW: &str = "the preview address to be in force";
/// The mirror is not in force yet.
pub(crate) const SHADOW_ON: &str = "the copies of live requests to begin";
/// Answers are compared.
pub(crate) const SHADOW: &str = "the end of the time in which its answers to copies of live requests are compared";
/// The mirror was told to end.
pub(crate) const SHADOW_OFF: &str = "the copies of live requests to end";
/// A person has to say yes.
pub(crate) const PROMOTE: &str = "a person to promote it";
/// A step has its time.
pub(crate) const STEP: &str = "the end of its time at this share";
/// A step's time is over; a person has to say yes.
pub(crate) const PROMOTE_STEP: &str = "a person to promote it from this step";
/// A step's time is over; its slot is not seen well.
pub(crate) const STEP_READY: &str = "the new slot to be seen healthy before its next step";
/// A rolling release: who leaves makes room.
pub(crate) const ROOM: &str = "the instances that leave to be gone, to have room for its next batch";
/// A rolling release: its next batch boots.
pub(crate) const BATCH: &str = "every instance of its next batch to be healthy";
/// A rolling release: some of the old slot are ill.
pub(crate) const OLD_WHOLE: &str = "every instance of the old slot to be healthy again";
/// A rolling release that went back: the old slot has the traffic and is not whole yet.
pub(crate) const OLD_SLOT_WHOLE: &str = "every instance of the old slot to be healthy, which has the traffic again";
/// An experiment goes on.
pub(crate) const EXPERIMENT: &str = "its goal to be proven, or the end of its experiment";
/// An experiment proved nothing in its time, and a person has to say which revision stays.
pub(crate) const EXPERIMENT_ENDED: &str = "a person, because its experiment proved nothing in its time";
/// Outside of the app's windows, or in a freeze.
pub(crate) const WINDOW: &str = "its time window to open";
/// It was ready and is not any more.
pub(crate) const READY: &str = "the new slot to be seen healthy again before its shift";
/// The flip was not seen yet.
pub(crate) const ROUTE: &str = "the switch to be seen in force";
/// Workers move.
pub(crate) const HANDOVER: &str = "the workers to be handed over";
/// The bake runs.
pub(crate) const BAKE: &str = "the end of its bake";
/// A bake cannot be watched.
pub(crate) const EVIDENCE: &str = "the new slot to be seen again";
/// A bake sees some instances not healthy.
pub(crate) const RECOVERY: &str = "every instance of the new slot to be healthy again";
/// The old slot has to be healthy before the traffic goes back.
pub(crate) const OLD_SLOT: &str = "the old slot to be healthy, to go back to it";
/// The switch back was not seen yet.
pub(crate) const ROUTE_BACK: &str = "the switch back to be seen in force";
/// Workers move back.
pub(crate) const HANDOVER_BACK: &str = "the workers to be handed back";
/// The old slot is kept.
pub(crate) const KEEP_WARM: &str = "the end of the time the old slot is kept warm";
/// What it leaves is being emptied.
pub(crate) const CLEARED: &str = "the slot it leaves to be empty";
/// Cancelled attempts have to end.
pub(crate) const ATTEMPTS: &str = "its cancelled build or hook to end";
/// The receipt needs a last reading.
pub(crate) const COUNTERS: &str = "the router's counters, to close its receipt";
/// The database could not be asked.
pub(crate) const SCHEMA: &str = "the database to answer";
/// The schema is being expanded.
pub(crate) const EXPAND: &str = "the schema to serve the new revision";
/// The live revision's own contract comes before the next expand.
pub(crate) const CONTRACT_FIRST: &str = "the contract of the release before";
/// The slot is healthy, the schema is not seen to serve its revision.
pub(crate) const SCHEMA_SERVES: &str = "the schema to be seen to serve the new revision";
/// Nothing is known of an invariant.
pub(crate) const INVARIANTS: &str = "the database's invariants to be seen to hold";
/// A restore point is being set.
pub(crate) const RESTORE_POINT: &str = "the restore point before the switch";
/// What stands in the way of the old revision is being detached.
pub(crate) const DETACH: &str = "the new version's triggers to be detached";
/// Something old is still used.
pub(crate) const QUIET: &str = "the last use of what only the old revision needed";
/// The backup is not made.
pub(crate) const BACKUP: &str = "a fresh backup";
/// The contract works.
pub(crate) const CONTRACT: &str = "the schema to be left to the new revision";
/// A newer release is on its way.
pub(crate) const NEWER: &str = "the end of the release that is on its way";
/// A step's checks have not all passed.
pub(crate) const VERDICTS: &str = "the verdicts of its checks";
/// They have not in their time, and a person has to say whether it goes on.
pub(crate) const UNPROVEN: &str = "a person, because its checks have no verdict";
/// What was to be asked before the old slot is stopped said no.
pub(crate) const RETIRE_GATE: &str = "a person, because a hook before its retire failed";
