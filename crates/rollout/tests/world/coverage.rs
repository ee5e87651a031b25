//! What the runs met: every stage, command and fault, in pairs and all three together.
//!
//! A command or a fault is counted at the place where the newest release stood when it took effect. The three meet when
//! a command and a fault fell into the same visit of the same place by the same release.

use switchover_model::release::{Command, Stage};

use super::fault::Fault;
use super::focus::Focus;

/// Where the newest release stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Place {
    /// No release, or all settled.
    Idle,
    At(Stage),
    Undoing,
}

impl Place {
    pub(crate) const ALL: [Self; 11] = [
        Self::Idle,
        Self::At(Stage::Build),
        Self::At(Stage::Expand),
        Self::At(Stage::Provision),
        Self::At(Stage::Verify),
        Self::At(Stage::Approve),
        Self::At(Stage::Shift),
        Self::At(Stage::Bake),
        Self::At(Stage::Retire),
        Self::At(Stage::Contract),
        Self::Undoing,
    ];

    fn index(self) -> usize {
        match self {
            Self::Idle => 0,
            Self::At(stage) => 1 + stage as usize,
            Self::Undoing => Self::ALL.len() - 1,
        }
    }
}

/// The commands, told apart where they take another way through the state machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Order {
    Apply,
    Deploy,
    DeployReplace,
    Promote,
    Pause,
    Resume,
    Abort,
    Rollback,
    RollbackTo,
}

impl Order {
    pub(crate) const ALL: [Self; 9] = [
        Self::Apply,
        Self::Deploy,
        Self::DeployReplace,
        Self::Promote,
        Self::Pause,
        Self::Resume,
        Self::Abort,
        Self::Rollback,
        Self::RollbackTo,
    ];

    pub(crate) const fn of(command: &Command) -> Self {
        match command {
            Command::Apply { .. } => Self::Apply,
            Command::Deploy { replace: false, .. } => Self::Deploy,
            Command::Deploy { replace: true, .. } => Self::DeployReplace,
            Command::Promote { .. } => Self::Promote,
            Command::Pause { .. } => Self::Pause,
            Command::Resume { .. } => Self::Resume,
            Command::Abort { .. } => Self::Abort,
            Command::Rollback { to: None, .. } => Self::Rollback,
            Command::Rollback { to: Some(_), .. } => Self::RollbackTo,
        }
    }
}

const PLACES: usize = Place::ALL.len();
const ORDERS: usize = Order::ALL.len();
const FAULTS: usize = Fault::ALL.len();

/// Counts of meetings.
#[derive(Debug, Clone)]
pub(crate) struct Coverage {
    meetings: Vec<u64>,
}

/// The visit that is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Visit {
    pub(crate) release: u32,
    pub(crate) place: Place,
    orders: u16,
    faults: u64,
}

impl Visit {
    pub(crate) const fn new(release: u32, place: Place) -> Self {
        Self { release, place, orders: 0, faults: 0 }
    }

    pub(crate) fn order(&mut self, order: Order) {
        self.orders |= 1 << (order as u16);
    }

    pub(crate) fn fault(&mut self, fault: Fault) {
        self.faults |= 1 << (fault as u64);
    }
}

impl Coverage {
    pub(crate) fn new() -> Self {
        Self { meetings: vec![0; PLACES * ORDERS * FAULTS] }
    }

    /// The visit is over: what fell into it has met.
    pub(crate) fn close(&mut self, visit: Visit) {
        if visit.orders == 0 || visit.faults == 0 {
            return;
        }
        for order in (0..ORDERS).filter(|order| visit.orders & (1 << order) != 0) {
            for fault in (0..FAULTS).filter(|fault| visit.faults & (1 << fault) != 0) {
                self.meetings[(visit.place.index() * ORDERS + order) * FAULTS + fault] += 1;
            }
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (sum, count) in self.meetings.iter_mut().zip(&other.meetings) {
            *sum += count;
        }
    }

    /// Every meeting of place, command and fault that could be and never was. When there is none, every pair was met too.
    pub(crate) fn never_met(&self) -> Vec<Focus> {
        let mut missing = Vec::new();
        for place in Place::ALL {
            for fault in Fault::ALL.into_iter().filter(|fault| impossible(place, *fault).is_none()) {
                for order in Order::ALL {
                    if !self.has_met(Focus { place, order, fault }) {
                        missing.push(Focus { place, order, fault });
                    }
                }
            }
        }
        missing
    }

    pub(crate) fn has_met(&self, focus: Focus) -> bool {
        self.meeting(focus.place, focus.order, focus.fault) > 0
    }

    fn meeting(&self, place: Place, order: Order, fault: Fault) -> u64 {
        self.meetings[(place.index() * ORDERS + order as usize) * FAULTS + fault as usize]
    }

    /// Numbers for a line of output: meetings that can be.
    pub(crate) fn possible() -> usize {
        let faults = |place: &Place| Fault::ALL.iter().filter(|fault| impossible(*place, **fault).is_none()).count();
        Place::ALL.iter().map(faults).sum::<usize>() * ORDERS
    }
}

/// Why a fault can not take effect while the newest release stands at a place; nothing when it can.
pub(crate) const fn impossible(place: Place, fault: Fault) -> Option<&'static str> {
    match fault {
        Fault::BuildFails | Fault::BuildHangs if !matches!(place, Place::At(Stage::Build)) => {
            Some("a build runs in the build stage alone")
        }
        Fault::HookFails | Fault::HookHangs | Fault::AttemptLost if !matches!(place, Place::At(_)) => {
            Some("an attempt runs in a stage alone")
        }
        Fault::SchemaFails if !matches!(place, Place::At(Stage::Expand | Stage::Contract)) => {
            Some("the schema is worked on in these stages alone")
        }
        Fault::SchemaEdited
            if !matches!(place, Place::At(Stage::Expand | Stage::Provision | Stage::Verify | Stage::Approve)) =>
        {
            Some("only what a release on its way has expanded is nobody else's need")
        }
        Fault::RevisionSick if !matches!(place, Place::At(Stage::Provision)) => {
            Some("a revision that never gets healthy never gets past provision")
        }
        Fault::IdleSlotDies if matches!(place, Place::Idle | Place::At(Stage::Contract)) => {
            Some("with no release, and in contract, the other slot is empty")
        }
        _ => None,
    }
}
