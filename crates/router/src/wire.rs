//! What is said on the control socket: one JSON object a line, a request and its answer in turn.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use switchover_model::receipt::Ledger;
use switchover_model::seam::{Routes, ShadowSeen, TrafficSeen};
use switchover_model::{AppName, InstanceId, Problem, RevisionId, Timestamp};

use crate::came::CameReading;
use crate::meter::MeterReading;
use crate::short;

/// The version of this language; a router refuses another one, and says which it speaks.
pub const WIRE_VERSION: u32 = 1;
/// Longest line, either way (bytes): a reading with as many arms as are measured, each histogram full and each count as long
/// as can be, is 4.5 MB (`the_fullest_reading_there_can_be_is_well_below_the_longest_line`), and an app's routes come beside it.
pub(crate) const LINE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How a line begins that tells what is seen.
const SEEN: &[u8] = br#"{"answer":"seen","#;

/// A request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Request {
    /// [`WIRE_VERSION`] of the sender.
    pub(crate) version: u32,
    /// What is asked.
    pub(crate) command: Command,
}

/// What can be asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub(crate) enum Command {
    /// Who are you?
    Status,
    /// Put this in force.
    Ensure {
        /// The routes of one app.
        routes: Box<Routes>,
        /// Which client asks, and which of its settings this is: a late repetition never undoes a newer one.
        setting: Setting,
    },
    /// Take the app out of the table.
    Remove {
        /// The app.
        app: AppName,
    },
    /// What is seen of one app.
    Observe {
        /// The app.
        app: AppName,
        /// Who asks understands what is written [`short`].
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        in_short: bool,
    },
    /// What is seen of every app that was ever routed.
    ObserveAll,
    /// End gracefully.
    Shutdown,
}

/// Orders the settings of one client: endpoints change under the same version of an app's routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Setting {
    /// A random number of the client.
    pub(crate) client: u64,
    /// Rises with each call.
    pub(crate) serial: u64,
}

/// An answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub(crate) enum Answer {
    /// To `status`.
    Status(Box<RouterStatus>),
    /// It is so.
    Done,
    /// To `observe`.
    Seen(Box<TrafficSeen>),
    /// To `observe-all`.
    All {
        /// Each app with what is seen of it.
        apps: Vec<(AppName, TrafficSeen)>,
    },
    /// No, and it would be no again.
    Refused(Problem),
    /// Not now.
    Failed {
        /// Why.
        cause: String,
    },
}

impl Answer {
    /// Reads an answer. What is seen is most of what is ever read: where it begins with its tag, as it is written, its parts are
    /// not kept aside until the tag is known, as they are for the others.
    pub(crate) fn read(line: &[u8]) -> serde_json::Result<Self> {
        if line.starts_with(short::BEGIN) {
            return short::read(line).map(|seen| Self::Seen(Box::new(seen)));
        }
        if line.starts_with(SEEN) { serde_json::from_slice(line).map(Self::Seen) } else { serde_json::from_slice(line) }
    }

    /// Writes an answer, in short where that is understood and it can be.
    pub(crate) fn write(self, in_short: bool) -> serde_json::Result<Vec<u8>> {
        match self {
            Self::Seen(seen) if in_short => short::write(*seen),
            Self::Seen(_)
            | Self::Status(_)
            | Self::Done
            | Self::All { .. }
            | Self::Refused(_)
            | Self::Failed { .. } => serde_json::to_vec(&self),
        }
    }
}

/// How the router is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterStatus {
    /// Its process.
    pub pid: u32,
    /// When that process was started, in the kernel's clock ticks since boot: with the pid it names one process for ever.
    pub started_ticks: u64,
    /// The boot it runs in.
    pub boot_id: String,
    /// Where it takes users' requests.
    pub http: SocketAddr,
    /// Its lanes.
    pub lanes: usize,
    /// The number of the table in force.
    pub generation: u64,
    /// Client connections open.
    pub connections: usize,
    /// It ends as soon as the requests in flight have ended.
    pub is_stopping: bool,
    /// Whether its counters outlive it.
    pub counters_persist: bool,
    /// Why the kept table could not be read at the start or be written since, if so.
    pub kept_problem: Option<String>,
    /// What was refused, or came for a host that nobody answers for.
    pub nobody: Ledger,
    /// Requests to preview addresses, by app; they are in no receipt.
    pub previews: Vec<(AppName, Ledger)>,
    /// When it looked.
    pub at: Timestamp,
}

/// What one lane tells the control thread.
#[derive(Debug)]
pub(crate) struct LaneSeen {
    pub(crate) generation: u64,
    pub(crate) connections: usize,
    pub(crate) counters_persist: bool,
    pub(crate) nobody: Ledger,
    pub(crate) apps: Vec<LaneApp>,
    /// Of the one app that was asked for: since when counts began anew, if not with the lane, and those of each arm; nothing
    /// when all apps were asked for, or not every arm is measured.
    pub(crate) measured: Option<(Option<Timestamp>, Vec<MeterReading>)>,
    /// Of the one app that was asked for: what came of copies of its requests.
    pub(crate) shadow: Option<ShadowSeen>,
    /// Of the one app that was asked for: who came to its split.
    pub(crate) came: Option<CameReading>,
}

