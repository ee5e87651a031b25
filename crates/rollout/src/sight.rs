//! Questions to what is seen now. Old observations are none.

use std::collections::{BTreeMap, BTreeSet};

use switchover_model::config::Fraction;
use switchover_model::evidence::ChecksSeen;
use switchover_model::schema::SchemaSeen;
use switchover_model::seam::{InstanceSeen, Phase, PlatformSeen, Role, Seen, TrafficSeen};
use switchover_model::{InstanceId, Problem, ProcessName, RevisionId, Slot, Span, Timestamp};

use crate::app::App;
use crate::{ailment, limits};

/// One look at the world; what is too old is unknown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sight<'a> {
    pub(crate) platform: Option<&'a PlatformSeen>,
    pub(crate) traffic: Option<&'a TrafficSeen>,
    pub(crate) schema: Option<&'a SchemaSeen>,
    /// What the checks say; each verdict rests on looks, and says how old the newest is.
    pub(crate) checks: Option<&'a ChecksSeen>,
    now: Timestamp,
}

/// How a slot is, as far as its routed processes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fitness {
    /// It could not be asked.
    Unknown,
    /// As many healthy instances of each routed process as wanted.
    Whole,
    /// Some of each.
    Partial,
    /// None of one routed process at least.
    Down,
}

impl Fitness {
    /// It can answer requests on every path.
    pub(crate) fn can_serve(self) -> bool {
        match self {
            Self::Whole | Self::Partial => true,
            Self::Unknown | Self::Down => false,
        }
    }
}

impl<'a> Sight<'a> {
    pub(crate) fn new(seen: &'a Seen, now: Timestamp) -> Self {
        let fresh = |at: Timestamp| now.since(at) <= limits::SEEN_MAX_AGE;
        Self {
            platform: seen.platform.as_ref().filter(|platform| fresh(platform.at)),
            traffic: seen.traffic.as_ref().filter(|traffic| fresh(traffic.at)),
            schema: seen.schema.as_ref().filter(|schema| fresh(schema.at)),
            checks: seen.checks.as_ref(),
            now,
        }
    }

