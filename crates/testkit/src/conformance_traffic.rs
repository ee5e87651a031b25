//! What every `Traffic` must do, written once: an implementation brings a bed and registers.
//!
//! Flow: `switchover_testkit::traffic_conformance!(with_bed)` in a test file makes one test of each case, each with a bed
//! of its own. Guarantees: asked through the trait alone, and through requests as users send them where the bed can send
//! any.

mod goals;
mod shadow;
mod splits;

pub use goals::*;
pub use shadow::*;
pub use splits::*;

use switchover_model::receipt::Ledger;
use switchover_model::seam::{ArmMeasured, Evidence, Routes, SeamError, Traffic};
use switchover_model::{AppName, RevisionId};

/// What an implementation brings so that the cases can run on it.
pub trait TrafficBed {
    /// The app of this bed; its own.
    fn app(&self) -> AppName;

    /// The traffic under test, to which no routes were given yet.
    fn traffic(&self) -> &dyn Traffic;

    /// Routes in which revision `live` (1 in blue or 2 in green) has all the traffic and the other one none.
    fn routes(&self, version: u64, live: u32) -> Routes;

    /// Sends one user's request, `GET /` with these fields beside its `Host`, and waits for its end: who answered it, and the
    /// `Set-Cookie` of the answer, if it has one.
    fn request_with(&self, fields: &[(&str, &str)]) -> (Request, Option<String>);

    /// Sends one user's request that says nothing of itself.
    fn request(&self) -> Request {
        self.request_with(&[]).0
    }
}

/// How a user's request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// An instance of this revision answered it.
    AnsweredBy(RevisionId),
    /// No instance did.
    Unanswered,
    /// This traffic carries no requests: a simulated one.
    NotCarried,
}

/// A user's request is answered by revision `expected`, where the bed carries any.
#[track_caller]
fn answered(bed: &dyn TrafficBed, expected: Option<u32>) {
    let expected = expected.map_or(Request::Unanswered, |id| Request::AnsweredBy(RevisionId(id)));
    match bed.request() {
        Request::NotCarried => {}
        ended @ (Request::AnsweredBy(_) | Request::Unanswered) => assert_eq!(ended, expected),
    }
}

async fn ensure(bed: &dyn TrafficBed, version: u64, live: u32) {
    bed.traffic().ensure(&bed.routes(version, live)).await.expect("ensured");
}

async fn ledger(bed: &dyn TrafficBed) -> Ledger {
    bed.traffic().observe(&bed.app()).await.expect("observed").ledger
}

/// Never routed: known to be nothing, which is not the same as unknown.
pub async fn an_app_that_was_never_routed_is_known_to_have_no_routes(bed: &dyn TrafficBed) {
    let seen = bed.traffic().observe(&bed.app()).await.expect("observed");
    assert_eq!((&seen.routes, seen.in_force_since), (&None, None));
    assert_eq!(seen.ledger, Ledger::default());
    answered(bed, None);
}

/// In force when it returns, and the same again changes nothing.
pub async fn what_is_ensured_is_in_force_and_the_same_again_changes_nothing(bed: &dyn TrafficBed) {
    ensure(bed, 1, 1).await;
    let first = bed.traffic().observe(&bed.app()).await.expect("observed");
    assert_eq!(first.routes, Some(bed.routes(1, 1)));
    assert!(first.in_force_since.is_some_and(|since| since <= first.at), "{first:?}");
    answered(bed, Some(1));
    ensure(bed, 1, 1).await;
    let again = bed.traffic().observe(&bed.app()).await.expect("observed");
    assert_eq!((again.routes, again.in_force_since), (first.routes, first.in_force_since));
    answered(bed, Some(1));
}

/// A switch is one change, later than the one before, and so is the one back.
pub async fn a_switch_is_one_later_change_there_and_back(bed: &dyn TrafficBed) {
    let mut last = None;
    for (version, live) in [(1, 1), (2, 2), (3, 1)] {
        ensure(bed, version, live).await;
        let seen = bed.traffic().observe(&bed.app()).await.expect("observed");
        assert_eq!(seen.routes, Some(bed.routes(version, live)));
        assert!(seen.in_force_since > last && seen.in_force_since <= Some(seen.at), "{seen:?} after {last:?}");
        last = seen.in_force_since;
        answered(bed, Some(live));
    }
}

/// An older version is refused and changes nothing.
pub async fn an_older_version_is_refused_and_changes_nothing(bed: &dyn TrafficBed) {
    ensure(bed, 2, 2).await;
    let before = bed.traffic().observe(&bed.app()).await.expect("observed");
    assert!(matches!(bed.traffic().ensure(&bed.routes(1, 1)).await, Err(SeamError::Refused(_))));
    let after = bed.traffic().observe(&bed.app()).await.expect("observed");
    assert_eq!((after.routes, after.in_force_since), (before.routes, before.in_force_since));
    answered(bed, Some(2));
}

