//! What every `Platform` must do, written once: an implementation brings a bed and registers.
//!
//! Flow: `switchover_testkit::platform_conformance!(make_bed)` in a test file makes one test of each case. Guarantees:
//! each case has a bed of its own and waits for conditions with a deadline, never for time to pass.

mod ailing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use switchover_model::config::Handover;
use switchover_model::revision::Revision;
use switchover_model::seam::{InstanceSeen, Phase, Platform, PlatformSeen, ProcessGoal, Role, SlotSpec};
use switchover_model::{AppName, InstanceId, ProcessName, RevisionId, Slot, Span, Timestamp};

pub use ailing::{one_that_is_asked_answers, one_that_is_not_wanted_is_replaced};

/// How long a condition is waited for, by the platform's own clock.
const DEADLINE: Span = Span::from_secs(30);

/// The grace of every process of a case.
pub const GRACE: Span = Span::from_millis(700);

/// The health deadline of every routed process of a case.
pub const HEALTH_DEADLINE: Span = Span::from_millis(1500);

/// How an app of a case behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// It does what it should.
    Well,
    /// It answers, but never as a healthy app does.
    NeverHealthy,
    /// It prints a line and ends at once, with an error.
    ExitsAtOnce,
    /// It does not end when it is told to.
    IgnoresStop,
}

/// One process type of a case's app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// How it behaves.
    pub behaviour: Behaviour,
    /// Nothing for a routed process.
    pub handover: Option<Handover>,
}

/// A routed process that behaves well.
pub const WEB: Plan = Plan { behaviour: Behaviour::Well, handover: None };

/// What an implementation brings so that the cases can run on it.
#[async_trait]
pub trait PlatformBed: Send {
    /// The app of this bed; its own.
    fn app(&self) -> AppName;

    /// The platform as it is now.
    fn platform(&self) -> Arc<dyn Platform>;

    /// Puts another platform in the place of this one, as after a crash of the controller: the world stays.
    async fn restart(&mut self);

    /// Seals a revision with these process types; each has [`GRACE`] and, when routed, [`HEALTH_DEADLINE`].
    async fn seal(&mut self, id: RevisionId, processes: &BTreeMap<ProcessName, Plan>) -> Revision;

    /// Ends an instance's app from outside, as `kill -9` does.
    async fn kill_app(&mut self, instance: &InstanceSeen);

    /// Lets a little time pass.
    async fn pause(&mut self);

    /// Stops everything and checks that nothing of it is left.
    async fn finish(self);
}

/// A bed with the two words that every case says.
pub struct Case<B> {
    bed: B,
    revisions: BTreeMap<RevisionId, Revision>,
    without: BTreeSet<InstanceId>,
    asked_since: Option<Timestamp>,
}

impl<B: PlatformBed> Case<B> {
    /// Begins a case.
    pub fn new(bed: B) -> Self {
        Self { bed, revisions: BTreeMap::new(), without: BTreeSet::new(), asked_since: None }
    }

    /// Ends it.
    pub async fn finish(self) {
        self.bed.finish().await;
    }

    async fn seal(&mut self, id: u32, processes: &[(&str, Plan)]) {
        let processes = processes.iter().map(|(name, plan)| (process(name), *plan)).collect();
        let revision = self.bed.seal(RevisionId(id), &processes).await;
        self.revisions.insert(RevisionId(id), revision);
    }

    async fn ensure(&self, slot: Slot, id: u32, processes: &[(&str, u32, Role)]) {
        let goals =
            processes.iter().map(|(name, count, role)| (process(name), ProcessGoal { count: *count, role: *role }));
        let revision = self.revisions[&RevisionId(id)].clone();
        let (app, without, asked_since) = (self.bed.app(), self.without.clone(), self.asked_since);
        let (processes, idle) = (goals.collect(), BTreeSet::new());
        let spec = SlotSpec { app, slot, revision, processes, drain: Span::ZERO, without, idle, asked_since };
        self.bed.platform().ensure(&spec).await.expect("ensured");
    }

    async fn ensure_web(&self, slot: Slot, id: u32, count: u32) {
        self.ensure(slot, id, &[("web", count, Role::Active)]).await;
    }

    async fn stop(&self, slot: Slot) {
        self.bed.platform().stop(&self.bed.app(), slot).await.expect("stopped");
    }

    async fn observe(&self) -> PlatformSeen {
        self.bed.platform().observe(&self.bed.app()).await.expect("observed")
    }