    /// Every instance seen in `slot`; none when the platform could not be asked.
    pub(crate) fn in_slot(&self, slot: Slot) -> impl Iterator<Item = &'a InstanceSeen> {
        let instances = self.platform.map_or(&[][..], |platform| &platform.instances);
        instances.iter().filter(move |instance| instance.slot == slot)
    }

    /// Instances of `revision` in `slot`.
    fn of(&self, slot: Slot, revision: RevisionId) -> impl Iterator<Item = &'a InstanceSeen> {
        self.in_slot(slot).filter(move |instance| instance.revision == revision)
    }

    pub(crate) fn fitness(&self, app: &App, slot: Slot, revision: RevisionId) -> Fitness {
        self.fitness_of(app, slot, revision, None, is_healthy)
    }

    /// The same, were this part of its scale all that is wanted of it.
    pub(crate) fn fitness_of_part(&self, app: &App, slot: Slot, revision: RevisionId, part: Fraction) -> Fitness {
        self.fitness_of(app, slot, revision, Some(part), is_healthy)
    }

    /// The same by those alone who have answered since their slot was last asked, are not silent, and do not end again and
    /// again.
    pub(crate) fn sure_fitness(&self, app: &App, slot: Slot, revision: RevisionId) -> Fitness {
        let is_sure = |seen: &InstanceSeen| {
            is_healthy(seen) && app.has_answered(seen) && self.silence(app, seen).is_none() && !self.is_a_flash(seen)
        };
        self.fitness_of(app, slot, revision, None, is_sure)
    }

    fn fitness_of(
        &self,
        app: &App,
        slot: Slot,
        revision: RevisionId,
        part: Option<Fraction>,
        serves: impl Fn(&InstanceSeen) -> bool,
    ) -> Fitness {
        if !app.revisions.contains_key(&revision) || self.platform.is_none() {
            return Fitness::Unknown;
        }
        let (scale, has_nobody) = match part {
            Some(part) => (app.full_scale(revision), part.is_none()),
            None => (app.scale(slot, revision), app.has_nobody(slot)),
        };
        if has_nobody {
            return Fitness::Down;
        }
        let mut fitness = Fitness::Whole;
        for (name, wanted) in scale {
            let wanted = part.map_or(wanted, |part| part.count(wanted));
            if !app.is_routed(revision, &name) || wanted == 0 {
                continue;
            }
            let serving = self.of(slot, revision).filter(|seen| seen.process == name && serves(seen)).count();
            if serving == 0 {
                return Fitness::Down;
            }
            if serving < wanted as usize {
                fitness = Fitness::Partial;
            }
        }
        fitness
    }

    /// It has ended by itself again and again, and is healthy for no longer than a dip lasts: it may be gone in a moment.
    fn is_a_flash(&self, seen: &InstanceSeen) -> bool {
        let is_young = matches!(seen.phase, Phase::Healthy { since } if self.now.since(since) < limits::DIP);
        is_young && seen.restarts >= limits::CRASHES
    }

    /// How long a healthy instance has been silent, when that is longer than a question for its health may take.
    fn silence(&self, app: &App, seen: &InstanceSeen) -> Option<Span> {
        let health = app.revision(seen.revision)?.processes.get(&seen.process)?.health.as_ref()?;
        let silence = self.now.since(seen.unanswered_since.filter(|_| is_healthy(seen))?);
        (silence > health.timeout).then_some(silence)
    }

    /// Routed instances of `revision` in `slot` that are ill or have ended by themselves.
    pub(crate) fn ill(&self, app: &App, slot: Slot, revision: RevisionId) -> BTreeSet<InstanceId> {
        // What could not be started is shown without an address, and is nobody to replace.
        let is_ill = |seen: &&InstanceSeen| match seen.phase {
            Phase::Unhealthy { .. } => seen.address.is_some(),
            Phase::Crashed { .. } => true,
            Phase::Starting { .. } | Phase::Healthy { .. } | Phase::Stopping { .. } => false,
        };
        let routed = self.of(slot, revision).filter(|seen| app.is_routed(revision, &seen.process));
        routed.filter(is_ill).map(|seen| seen.id.clone()).collect()
    }

    /// Routed instances of `revision` in `slot` that have been ill for as long as one may take to boot, and when the next
    /// one will have been. `to_replace`: where nobody of a process type is healthy, the cause may lie elsewhere, and it is one.
    pub(crate) fn ill_for_long(
        &self,
        app: &App,
        slot: Slot,
        revision: RevisionId,
        to_replace: bool,
    ) -> (BTreeSet<InstanceId>, Option<Timestamp>) {
        let mut ill = BTreeSet::new();
        let mut next: Option<Timestamp> = None;
        let processes = app.revisions.get(&revision).into_iter().flat_map(|state| &state.revision.processes);
        for (name, health) in processes.filter_map(|(name, process)| Some((name, process.health.as_ref()?))) {
            let of_it = || self.of(slot, revision).filter(|seen| seen.process == *name);
            let since = of_it().filter_map(|seen| match seen.phase {
                Phase::Unhealthy { since, .. } if seen.address.is_some() => Some((since + health.deadline, &seen.id)),
                _ => None,
            });
            let (long, short): (Vec<_>, Vec<_>) = since.partition(|(long, _)| self.now >= *long);
            next = next.into_iter().chain(short.into_iter().map(|(long, _)| long)).min();
            let most = if to_replace && !of_it().any(is_healthy) { 1 } else { long.len() };
            ill.extend(long.into_iter().take(most).map(|(_, id)| id.clone()));
        }
        (ill, next)
    }

    /// Instances of `revision` in `slot` that count as healthy and are silent.
    pub(crate) fn silent(&self, app: &App, slot: Slot, revision: RevisionId) -> BTreeSet<InstanceId> {
        let silent = self.of(slot, revision).filter(|seen| self.silence(app, seen).is_some());
        silent.map(|seen| seen.id.clone()).collect()
    }

    /// Whether `wanted` instances of each of these processes are healthy in `role`.
    pub(crate) fn has_healthy(
        &self,
        slot: Slot,
        revision: RevisionId,
        role: Role,
        wanted: &BTreeMap<ProcessName, u32>,
    ) -> bool {
        wanted.iter().all(|(name, count)| {
            let fit = |seen: &&InstanceSeen| seen.process == *name && seen.role == role && is_healthy(seen);
            self.of(slot, revision).filter(fit).count() >= *count as usize
        })
    }

    /// An instance of `revision` in `slot` that ends by itself again and again.
    pub(crate) fn crash_loop(&self, slot: Slot, revision: RevisionId) -> Option<&'a InstanceSeen> {
        self.of(slot, revision).find(|seen| {
            let ended = seen.restarts + u32::from(matches!(seen.phase, Phase::Crashed { .. }));
            ended >= limits::CRASHES && !is_healthy(seen)
        })
    }

    /// Why instances of `revision` in `slot` are not healthy: a sentence for each cause, and the app's last lines.
    pub(crate) fn ailments(&self, app: &App, slot: Slot, revision: RevisionId) -> (String, Vec<String>) {
        let mut ill = Vec::new();
        let mut silent = Vec::new();
        let mut starting = Vec::new();
        let mut lines = Vec::new();
        for seen in self.of(slot, revision) {
            match &seen.phase {
                Phase::Unhealthy { cause, .. } | Phase::Crashed { cause, .. } => {
                    ill.push((seen.id.as_str(), cause.cause.as_str()));
                    lines.extend(cause.detail.iter().cloned());
                }
                Phase::Starting { last, .. } => {
                    starting.push((seen.id.as_str(), last.as_deref().unwrap_or("no answer yet")));
                }
                Phase::Healthy { .. } => {
                    silent.extend(self.silence(app, seen).map(|silence| (seen.id.as_str(), silence)));
                    if app.is_routed(revision, &seen.process) && !app.has_answered(seen) {
                        starting.push((seen.id.as_str(), "asked for its health, and no answer yet"));
                    }
                }
                Phase::Stopping { .. } => {}
            }
        }
        let silent: Vec<_> = silent
            .into_iter()
            .map(|(id, silence)| (id, format!("asked for its health for {}, and no good answer", silence.rounded())))
            .collect();
        ill.extend(silent.iter().map(|(id, why)| (*id, why.as_str())));
        ill.extend(starting);
        if self.platform.is_none() {
            return ("The platform could not be asked.".to_owned(), lines);
        }
        if ill.is_empty() {
            let is_empty = self.of(slot, revision).next().is_none();
            let said = if is_empty { "No instance was seen." } else { "No instance was seen to be ill." };
            return (said.to_owned(), lines);
        }
        (ailment::sentences(&ill), lines)
    }

    /// Since when everything left in `slot` is stopping; nothing when something is not, or nobody can look.
    pub(crate) fn stopping_since(&self, slot: Slot) -> Option<Timestamp> {
        self.platform?;
        let begun = self.in_slot(slot).map(|seen| match seen.phase {
            Phase::Stopping { since } => Some(since),
            Phase::Starting { .. } | Phase::Healthy { .. } | Phase::Unhealthy { .. } | Phase::Crashed { .. } => None,
        });
        begun.collect::<Option<Vec<Timestamp>>>().and_then(|begun| begun.into_iter().max())
    }

    /// Why an instance of `revision` in `slot` ends by itself, where the platform knows more than that it does.
    pub(crate) fn known_reason(&self, slot: Slot, revision: RevisionId) -> Option<&'a Problem> {
        self.of(slot, revision).find_map(|seen| match &seen.phase {
            Phase::Crashed { cause, .. } => {
                Some(cause).filter(|cause| cause.code != "INSTANCE-EXITED" && !cause.next.is_empty())
            }
            Phase::Starting { .. } | Phase::Healthy { .. } | Phase::Unhealthy { .. } | Phase::Stopping { .. } => None,
        })
    }

    /// What can be done about the first instance of `revision` in `slot` that ails, where the platform says it.
    pub(crate) fn remedy(&self, slot: Slot, revision: RevisionId) -> Option<&'a str> {
        self.of(slot, revision).find_map(|seen| match &seen.phase {
            Phase::Unhealthy { cause, .. } | Phase::Crashed { cause, .. } => {
                Some(cause.next.as_str()).filter(|next| !next.is_empty())
            }
            Phase::Starting { .. } | Phase::Healthy { .. } | Phase::Stopping { .. } => None,
        })
    }
}

pub(crate) fn is_healthy(seen: &InstanceSeen) -> bool {
    matches!(seen.phase, Phase::Healthy { .. })
}

pub(crate) fn is_stopping(seen: &InstanceSeen) -> bool {
    matches!(seen.phase, Phase::Stopping { .. })
}
