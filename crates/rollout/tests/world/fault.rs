//! Everything that can go wrong in the world, one name each.

/// One kind of trouble. It is counted when it takes effect, not when it is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Fault {
    // --- instances ---
    /// A running instance ends by itself; its shim starts it again.
    InstanceCrashes,
    /// An instance and its shim are gone at once.
    InstanceVanishes,
    /// Every instance of the slot with the traffic ends.
    LiveSlotDies,
    /// Every instance of the other slot ends.
    IdleSlotDies,
    /// An instance is no longer healthy for a while.
    TurnsUnhealthy,
    /// It answers nothing any more, is taken for healthy for a while, and never recovers.
    InstanceHangs,
    /// An instance ends again and again.
    CrashLoop,
    /// What is started now does not become healthy.
    NeverHealthy,
    /// What is started now takes long.
    SlowBoot,
    /// An instance that is told to stop goes on until it is killed.
    IgnoresStop,
    /// There is no room for a second environment.
    NoHeadroom,
    /// Somebody starts an instance by hand.
    StrayInstance,
    // --- the platform's answers ---
    /// The platform can not be asked.
    PlatformUnknown,
    /// The platform's answer is old (and says so).
    PlatformStale,
    // --- actions ---
    /// An action does not happen.
    ActionLost,
    /// An action happens twice.
    ActionRepeated,
    /// An action takes long; the world moves on meanwhile.
    ActionSlow,
    /// The actions of one decision happen in another order.
    ActionsReordered,
    /// A routing change was given up but takes effect later.
    RouteLate,
    // --- the router ---
    /// The router is killed and starts again with its last table.
    RouterKilled,
    /// The router stays away for long.
    RouterDown,
    /// The router can not be asked.
    TrafficUnknown,
    /// The router's answer is old (and says so).
    TrafficStale,
    /// The routes are edited by hand.
    RoutesEdited,
    /// A request outlives the drain deadline.
    LongRequest,
    /// Upgraded connections stay until they are cut.
    UpgradeStays,
    // --- attempts ---
    /// A build fails.
    BuildFails,
    /// A build takes very long.
    BuildHangs,
    /// A hook fails.
    HookFails,
    /// A hook runs into its time-out.
    HookHangs,
    /// An attempt was running when the controller ended.
    AttemptLost,
    // --- the controller ---
    /// Ends after it looked.
    CrashAfterObserve,
    /// Ends after it decided, before it wrote.
    CrashAfterDecide,
    /// Ends after it wrote, before it acted.
    CrashAfterAppend,
    /// Ends between two actions.
    CrashBetweenActions,
    /// Stays away for long.
    ControllerDown,
    // --- the database ---
    /// The database can not be asked.
    SchemaUnknown,
    /// A step of a migration fails for good.
    SchemaFails,
    /// A session of an older version stays.
    OldSession,
    /// Rows break the app's invariant.
    InvariantBroken,
    /// Somebody takes the newest migration back by hand.
    SchemaEdited,
    // --- the app itself ---
    /// The new revision never becomes healthy, or ends at once.
    RevisionSick,
    /// The new revision falls sick some time after it was healthy.
    RevisionFallsSick,
}

impl Fault {
    pub(crate) const ALL: [Self; 43] = [
        Self::InstanceCrashes,
        Self::InstanceVanishes,
        Self::LiveSlotDies,
        Self::IdleSlotDies,
        Self::TurnsUnhealthy,
        Self::InstanceHangs,
        Self::CrashLoop,
        Self::NeverHealthy,
        Self::SlowBoot,
        Self::IgnoresStop,
        Self::NoHeadroom,
        Self::StrayInstance,
        Self::PlatformUnknown,
        Self::PlatformStale,
        Self::ActionLost,
        Self::ActionRepeated,
        Self::ActionSlow,
        Self::ActionsReordered,
        Self::RouteLate,
        Self::RouterKilled,
        Self::RouterDown,
        Self::TrafficUnknown,
        Self::TrafficStale,
        Self::RoutesEdited,
        Self::LongRequest,
        Self::UpgradeStays,
        Self::BuildFails,
        Self::BuildHangs,
        Self::HookFails,
        Self::HookHangs,
        Self::AttemptLost,
        Self::CrashAfterObserve,
        Self::CrashAfterDecide,
        Self::CrashAfterAppend,
        Self::CrashBetweenActions,
        Self::ControllerDown,
        Self::SchemaUnknown,
        Self::SchemaFails,
        Self::OldSession,
        Self::InvariantBroken,
        Self::SchemaEdited,
        Self::RevisionSick,
        Self::RevisionFallsSick,
    ];
}
