//! Mistakes planted in the decisions, one at a time, to prove that the simulated world finds them. Compiled only with
//! the feature `planted-bugs`; never part of the product.

/// One planted mistake; each breaks a promise that can be checked from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bug {
    /// The shift does not wait for the new slot to be healthy.
    RouteBeforeHealthy,
    /// One healthy instance of each process is enough to provision.
    HalfScale,
    /// A slot that could not be asked counts as healthy.
    UnknownIsHealthy,
    /// A slot is stopped while requests on it go on.
    SkipDrain,
    /// A release is settled and its old slot runs on.
    ForgetToStop,
    /// A release counts as switched before its routes were seen in force.
    SwitchedBeforeInForce,
    /// A gate opens for a promote that names another release.
    PromoteIgnoresStaleness,
    /// A release goes through its approve stage without a person.
    ApprovalSkipped,
    /// A rollback leads the traffic to the slot that is being undone.
    RollbackToWrongSlot,
    /// A rollback leads the traffic to the old slot without looking at its health.
    RollbackToDeadSlot,
    /// A stop-first worker starts while the old one runs.
    BothWorkersInStopFirst,
    /// A lease is given before the old worker let go of it.
    LeaseGivenEarly,
    /// Workers are not handed back with the traffic.
    WorkersStayBehind,
    /// A lost hook is run again though it must count as failed.
    RerunDespiteFail,
    /// A failed hook counts as passed.
    FailedHookPasses,
    /// A command is carried out again when its key comes again.
    KeyForgotten,
    /// A switch back keeps the number of the routes it replaces.
    VersionNotRaised,
    /// A slot that never gets healthy is waited for without end.
    NoProvisionDeadline,
    /// A breach in the bake is not acted on.
    BakeLooksAway,
    /// A bake that nobody could watch counts as proven.
    UnprovenIsProven,
    /// A slot is reused before it was seen empty.
    ReuseSlotNotEmpty,
    /// Undoing a release stops the live slot.
    StopLiveSlot,
    /// A release is settled before its slot was seen empty.
    SettledEarly,
    /// A deploy takes the place of a release in its shift.
    SupersedeDuringShift,
    /// The revision in the warm slot is cleared from disk.
    WarmRevisionCleared,
    /// An undone release's build or hook runs on.
    AttemptRunsOn,
    /// A deploy of what is live already goes through all stages.
    IdenticalDeployed,
    /// A paused release goes on.
    PausedGoesOn,
    /// The warm slot is not kept at the live scale.
    WarmSlotShrinks,
    /// A second plain rollback goes back once more.
    RollsBackTwice,
    /// The shift does not look whether the schema serves the new revision.
    SchemaIgnored,
    /// A broken invariant is not acted on.
    InvariantLooksAway,
    /// A contract begins while the old revision is still in use.
    ContractInUse,
    /// A broken invariant undoes a way back.
    InvariantUndoesReturn,
    /// A contract rests on a backup of before its last interruption.
    BackupOfBefore,
    /// A way back waits for ill instances that nobody replaces.
    IllStayOnTheWayBack,
    /// Traffic is switched to an instance that has been asked for its health and does not answer.
    DoubtIsTrust,
    /// Goes back to who was healthy once, without asking.
    LastAnswerIsEnough,
    /// Leaves who stays ill in the live slot.
    IllStayInService,
    /// A stage begins whatever the hooks before it say.
    BeginsUnasked,
    /// A hook that fails is tried again for ever.
    RetriesWithoutEnd,
    /// A step is left before its time.
    StepCutShort,
    /// A step that waits for a person does not.
    StepGateIgnored,
    /// A step is left out.
    ShareJumps,
    /// Traffic moves outside of the app's time windows.
    WindowIgnored,
    /// A release that is undone in its steps leaves the split as it is.
    SplitStays,
    /// A failed check undoes nothing.
    BreachIgnored,
    /// A check without a verdict counts as passed.
    NoDataPasses,
    /// The time of a step goes on while nobody watches it.
    UnwatchedTimeCounts,
    /// A verdict counts however long nothing was heard of its check.
    PassNeverAges,
    /// What was said of another step counts for this one.
    OldEvidenceCounts,
    /// Copies of live requests go on after their comparison.
    MirrorStays,
    /// A shadow comparison is ended before its time.
    ShadowCutShort,
    /// A shadow comparison passes without a verdict.
    ShadowNeedsNoVerdict,
    /// A step is left though its split is off.
    SplitIsTrusted,
    /// A batch starts before those who leave are gone.
    GrowsWithoutRoom,
    /// The share of a batch is raised before all of it is healthy.
    BatchNotAwaited,
    /// The old slot shrinks before the share that it has left is in force.
    ShrinksUnseen,
    /// A batch goes back to instances of the old slot that are not healthy yet.
    GivesBackUnseen,
    /// A rolling release is rolled back with an old slot that is not whole.
    OldSlotStaysSmall,
    /// Heirs of who is replaced come at once, whatever the surge leaves.
    HeirsBeyondTheSurge,
    /// Who leaves is told to stop though it has requests.
    BusyOnesAreIdle,
    /// An experiment that is lost goes on.
    LostGoesOn,
    /// An experiment is decided though its split is off.
    SplitOffDecides,
    /// An experiment that nobody took part in is promoted at its end.
    NobodyIsEnough,
    /// An experiment is decided by a goal of which nothing is known.
    BlindDecides,
}