    /// Waits until `condition` holds of what is seen.
    async fn until(&mut self, what: &str, condition: impl Fn(&[InstanceSeen]) -> bool) -> Vec<InstanceSeen> {
        let mut since: Option<Timestamp> = None;
        loop {
            let seen = self.observe().await;
            if condition(&seen.instances) {
                return seen.instances;
            }
            let since = *since.get_or_insert(seen.at);
            assert!(seen.at.since(since) < DEADLINE, "{what}: still {:#?}", seen.instances);
            self.bed.pause().await;
        }
    }

    async fn until_healthy(&mut self, count: usize) -> Vec<InstanceSeen> {
        self.until("all are healthy", |seen| seen.len() == count && seen.iter().all(is_healthy)).await
    }

    async fn until_none(&mut self) {
        self.until("nothing runs", <[InstanceSeen]>::is_empty).await;
    }
}

fn process(name: &str) -> ProcessName {
    name.parse().expect("a process name")
}

fn is_healthy(seen: &InstanceSeen) -> bool {
    matches!(seen.phase, Phase::Healthy { .. })
}

fn ids(seen: &[InstanceSeen]) -> BTreeSet<InstanceId> {
    seen.iter().map(|seen| seen.id.clone()).collect()
}

fn worker(handover: Handover) -> Plan {
    Plan { behaviour: Behaviour::Well, handover: Some(handover) }
}

// === The cases ===

/// Ensuring twice is ensuring once.
pub async fn ensuring_again_starts_nothing_again<B: PlatformBed>(case: &mut Case<B>) {
    case.seal(1, &[("web", WEB)]).await;
    case.ensure_web(Slot::Blue, 1, 2).await;
    case.ensure_web(Slot::Blue, 1, 2).await;
    let first = case.until_healthy(2).await;
    let addresses: BTreeSet<_> = first.iter().map(|seen| seen.address.expect("routed")).collect();
    assert_eq!(addresses.len(), 2, "each listens on a port of its own");
    assert!(first.iter().all(|seen| seen.slot == Slot::Blue && seen.revision == RevisionId(1) && seen.restarts == 0));
    case.ensure_web(Slot::Blue, 1, 2).await;
    assert_eq!(ids(&case.until_healthy(2).await), ids(&first));
}

/// Scaling keeps those who may stay.
pub async fn scaling_keeps_those_who_stay<B: PlatformBed>(case: &mut Case<B>) {
    case.seal(1, &[("web", WEB)]).await;
    case.ensure_web(Slot::Blue, 1, 1).await;
    let one = ids(&case.until_healthy(1).await);
    case.ensure_web(Slot::Blue, 1, 3).await;
    let three = ids(&case.until_healthy(3).await);
    assert!(three.is_superset(&one));
    case.ensure_web(Slot::Blue, 1, 1).await;
    let left = ids(&case.until_healthy(1).await);
    assert!(left.is_subset(&three));
}

/// A slot runs one revision.
pub async fn another_revision_takes_the_slot<B: PlatformBed>(case: &mut Case<B>) {
    case.seal(1, &[("web", WEB)]).await;
    case.seal(2, &[("web", WEB)]).await;
    case.ensure_web(Slot::Blue, 1, 2).await;
    let old = ids(&case.until_healthy(2).await);
    case.ensure_web(Slot::Blue, 2, 1).await;
    let new = case.until_healthy(1).await;
    assert_eq!(new[0].revision, RevisionId(2));
    assert!(old.is_disjoint(&ids(&new)), "an id is never used twice");
}

/// Stopping empties one slot and leaves the other alone.
pub async fn stopping_a_slot_leaves_the_other_alone<B: PlatformBed>(case: &mut Case<B>) {
    case.seal(1, &[("web", WEB)]).await;
    case.ensure_web(Slot::Blue, 1, 1).await;
    case.ensure_web(Slot::Green, 1, 1).await;
    let both = case.until_healthy(2).await;
    case.stop(Slot::Blue).await;
    case.stop(Slot::Blue).await;
    let left = case.until_healthy(1).await;
    assert_eq!(left[0].slot, Slot::Green);
    assert!(both.contains(&left[0]), "untouched");
    case.stop(Slot::Green).await;
    case.until_none().await;
}

