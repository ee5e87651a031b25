//! Where an app's requests go: what is decided, and what the traffic is told.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::name::{AppName, Host, InstanceId, ProcessName, RevisionId, Share, Slot};

/// An app's part of the routing table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routes {
    /// The app.
    pub app: AppName,
    /// Number of this setting, per app, rising with each change decided: the same number twice is the same content.
    pub version: u64,
    /// Hosts it answers for; none means every host that no other app names.
    pub hosts: Vec<Host>,
    /// Who gets the traffic. Shares sum to all; a slot may stand here with no share (kept warm). Empty: 503 for all.
    pub arms: Vec<Arm>,
    /// What the address of the idle slot shows now.
    pub preview: Option<Preview>,
    /// The address of the idle slot: no other app's and no live page is ever shown there, also while it shows nothing.
    /// Part of the policy alone, so that the same version may come to know of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview_host: Option<Host>,
    /// How long requests on a slot that lost its share may go on, in milliseconds; then its upgrades are closed.
    pub drain_ms: u64,
}

/// One slot's part in the traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arm {
    /// The slot.
    pub slot: Slot,
    /// The revision it runs; requests are counted by it.
    pub revision: RevisionId,
    /// Its share of the requests.
    pub share: Share,
    /// Its routed process types. The longest matching path prefix wins.
    pub processes: Vec<RoutedProcess>,
}

/// One process type that takes requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutedProcess {
    /// Its name.
    pub process: ProcessName,
    /// Path prefixes, each beginning with `/`; matched at segment boundaries.
    pub paths: Vec<String>,
    /// Its healthy instances.
    pub endpoints: Vec<Endpoint>,
}

/// Where an instance listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Who it is.
    pub instance: InstanceId,
    /// Where it listens.
    pub address: SocketAddr,
}

/// The preview of the idle slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// Host that leads to it.
    pub host: Host,
    /// Its arm (the share is not used).
    pub arm: Arm,
    /// SHA-256 of the token, in hexadecimal; asked for in `X-Switchover-Preview`, as a bearer token or in a cookie.
    pub token_digest: String,
    /// Networks (CIDR) that need no token.
    pub networks: Vec<String>,
}

/// [`Routes`] as decided: which slots, in which share. The controller fills in the endpoints that are healthy now, the
/// hosts and the preview token, so that a dead instance leaves the table without a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutesGoal {
    /// The slots that get traffic and their shares; none: 503 for all.
    pub arms: Vec<ArmGoal>,
    /// The slot shown at the preview address.
    pub preview: Option<ArmGoal>,
}

/// A slot's share as decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmGoal {
    /// The slot.
    pub slot: Slot,
    /// The revision that must be in it: endpoints of another revision are never used.
    pub revision: RevisionId,
    /// Its share.
    pub share: Share,
}