impl Bug {
    /// Every planted mistake.
    pub const ALL: [Self; 66] = [
        Self::RouteBeforeHealthy,
        Self::HalfScale,
        Self::UnknownIsHealthy,
        Self::SkipDrain,
        Self::ForgetToStop,
        Self::SwitchedBeforeInForce,
        Self::PromoteIgnoresStaleness,
        Self::ApprovalSkipped,
        Self::RollbackToWrongSlot,
        Self::RollbackToDeadSlot,
        Self::BothWorkersInStopFirst,
        Self::LeaseGivenEarly,
        Self::WorkersStayBehind,
        Self::RerunDespiteFail,
        Self::FailedHookPasses,
        Self::KeyForgotten,
        Self::VersionNotRaised,
        Self::NoProvisionDeadline,
        Self::BakeLooksAway,
        Self::UnprovenIsProven,
        Self::ReuseSlotNotEmpty,
        Self::StopLiveSlot,
        Self::SettledEarly,
        Self::SupersedeDuringShift,
        Self::WarmRevisionCleared,
        Self::AttemptRunsOn,
        Self::IdenticalDeployed,
        Self::PausedGoesOn,
        Self::WarmSlotShrinks,
        Self::RollsBackTwice,
        Self::SchemaIgnored,
        Self::InvariantLooksAway,
        Self::ContractInUse,
        Self::InvariantUndoesReturn,
        Self::BackupOfBefore,
        Self::IllStayOnTheWayBack,
        Self::DoubtIsTrust,
        Self::LastAnswerIsEnough,
        Self::IllStayInService,
        Self::BeginsUnasked,
        Self::RetriesWithoutEnd,
        Self::StepCutShort,
        Self::StepGateIgnored,
        Self::ShareJumps,
        Self::WindowIgnored,
        Self::SplitStays,
        Self::BreachIgnored,
        Self::NoDataPasses,
        Self::UnwatchedTimeCounts,
        Self::PassNeverAges,
        Self::OldEvidenceCounts,
        Self::MirrorStays,
        Self::ShadowCutShort,
        Self::ShadowNeedsNoVerdict,
        Self::SplitIsTrusted,
        Self::GrowsWithoutRoom,
        Self::BatchNotAwaited,
        Self::ShrinksUnseen,
        Self::GivesBackUnseen,
        Self::OldSlotStaysSmall,
        Self::HeirsBeyondTheSurge,
        Self::BusyOnesAreIdle,
        Self::LostGoesOn,
        Self::SplitOffDecides,
        Self::NobodyIsEnough,
        Self::BlindDecides,
    ];
}