/// Another controller finds every instance as it was, at its first look.
pub async fn a_restarted_platform_finds_everything<B: PlatformBed>(case: &mut Case<B>) {
    case.seal(1, &[("web", WEB), ("job", worker(Handover::StartFirst))]).await;
    let goals = [("web", 2, Role::Active), ("job", 1, Role::Active)];
    case.ensure(Slot::Green, 1, &goals).await;
    let before = case.until_healthy(3).await;
    case.bed.restart().await;
    let mut after = case.observe().await.instances;
    // They are known to be healthy from before, and about to be asked.
    after.iter_mut().for_each(|seen| seen.unanswered_since = None);
    assert_eq!(after, before);
    case.ensure(Slot::Green, 1, &goals).await;
    assert_eq!(ids(&case.until_healthy(3).await), ids(&before));
    case.bed.restart().await;
    case.stop(Slot::Green).await;
    case.until_none().await;
}

/// An instance that ended by itself is started again in its place.
pub async fn a_killed_app_is_started_again<B: PlatformBed>(case: &mut Case<B>) {
    case.seal(1, &[("web", WEB)]).await;
    case.ensure_web(Slot::Blue, 1, 1).await;
    let before = case.until_healthy(1).await;
    case.bed.kill_app(&before[0]).await;
    let again = |seen: &[InstanceSeen]| {
        seen.len() == 1 && seen[0].restarts == 1 && is_healthy(&seen[0]) && seen[0].address.is_some()
    };
    let after = case.until("it is back", again).await;
    assert_eq!(ids(&after), ids(&before));
}

/// A crash loop is reported with its cause, backs off, and can be stopped.
pub async fn a_crash_loop_is_reported_and_can_be_stopped<B: PlatformBed>(case: &mut Case<B>) {
    case.seal(1, &[("web", Plan { behaviour: Behaviour::ExitsAtOnce, handover: None })]).await;
    case.ensure_web(Slot::Blue, 1, 1).await;
    let crashed = |seen: &[InstanceSeen]| {
        seen.len() == 1 && seen[0].restarts >= 2 && matches!(&seen[0].phase, Phase::Crashed { .. })
    };
    let seen = case.until("it crashes again and again", crashed).await;
    let Phase::Crashed { cause, .. } = &seen[0].phase else { unreachable!("waited for") };
    assert_eq!(cause.code, "INSTANCE-EXITED");
    assert!(!cause.detail.is_empty(), "with the app's last lines: {cause:?}");
    case.stop(Slot::Blue).await;
    case.until_none().await;
}

/// Health that never comes is reported when its deadline has passed, not before.
pub async fn health_that_never_comes_is_reported<B: PlatformBed>(case: &mut Case<B>) {
    case.seal(1, &[("web", Plan { behaviour: Behaviour::NeverHealthy, handover: None })]).await;
    let began = case.observe().await.at;
    case.ensure_web(Slot::Blue, 1, 1).await;
    let unhealthy = |seen: &[InstanceSeen]| seen.iter().any(|seen| matches!(seen.phase, Phase::Unhealthy { .. }));
    let seen = case.until("it is unhealthy", unhealthy).await;
    let Phase::Unhealthy { cause, since } = &seen[0].phase else { unreachable!("waited for") };
    assert_eq!(cause.code, "HEALTH-NEVER-GREEN");
    assert!(since.since(began) >= HEALTH_DEADLINE);
    case.stop(Slot::Blue).await;
    case.until_none().await;
}

/// What does not end when told to is killed after its grace, not before.
pub async fn what_ignores_the_stop_is_killed_after_its_grace<B: PlatformBed>(case: &mut Case<B>) {
    case.seal(1, &[("web", Plan { behaviour: Behaviour::IgnoresStop, handover: None })]).await;
    case.ensure_web(Slot::Blue, 1, 1).await;
    case.until_healthy(1).await;
    let told = case.observe().await.at;
    case.stop(Slot::Blue).await;
    case.until("it is stopping", |seen| matches!(seen, [one] if matches!(one.phase, Phase::Stopping { .. }))).await;
    case.until_none().await;
    let took = case.observe().await.at.since(told);
    assert!(took >= GRACE && took < Span::from_secs(10), "{took}");
}