/// Every answer is accounted for, by whoever says that it counts every request.
pub async fn every_request_is_accounted_for(bed: &dyn TrafficBed) {
    match (bed.traffic().evidence(), bed.request()) {
        (Evidence::EveryRequest, Request::Unanswered | Request::AnsweredBy(_)) => {}
        (Evidence::EveryRequest, Request::NotCarried) | (Evidence::SampledMetrics | Evidence::SettingOnly, _) => return,
    }
    // What came before the first routes is no app's.
    assert_eq!(ledger(bed).await, Ledger::default());
    for (version, live) in [(1, 1), (2, 2), (3, 1)] {
        ensure(bed, version, live).await;
        answered(bed, Some(live));
    }
    let counted = ledger(bed).await;
    assert_closes(&counted);
    assert_eq!((counted.accepted, counted.in_flight), (3, 0));
    assert_eq!(counted.by_revision[&RevisionId(1)].answered, [0, 2, 0, 0, 0]);
    assert_eq!(counted.by_revision[&RevisionId(2)].answered, [0, 1, 0, 0, 0]);
}

/// What is measured is what was sent, each arm for itself, and within one epoch no count falls.
pub async fn what_is_measured_sums_up_to_what_was_sent(bed: &dyn TrafficBed) {
    let measured = async || bed.traffic().observe(&bed.app()).await.expect("observed").measured;
    match (bed.traffic().evidence(), bed.request()) {
        (Evidence::EveryRequest, Request::Unanswered | Request::AnsweredBy(_)) => {}
        (Evidence::EveryRequest, Request::NotCarried) | (Evidence::SampledMetrics | Evidence::SettingOnly, _) => return,
    }
    let Some(first) = measured().await else { return };
    assert_eq!(first.arms, [], "nothing was led anywhere yet");
    let mut before = first.clone();
    for (version, live, sent) in [(1, 1, 3), (2, 2, 4), (3, 1, 5)] {
        ensure(bed, version, live).await;
        for _ in 0..sent {
            answered(bed, Some(live));
        }
        let now = measured().await.expect("it measured before");
        assert_eq!(now.epoch, first.epoch, "a switch is no new beginning");
        assert!(now.at >= before.at);
        for arm in &now.arms {
            let earlier = before.arms.iter().find(|known| (known.revision, known.part) == (arm.revision, arm.part));
            let nothing = ArmMeasured::none(arm.revision, arm.process.clone(), arm.part);
            let since = arm.since(earlier.unwrap_or(&nothing)).expect("no count fell");
            let expected = if arm.revision == RevisionId(live) { sent } else { 0 };
            assert_eq!((since.answered, since.failed, since.aborted), ([0, expected, 0, 0, 0], 0, 0), "{arm:?}");
            // Clients are those of this version of the routes.
            let clients = u64::from(arm.revision == RevisionId(live));
            assert_eq!((since.latency.total(), arm.clients), (expected, clients), "{arm:?}");
        }
        before = now;
    }
    let total: u64 = before.arms.iter().map(ArmMeasured::requests).sum();
    assert_eq!((total, before.arms.len()), (12, 2));
    assert_eq!(ledger(bed).await.accepted, 12);
}

/// Out of the table: nobody answers, the counters stay; taking it out again changes nothing.
pub async fn a_removed_app_is_answered_by_nobody_and_keeps_its_counters(bed: &dyn TrafficBed) {
    ensure(bed, 1, 1).await;
    answered(bed, Some(1));
    let before = ledger(bed).await;
    for _ in 0..2 {
        bed.traffic().remove(&bed.app()).await.expect("removed");
        let gone = bed.traffic().observe(&bed.app()).await.expect("observed");
        assert_eq!((gone.routes, gone.in_force_since), (None, None));
        assert_eq!(gone.ledger.by_revision, before.by_revision);
    }
    answered(bed, None);
}

/// The invariant of every reading.
#[track_caller]
fn assert_closes(ledger: &Ledger) {
    let answered: u64 = ledger.by_revision.values().flat_map(|revision| revision.answered).sum();
    let own: u64 = ledger.own.values().map(|own| own.count).sum();
    let ended = answered + own + ledger.aborted + ledger.lost_with_router;
    assert_eq!(ledger.accepted, ended + ledger.in_flight, "{ledger:?}");
}

/// Makes one test of each case; the argument is a function that makes a bed and runs a case on it to its end.
#[macro_export]
macro_rules! traffic_conformance {
    ($with_bed:path) => {
        $crate::traffic_conformance!(
            $with_bed;
            an_app_that_was_never_routed_is_known_to_have_no_routes,
            what_is_ensured_is_in_force_and_the_same_again_changes_nothing,
            a_switch_is_one_later_change_there_and_back,
            an_older_version_is_refused_and_changes_nothing,
            every_request_is_accounted_for,
            what_is_measured_sums_up_to_what_was_sent,
            a_removed_app_is_answered_by_nobody_and_keeps_its_counters,
            a_split_is_in_force_as_it_was_set,
            clients_that_reach_a_goal_count_once_each,
            clients_of_a_split_stay_on_their_side_while_the_share_grows_and_return_when_it_falls,
            a_cookie_keeps_a_client_on_its_side_and_whoever_has_none_is_given_one,
            a_rule_leads_to_its_slot_whatever_the_share_and_the_first_one_counts,
            a_baseline_is_measured_apart_and_clients_are_those_of_the_version,
            nobody_changes_who_came_by_coming_again_or_staying_away,
            copies_go_to_the_mirrors_slot_and_no_user_is_answered_by_it,
        );
    };
    ($with_bed:path; $($case:ident,)+) => {
        $(
            #[test]
            fn $case() {
                $with_bed($crate::conformance_traffic::$case);
            }
        )+
    };
}
