//! Where an app's requests go: what is decided, and what the traffic is told.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{Goals, Match, Mirror, MirrorGoal, Sticky};
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
    /// What keeps a client on its side, where the traffic is split. Part of the policy.
    #[serde(default, skip_serializing_if = "Sticky::is_address")]
    pub sticky: Sticky,
    /// Rules that lead requests to an arm whatever its share; the first one that is met counts. Their requests are measured as
    /// [`Part::Matched`](super::Part::Matched).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<Match>,
    /// The slot of which as many clients as the other slot's share has are measured apart, as
    /// [`Part::Baseline`](super::Part::Baseline): those nearest to the border. It counts where exactly two slots have a share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Slot>,
    /// Who gets copies of requests, beside whoever answers them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,
    /// What is counted of the app's clients, for an experiment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goals: Option<Goals>,
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

impl Routes {
    /// Routes of `app` that lead nobody anywhere: 503 for all.
    #[must_use]
    pub const fn nowhere(app: AppName, version: u64) -> Self {
        Self {
            app,
            version,
            hosts: Vec::new(),
            arms: Vec::new(),
            sticky: Sticky::Address,
            matches: Vec::new(),
            baseline: None,
            mirror: None,
            goals: None,
            preview: None,
            preview_host: None,
            drain_ms: 0,
        }
    }
}

/// [`Routes`] as decided: which slots, in which share. The controller fills in the endpoints that are healthy now, the
/// hosts, what clients are told apart by and the preview token, so that a dead instance leaves the table without a decision.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RoutesGoal {
    /// The slots that get traffic and their shares; none: 503 for all.
    pub arms: Vec<ArmGoal>,
    /// The slot shown at the preview address.
    pub preview: Option<ArmGoal>,
    /// Rules that lead requests to one of the arms, whatever its share.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<Match>,
    /// The slot of which a baseline is measured apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Slot>,
    /// The slot that gets copies of requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<MirrorGoal>,
    /// What is counted of the app's clients, for an experiment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goals: Option<Goals>,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seam::{CompareRules, Condition, MirrorRules};

    #[test]
    fn what_was_written_before_there_were_splits_is_read_and_written_alike() {
        let goal = r#"{"arms":[{"slot":"green","revision":"r2","share":10000}],"preview":null}"#;
        let read: RoutesGoal = serde_json::from_str(goal).unwrap();
        assert_eq!((read.matches.len(), read.baseline, &read.mirror), (0, None, &None));
        assert_eq!(serde_json::to_string(&read).unwrap(), goal);
        let routes = r#"{"app":"shop","version":3,"hosts":[],"arms":[],"preview":null,"drain_ms":0}"#;
        let read: Routes = serde_json::from_str(routes).unwrap();
        assert_eq!(read, Routes::nowhere("shop".parse().unwrap(), 3));
        assert_eq!(serde_json::to_string(&read).unwrap(), routes);
    }

    #[test]
    fn a_decision_with_everything_is_read_as_it_was_written() {
        let arm = ArmGoal { slot: Slot::Green, revision: RevisionId(2), share: Share::NONE };
        let when = vec![
            Condition::Header { name: "X-Beta".parse().unwrap(), value: "1".into() },
            Condition::Cookie { name: "beta".parse().unwrap(), value: "1".into() },
            Condition::Query { name: "beta".into(), value: "1".into() },
            Condition::Method { method: "GET".into() },
        ];
        let compare = CompareRules { ignore_fields: vec!["/at".parse().unwrap()], ..CompareRules::default() };
        let rules = MirrorRules { compare: Some(compare), ..MirrorRules::of(Share::ALL) };
        let goal = RoutesGoal {
            arms: vec![arm],
            preview: Some(arm),
            matches: vec![Match { slot: Slot::Green, revision: RevisionId(2), when }],
            baseline: Some(Slot::Blue),
            mirror: Some(MirrorGoal { arm, rules }),
            goals: Some(Goals { experiment: 7, requests: vec!["POST /checkout 2xx".parse().unwrap()] }),
        };
        let written = serde_json::to_string(&goal).unwrap();
        assert_eq!(serde_json::from_str::<RoutesGoal>(&written).unwrap(), goal, "{written}");
    }
}
