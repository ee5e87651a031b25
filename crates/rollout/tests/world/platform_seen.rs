//! What is seen of the simulated platform, and who has answered whom.

use switchover_model::seam::{InstanceSeen, Phase, PlatformSeen, Role};
use switchover_model::{Problem, Timestamp};

use super::platform::{Instance, Platform, State};

impl Platform {
    pub(crate) fn observe(&self, now: u64) -> PlatformSeen {
        PlatformSeen {
            at: Timestamp::from_micros(now),
            since: Timestamp::from_micros(self.since),
            instances: self.instances.iter().map(seen).collect(),
            headroom: (now < self.trouble.no_headroom_until)
                .then(|| Problem::new("HEADROOM", "Too little memory for a second environment.", "Free some.")),
        }
    }

    /// Who is well has answered what was asked of its slot.
    pub(super) fn answer(&mut self) {
        for instance in self.instances.iter_mut().filter(|instance| instance.is_healthy()) {
            instance.answered_since = instance.answered_since.max(self.asked.get(&instance.slot).copied());
        }
    }

    /// Another one looks from now on, who has asked nobody yet.
    pub(crate) fn looks_anew(&mut self, now: u64) {
        self.since = now;
        self.asked.clear();
        self.instances.iter_mut().for_each(|instance| instance.answered_since = None);
    }
}

fn seen(instance: &Instance) -> InstanceSeen {
    let moment = Timestamp::from_micros;
    let phase = match instance.state {
        State::Starting { since, .. } => Phase::Starting { since: moment(since), last: None },
        State::Healthy { since, .. } | State::Hung { healthy_since: since, .. } => {
            Phase::Healthy { since: moment(since) }
        }
        State::Unhealthy { since, .. } => Phase::Unhealthy {
            since: moment(since),
            cause: Problem::new("HEALTH-FAILING", "It answers 503.", "Look at its log."),
        },
        State::Stopping { since, .. } => Phase::Stopping { since: moment(since) },
        State::Crashed { retry_at } => Phase::Crashed {
            cause: Problem::new("INSTANCE-ENDED", "It ended with status 1.", "Look at its log."),
            retry_at: moment(retry_at),
        },
    };
    let unanswered_since = match instance.state {
        State::Hung { since, .. } | State::Unhealthy { since, .. } => Some(moment(since)),
        State::Starting { .. } | State::Healthy { .. } | State::Stopping { .. } | State::Crashed { .. } => None,
    };
    let holds = instance.handover.is_some() && instance.works();
    InstanceSeen {
        id: instance.id.clone(),
        slot: instance.slot,
        revision: instance.revision,
        process: instance.process.clone(),
        role: if holds || instance.role == Role::Active { Role::Active } else { Role::Standby },
        address: instance.address,
        phase,
        restarts: instance.restarts,
        unanswered_since,
        answered_since: instance.answered_since,
    }
}