/// What one lane tells of one app.
#[derive(Debug)]
pub(crate) struct LaneApp {
    pub(crate) app: AppName,
    /// By revision: requests in flight, tunnels open.
    pub(crate) in_flight: Vec<(RevisionId, u64, u64)>,
    /// By instance, both together.
    pub(crate) busy: Vec<(InstanceId, u64)>,
    pub(crate) live: Ledger,
    pub(crate) preview: Ledger,
}

#[cfg(test)]
mod tests {
    use switchover_model::Share;
    use switchover_model::histogram::{BUCKETS, Histogram};
    use switchover_model::seam::{
        ArmMeasured, CLIENT_GROUPS, ClientGroups, GOALS_MAX, GoalArm, GoalCount, GoalsMeasured, Measured, Part,
        SplitSeen, SplitSide,
    };

    use super::*;
    use crate::meter::METERS_MAX;

    #[test]
    fn what_is_seen_is_read_in_one_go_and_in_whatever_order_it_comes() {
        let in_flight = [(RevisionId(3), 5)].into();
        let seen = TrafficSeen { at: Timestamp::from_micros(7), in_flight, ..TrafficSeen::default() };
        let written = serde_json::to_vec(&Answer::Seen(Box::new(seen.clone()))).expect("written");
        let fields = written.strip_prefix(SEEN).expect("its tag comes first");
        let other = [b"{", &fields[..fields.len() - 1], br#","answer":"seen"}"#].concat();
        for line in [written, other] {
            let Ok(Answer::Seen(read)) = Answer::read(&line) else { panic!("{}", String::from_utf8_lossy(&line)) };
            assert_eq!(*read, seen);
        }
        assert!(matches!(Answer::read(br#"{"answer":"done"}"#), Ok(Answer::Done)));
        assert!(Answer::read(br#"{"answer":"seen","at":"none"}"#).is_err());
    }

    #[test]
    fn who_does_not_say_that_it_understands_it_gets_nothing_in_short() {
        let in_short = |line: &str| {
            let Request { command, .. } = serde_json::from_str(line).expect("a request");
            let Command::Observe { in_short, .. } = command else { panic!("{line}") };
            in_short
        };
        assert!(!in_short(r#"{"version":1,"command":{"ask":"observe","app":"shop"}}"#), "an earlier version asks");
        assert!(in_short(r#"{"version":1,"command":{"ask":"observe","app":"shop","in_short":true}}"#));
        let answer = || Answer::Seen(Box::default());
        assert!(answer().write(false).expect("written").starts_with(SEEN));
        let short = answer().write(true).expect("written");
        assert!(short.starts_with(short::BEGIN));
        assert!(matches!(Answer::read(&short), Ok(Answer::Seen(seen)) if *seen == TrafficSeen::default()));
        assert_eq!(Answer::Done.write(true).expect("written"), br#"{"answer":"done"}"#);
    }

    #[test]
    fn the_fullest_reading_there_can_be_is_well_below_the_longest_line() {
        let full = || {
            let counts = (0..u16::try_from(BUCKETS).expect("few")).map(|bucket| (bucket, u64::MAX));
            Histogram::from(counts.collect::<Vec<_>>())
        };
        let reading = |arms: usize| {
            let arm = |_| ArmMeasured {
                answered: [u64::MAX; 5],
                failed: u64::MAX,
                aborted: u64::MAX,
                upgrades_opened: u64::MAX,
                upgrades_ended: Some(u64::MAX),
                upgrades_cut: u64::MAX,
                clients: 10_000,
                latency: full(),
                requests_by: ClientGroups::from([u64::MAX; CLIENT_GROUPS]),
                errors_by: ClientGroups::from([u64::MAX; CLIENT_GROUPS]),
                ..ArmMeasured::none(RevisionId(u32::MAX), "p".repeat(30).parse().expect("a name"), Part::Baseline)
            };
            let count = GoalCount { clients: 2_560_000, requests: u64::MAX };
            let (revision, part) = (RevisionId(u32::MAX), Part::Baseline);
            let goal_arm = GoalArm { revision, part, clients: 2_560_000, goals: vec![count; GOALS_MAX] };
            let side = SplitSide { revision, share: Share::ALL, clients: u64::MAX };
            let measured = Measured {
                at: Timestamp::default(),
                epoch: u64::MAX,
                version: Some(u64::MAX),
                arms: (0..arms).map(arm).collect(),
                goals: Some(GoalsMeasured {
                    experiment: u64::MAX,
                    since: u64::MAX,
                    key: u64::MAX,
                    arms: vec![goal_arm; arms],
                    on_both: u64::MAX,
                }),
                split: Some(SplitSeen { since: u64::MAX, key: u64::MAX, sides: vec![side; 2] }),
            };
            let answer = Answer::Seen(Box::new(TrafficSeen { measured: Some(measured), ..TrafficSeen::default() }));
            serde_json::to_vec(&answer).expect("written").len()
        };
        let (three, most) = (reading(3), reading(METERS_MAX));
        assert!(three < LINE_BYTES_MAX / 32, "{three} bytes of three arms");
        assert!(most < LINE_BYTES_MAX * 3 / 5, "{most} bytes of {METERS_MAX} arms");
    }
}
