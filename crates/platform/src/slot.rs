//! Making a slot run what it shall: the directories say so, and the tasks and shims follow.

use std::collections::BTreeSet;
use std::{fs, io};

use switchover_model::config::{Handover, MAX_INSTANCES};
use switchover_model::revision::RevisionProcess;
use switchover_model::seam::{Phase, ProcessGoal, Role, SeamError, SlotSpec};
use switchover_model::{AppName, InstanceId, ProcessName, Slot, Span};

use crate::clock;
use crate::durable;
use crate::headroom;
use crate::instance::{Goal, InstanceSpec};
use crate::layout::InstanceDir;
use crate::process_platform::{Shared, lock, unreachable};
use crate::seal;

/// What leaving takes beyond the drain: a table without the instance comes into force, and upgrades are closed over two
/// seconds.
const LEAVING: Span = Span::from_secs(4);

impl Shared {
    /// Makes the directories say `spec`; the tasks and shims follow.
    pub(crate) fn ensure(&self, spec: &SlotSpec) -> Result<(), SeamError> {
        let change = self.change_of(&spec.app);
        let _change = lock(&change);
        self.clear_half_made(&spec.app).map_err(|error| unreachable(&error))?;
        let instances = self.instances(&spec.app).map_err(|error| unreachable(&error))?;
        if let Some(asked_since) = spec.asked_since {
            lock(&self.asked).insert((spec.app.clone(), spec.slot), asked_since);
        }
        let in_slot: Vec<_> = instances.iter().filter(|(_, instance, _)| instance.slot == spec.slot).collect();
        let mut missing = Vec::new();
        let mut kept = BTreeSet::new();
        for (process, goal) in &spec.processes {
            let Some(revised) = spec.revision.processes.get(process) else { continue };
            let count = wanted(revised, *goal).min(MAX_INSTANCES);
            let mut places = BTreeSet::new();
            let mut fitting: Vec<_> = in_slot
                .iter()
                .filter(|(_, instance, instance_goal)| {
                    instance.process == *process
                        && instance.revision == spec.revision.id
                        && self.is_current(instance)
                        && *instance_goal == Goal::Run
                        && !spec.without.contains(&instance.id)
                })
                .collect();
            // Those who can serve stay: who is ill goes first.
            fitting.sort_by_key(|(_, instance, _)| (self.standing(&instance.id), instance.place));
            for (dir, instance, _) in fitting {
                if places.len() == count as usize || !places.insert(instance.place) {
                    continue;
                }
                kept.insert(&instance.id);
                if let Some(watched) = lock(&self.watched).get(&instance.id) {
                    watched.stay();
                    watched.ask(spec.asked_since);
                }
                if instance.handover == Some(Handover::Lease) && dir.root.exists() {
                    dir.tell_role(goal.role).map_err(|error| unreachable(&error))?;
                }
            }
            let one_still_stops = revised.handover == Some(Handover::StopFirst)
                && in_slot.iter().any(|(_, instance, instance_goal)| {
                    instance.process == *process
                        && self.is_current(instance)
                        && (*instance_goal == Goal::Stop || instance.revision != spec.revision.id)
                });
            // Never two at once: it is started by the next call, when the one before has ended.
            if !one_still_stops {
                let free = (0..).filter(|place| !places.contains(place)).take(count as usize - places.len());
                missing.extend(free.map(|place| (process.clone(), revised, goal.role, place)));
            }
        }
        // Where nobody can take its place, who is there stays.
        if !missing.is_empty() {
            seal::verify(&self.layout.revision(&spec.app, spec.revision.id), &spec.revision)
                .map_err(SeamError::Refused)?;
        }
        for (dir, instance, goal) in &in_slot {
            if !kept.contains(&instance.id) && *goal == Goal::Run {
                self.let_go(dir, instance, spec).map_err(|error| unreachable(&error))?;
            }
        }
        for (process, revised, role, place) in missing {
            self.create(spec, &process, revised, role, place).map_err(|error| {
                SeamError::Refused(headroom::state_problem(&format!("starting an instance of {process}"), &error))
            })?;
        }
        Ok(())
    }