/// A worker that stands by does not run, unless it works by lease.
pub async fn a_worker_that_stands_by_does_not_run<B: PlatformBed>(case: &mut Case<B>) {
    for (revision, handover) in [(1, Handover::StopFirst), (2, Handover::StartFirst), (3, Handover::Drain)] {
        case.seal(revision, &[("web", WEB), ("job", worker(handover))]).await;
        case.ensure(Slot::Blue, revision, &[("web", 1, Role::Active), ("job", 1, Role::Standby)]).await;
        let only_web = |seen: &[InstanceSeen]| matches!(seen, [one] if one.process.as_str() == "web" && one.revision == RevisionId(revision) && is_healthy(one));
        case.until("the web runs alone", only_web).await;
        case.ensure(Slot::Blue, revision, &[("web", 1, Role::Active), ("job", 1, Role::Active)]).await;
        let both = case.until_healthy(2).await;
        assert!(both.iter().all(|seen| seen.role == Role::Active));
        assert!(both.iter().all(|seen| seen.address.is_some() == (seen.process.as_str() == "web")));
        case.ensure(Slot::Blue, revision, &[("web", 1, Role::Active), ("job", 1, Role::Standby)]).await;
        case.until("the web runs alone again", only_web).await;
    }
}

/// Two workers that must not run at once do not, even in one slot.
pub async fn a_stop_first_worker_is_not_started_beside_the_one_before<B: PlatformBed>(case: &mut Case<B>) {
    let stubborn = Plan { behaviour: Behaviour::IgnoresStop, handover: Some(Handover::StopFirst) };
    case.seal(1, &[("job", stubborn)]).await;
    case.seal(2, &[("job", worker(Handover::StopFirst))]).await;
    case.ensure(Slot::Blue, 1, &[("job", 1, Role::Active)]).await;
    case.until_healthy(1).await;
    let mut since = None;
    loop {
        // The controller asks again and again.
        case.ensure(Slot::Blue, 2, &[("job", 1, Role::Active)]).await;
        let seen = case.observe().await;
        assert!(seen.instances.len() <= 1, "{:#?}", seen.instances);
        if matches!(seen.instances.as_slice(), [one] if one.revision == RevisionId(2)) {
            break;
        }
        assert!(seen.at.since(*since.get_or_insert(seen.at)) < DEADLINE);
        case.bed.pause().await;
    }
}

/// A worker by lease runs in both roles, and stands by only when it has let go.
pub async fn a_worker_by_lease_changes_its_role_while_it_runs<B: PlatformBed>(case: &mut Case<B>) {
    case.seal(1, &[("job", worker(Handover::Lease))]).await;
    case.ensure(Slot::Blue, 1, &[("job", 1, Role::Standby)]).await;
    let first = case.until_healthy(1).await;
    assert_eq!(first[0].role, Role::Standby);
    for role in [Role::Active, Role::Standby, Role::Active] {
        case.ensure(Slot::Blue, 1, &[("job", 1, role)]).await;
        let seen = case.until("it has its role", |seen| seen.len() == 1 && seen[0].role == role).await;
        assert_eq!(ids(&seen), ids(&first), "the same instance");
    }
    case.bed.restart().await;
    assert_eq!(case.observe().await.instances[0].role, Role::Active);
}

/// An app that nobody knows has no instances.
pub async fn an_unknown_app_has_no_instances<B: PlatformBed>(case: &mut Case<B>) {
    assert_eq!(case.observe().await.instances, []);
    case.stop(Slot::Blue).await;
    assert_eq!(case.observe().await.instances, []);
}

/// Makes one test of each case; the argument is an async function that makes a bed.
#[macro_export]
macro_rules! platform_conformance {
    ($make_bed:path) => {
        $crate::platform_conformance!(
            $make_bed;
            ensuring_again_starts_nothing_again,
            scaling_keeps_those_who_stay,
            another_revision_takes_the_slot,
            stopping_a_slot_leaves_the_other_alone,
            a_restarted_platform_finds_everything,
            a_killed_app_is_started_again,
            one_that_is_not_wanted_is_replaced,
            one_that_is_asked_answers,
            a_crash_loop_is_reported_and_can_be_stopped,
            health_that_never_comes_is_reported,
            what_ignores_the_stop_is_killed_after_its_grace,
            a_worker_that_stands_by_does_not_run,
            a_stop_first_worker_is_not_started_beside_the_one_before,
            a_worker_by_lease_changes_its_role_while_it_runs,
            an_unknown_app_has_no_instances,
        );
    };
    ($make_bed:path; $($case:ident,)+) => {
        $(
            #[tokio::test]
            async fn $case() {
                let mut case = $crate::conformance_platform::Case::new($make_bed().await);
                $crate::conformance_platform::$case(&mut case).await;
                case.finish().await;
            }
        )+
    };
}
