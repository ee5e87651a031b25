//! One simulated instance: what its command says it does, and how it is seen.

use std::net::{Ipv4Addr, SocketAddr};

use switchover_model::revision::RevisionProcess;
use switchover_model::seam::{InstanceSeen, Phase, Role};
use switchover_model::{AppName, InstanceId, Problem, ProcessName, RevisionId, Slot, Span, Timestamp};

/// How long an app needs to be healthy when its command says nothing.
const BOOT: Span = Span::from_millis(50);

/// How long an app needs to end when told to.
const END: Span = Span::from_millis(20);

/// How long an app that ends by itself runs, and the wait before its first restart.
pub(super) const CRASH: Span = Span::from_millis(10);

/// How long a worker by lease goes on with its job when told to stand by.
const LET_GO: Span = Span::from_millis(100);

/// A row that ages.
#[derive(Debug, Clone)]
pub(super) struct Instance {
    pub(super) app: AppName,
    pub(super) slot: Slot,
    pub(super) revision: RevisionId,
    pub(super) process: ProcessName,
    pub(super) place: u32,
    pub(super) id: InstanceId,
    pub(super) kind: RevisionProcess,
    pub(super) port: u16,
    pub(super) created: Timestamp,
    pub(super) started: Timestamp,
    pub(super) restarts: u32,
    pub(super) crashed: bool,
    pub(super) stopping: Option<Timestamp>,
    pub(super) role: Role,
    pub(super) told_standby: Option<Timestamp>,
    pub(super) asked_since: Option<Timestamp>,
}

impl Instance {
    pub(super) fn says(&self, word: &str) -> bool {
        self.kind.command.split_ascii_whitespace().any(|said| said == word)
    }

    fn boot(&self) -> Span {
        let word = self.kind.command.split_ascii_whitespace().find_map(|word| word.strip_prefix("boots-in="));
        word.and_then(|millis| millis.parse().ok()).map_or(BOOT, Span::from_millis)
    }

    pub(super) fn back_off(&self) -> Span {
        Span::from_micros(CRASH.as_micros() << self.restarts.min(12))
    }

    pub(super) fn ends_at(&self) -> Option<Timestamp> {
        let needs = if self.says("ignores-stop") { self.kind.stop.grace } else { END.min(self.kind.stop.grace) };
        self.stopping.map(|since| since + needs)
    }

    pub(super) fn tell(&mut self, role: Role, now: Timestamp) {
        if self.role == Role::Active && role == Role::Standby {
            self.told_standby = Some(now);
        }
        self.role = role;
    }

    fn role_seen(&self, now: Timestamp) -> Role {
        let holds = self.told_standby.is_some_and(|told| now < told + LET_GO);
        if self.role == Role::Active || holds { Role::Active } else { Role::Standby }
    }

    fn phase(&self, now: Timestamp) -> Phase {
        if let Some(since) = self.stopping {
            return Phase::Stopping { since };
        }
        if self.crashed {
            let cause =
                Problem::new("INSTANCE-EXITED", format!("{} ended by itself.", self.id), "Look at its last lines.")
                    .with_detail(vec!["exiting".to_owned()]);
            return Phase::Crashed { cause, retry_at: self.started + self.back_off() };
        }
        let healthy = self.started + self.boot();
        let deadline = self.kind.health.as_ref().map(|health| self.started + health.deadline);
        if !self.says("never-healthy") && !self.says("exits") && now >= healthy {
            return Phase::Healthy { since: healthy };
        }
        match deadline {
            Some(deadline) if now >= deadline => Phase::Unhealthy {
                since: deadline,
                cause: Problem::new(
                    "HEALTH-NEVER-GREEN",
                    format!("{} was never healthy.", self.id),
                    "Look at its logs.",
                ),
            },
            Some(_) | None => Phase::Starting { since: self.started, last: None },
        }
    }

    pub(super) fn seen(&self, now: Timestamp) -> InstanceSeen {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        InstanceSeen {
            id: self.id.clone(),
            slot: self.slot,
            revision: self.revision,
            process: self.process.clone(),
            role: self.role_seen(now),
            address: self.kind.health.is_some().then_some(address),
            phase: self.phase(now),
            restarts: self.restarts,
            unanswered_since: None,
            answered_since: self.asked_since.filter(|_| matches!(self.phase(now), Phase::Healthy { .. })),
        }
    }
}