    /// How well an instance can serve; the least is the best.
    fn standing(&self, instance: &InstanceId) -> u8 {
        let Some(watched) = lock(&self.watched).get(instance).cloned() else { return 2 };
        let is_silent = watched.silent_since().is_some();
        match watched.view().phase {
            Phase::Healthy { .. } if !is_silent => 0,
            // It was in service until it began to leave.
            Phase::Stopping { .. } if !is_silent => 1,
            Phase::Starting { .. } => 2,
            Phase::Healthy { .. } | Phase::Stopping { .. } | Phase::Unhealthy { .. } | Phase::Crashed { .. } => 3,
        }
    }

    /// An instance that the slot has no place for. What is in service leaves the table first and answers what it has.
    fn let_go(&self, dir: &InstanceDir, instance: &InstanceSpec, spec: &SlotSpec) -> io::Result<()> {
        let known = lock(&self.watched).get(&instance.id).cloned();
        let serving = known.filter(|watched| {
            instance.revision == spec.revision.id && self.is_current(instance) && watched.takes_requests()
        });
        match serving {
            Some(watched) => {
                let now = clock::now();
                let drain = if spec.idle.contains(&instance.id) { Span::ZERO } else { longest(spec) };
                if watched.leave(now + drain) {
                    self.tell_change();
                }
                Ok(())
            }
            None => self.order(dir, instance, Goal::Stop),
        }
    }

    fn create(
        &self,
        spec: &SlotSpec,
        process: &ProcessName,
        revised: &RevisionProcess,
        role: Role,
        place: u32,
    ) -> io::Result<()> {
        let mut random = [0; 6];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let id = format!("{}-{}-{process}-{place}.{}", spec.app, spec.slot, hex::encode(random));
        let id: InstanceId = id.parse().map_err(io::Error::other)?;
        let dir = self.layout.instance(&spec.app, &id);
        let by_lease = revised.handover == Some(Handover::Lease);
        if by_lease {
            durable::make_private_dir(&self.layout.leases(&spec.app))?;
        }
        let instance = InstanceSpec {
            id,
            app: spec.app.clone(),
            slot: spec.slot,
            process: process.clone(),
            place,
            revision: spec.revision.id,
            revision_dir: self.layout.revision(&spec.app, spec.revision.id).root,
            ports: self.layout.ports(),
            command: revised.command.clone(),
            health: revised.health.clone(),
            probe_host: spec.revision.probe_host.clone(),
            stop: revised.stop.clone(),
            handover: revised.handover,
            lease: by_lease.then(|| self.layout.lease(&spec.app, process)),
            artifact: Some(spec.revision.artifact.clone()),
            home: Some(self.home.clone()),
            boot: self.boot.clone(),
            created_at: clock::now(),
        };
        dir.create(&instance, role)
    }

    /// Clears directories of instances that were never finished: nothing was started in them.
    fn clear_half_made(&self, app: &AppName) -> io::Result<()> {
        let entries = match fs::read_dir(self.layout.instances(app)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with('.') {
                durable::remove_tree(&entry.path())?;
            }
        }
        Ok(())
    }

    pub(crate) fn stop(&self, app: &AppName, slot: Slot) -> io::Result<()> {
        let change = self.change_of(app);
        let _change = lock(&change);
        for (dir, instance, goal) in self.instances(app)? {
            if instance.slot == slot && goal == Goal::Run {
                self.order(&dir, &instance, Goal::Stop)?;
            }
        }
        Ok(())
    }
}

/// How long one that is too many may go on answering, where nobody says that it has nothing to answer.
fn longest(spec: &SlotSpec) -> Span {
    Span::from_micros(spec.drain.as_micros().saturating_add(LEAVING.as_micros()))
}

/// How many instances there shall be: a worker that stands by runs only when it works by lease.
fn wanted(process: &RevisionProcess, goal: ProcessGoal) -> u32 {
    match (goal.role, process.handover) {
        (Role::Active, _) | (Role::Standby, None | Some(Handover::Lease)) => goal.count,
        (Role::Standby, Some(Handover::StopFirst | Handover::StartFirst | Handover::Drain)) => 0,
    }
}
