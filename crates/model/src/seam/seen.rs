//! What is seen of the world.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{Measured, Role, Routes, ShadowSeen};
use crate::evidence::ChecksSeen;
use crate::name::{InstanceId, ProcessName, RevisionId, Slot};
use crate::problem::Problem;
use crate::receipt::{Ledger, OwnLedger};
use crate::schema::SchemaSeen;
use crate::time::Timestamp;

/// One look at the world, for one app.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Seen {
    /// The platform's answer; nothing when it could not be asked.
    pub platform: Option<PlatformSeen>,
    /// The traffic's answer; nothing when it could not be asked.
    pub traffic: Option<TrafficSeen>,
    /// The schema's answer; nothing when it could not be asked, or the app has no database.
    #[serde(default)]
    pub schema: Option<SchemaSeen>,
    /// What the checks of the release that is watched say; nothing when none is watched, or nobody looks.
    #[serde(default)]
    pub checks: Option<ChecksSeen>,
}

/// What a platform runs for an app.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PlatformSeen {
    /// When this was seen.
    pub at: Timestamp,
    /// Since when this platform looks: nobody was asked by it before, and what it knows of then is from another one.
    #[serde(default)]
    pub since: Timestamp,
    /// Every instance of the app that exists, also those that are ending or have ended and were not cleared yet.
    pub instances: Vec<InstanceSeen>,
    /// What stands in the way of starting a second environment (memory, disk, ports), measured now; nothing is good.
    pub headroom: Option<Problem>,
}

/// One instance as seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceSeen {
    /// Who it is.
    pub id: InstanceId,
    /// Its slot.
    pub slot: Slot,
    /// The revision it runs.
    pub revision: RevisionId,
    /// Its process type.
    pub process: ProcessName,
    /// Working or standing by, as seen (a lease that is still held is `Active`).
    pub role: Role,
    /// Where it listens, for a routed process.
    pub address: Option<SocketAddr>,
    /// How it is.
    pub phase: Phase,
    /// Since when it has been asked for its health and has not answered well. A healthy one may be so for a while: that
    /// counts as its illness after several such questions only. Nothing: its last answer was good, or it is not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanswered_since: Option<Timestamp>,
    /// The newest [`SlotSpec::asked_since`](super::SlotSpec::asked_since) after which this platform asked it and it has
    /// answered well. Nothing: it has not yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_since: Option<Timestamp>,
    /// How often it was started anew in this place because the one before ended by itself.
    pub restarts: u32,
}

/// How an instance is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "kebab-case")]
pub enum Phase {
    /// Started, not healthy yet.
    Starting {
        /// Since when.
        since: Timestamp,
        /// The last reason why it is not healthy yet, for people.
        last: Option<String>,
    },
    /// Healthy.
    Healthy {
        /// Since when.
        since: Timestamp,
    },
    /// Was healthy, is no longer; or never was within its deadline.
    Unhealthy {
        /// Since when.
        since: Timestamp,
        /// Why, with the app's last lines.
        cause: Problem,
    },
    /// It takes no more requests: too many and draining, or told to stop and within its grace.
    Stopping {
        /// Since when.
        since: Timestamp,
    },
    /// Ended by itself, is started again after `retry_at`.
    Crashed {
        /// Why, with the app's last lines.
        cause: Problem,
        /// When it is started again (back-off).
        retry_at: Timestamp,
    },
}

/// What the traffic does for an app.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TrafficSeen {
    /// When this was seen.
    pub at: Timestamp,
    /// The routes in force in every lane, as set; nothing before the first.
    pub routes: Option<Routes>,
    /// When they came into force (the flip).
    pub in_force_since: Option<Timestamp>,
    /// Requests in flight on each revision, asked after the flip. A revision that is not named has none.
    pub in_flight: BTreeMap<RevisionId, u64>,
    /// Upgraded connections (WebSockets and other tunnels) open on each revision.
    pub upgrades: BTreeMap<RevisionId, u64>,
    /// Both together on each instance, asked after the flip. One that is not named has none. Nothing from a traffic that does not
    /// know it of each instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy: Option<BTreeMap<InstanceId, u64>>,
    /// Counters since the app was first routed.
    pub ledger: Ledger,
    /// What the router answered itself and can count for no app, by cause as in [`Ledger::own`]: the same for every app.
    #[serde(default)]
    pub unrouted: BTreeMap<String, OwnLedger>,
    /// What is measured of its requests; nothing from a traffic that does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
    /// What came of the copies of its requests; nothing where none was made yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowSeen>,
}

/// What a traffic implementation can observe: what a receipt's numbers rest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// It counts every request.
    EveryRequest,
    /// It reports sampled or delayed metrics.
    SampledMetrics,
    /// It sees its own setting alone.
    SettingOnly,
}
