//! What a traffic that can split must do: each case is for those that say they can.

use switchover_model::seam::{Ability, Condition, Match, Measured, Part, Routes, Sticky, StickyKind};
use switchover_model::{RevisionId, Share, Slot};

use super::{Request, TrafficBed};

/// Clients that are sent through a split: enough for a share to show, few enough to be sent again at each share.
pub(super) const CLIENTS: u32 = 400;

/// Routes in which revision 2 (green) has `new` of 10,000 and revision 1 (blue) the rest.
pub(super) fn split(bed: &dyn TrafficBed, version: u64, new: u16, sticky: Sticky) -> Routes {
    let new = Share::from_basis_points(new).expect("a share");
    let mut routes = bed.routes(version, 1);
    for arm in &mut routes.arms {
        arm.share = if arm.revision == RevisionId(2) { new } else { new.rest() };
    }
    routes.sticky = sticky;
    routes
}

pub(super) fn by_header() -> Sticky {
    Sticky::Header { name: "X-User".parse().expect("a name") }
}

fn beta(value: &str, slot: Slot, revision: u32) -> Match {
    let condition = Condition::Header { name: "X-Beta".parse().expect("a name"), value: value.to_owned() };
    Match { slot, revision: RevisionId(revision), when: vec![condition] }
}

fn can(bed: &dyn TrafficBed, needs: &[Ability]) -> bool {
    let abilities = bed.traffic().abilities();
    needs.iter().all(|need| abilities.can(*need))
}

/// Whether the bed carries requests and its traffic can what a case needs.
pub(super) fn carries(bed: &dyn TrafficBed, needs: &[Ability]) -> bool {
    bed.request() != Request::NotCarried && can(bed, needs)
}

pub(super) async fn ensure(bed: &dyn TrafficBed, routes: &Routes) {
    bed.traffic().ensure(routes).await.expect("ensured");
}

/// Whether the new revision answered.
#[track_caller]
fn is_new(answered: Request) -> bool {
    match answered {
        Request::AnsweredBy(RevisionId(revision)) => revision == 2,
        ended @ (Request::Unanswered | Request::NotCarried) => panic!("a request was not answered: {ended:?}"),
    }
}

/// Which of the users get the new revision.
pub(super) fn sides(bed: &dyn TrafficBed) -> Vec<bool> {
    (0..CLIENTS).map(|user| is_new(bed.request_with(&[("X-User", &format!("user-{user}"))]).0)).collect()
}

#[track_caller]
fn assert_within_band(sides: &[bool], new: u16) {
    let part = f64::from(new) / 10_000.0;
    let expected = f64::from(CLIENTS) * part;
    // The binomial band of 99.9 %.
    let band = 3.29 * (expected * (1.0 - part)).sqrt() + 1.0;
    let count = sides.iter().map(|is_new| f64::from(u8::from(*is_new))).sum::<f64>();
    assert!((count - expected).abs() <= band, "{count} of {expected} +- {band} at {new}");
}

pub(super) async fn measured(bed: &dyn TrafficBed) -> Option<Measured> {
    bed.traffic().observe(&bed.app()).await.expect("observed").measured
}

/// What was set is what is seen, each part of it, and the same again changes nothing.
pub async fn a_split_is_in_force_as_it_was_set(bed: &dyn TrafficBed) {
    if !can(bed, &[Ability::Weights, Ability::Matches, Ability::Baseline, Ability::Sticky(StickyKind::Header)]) {
        return;
    }
    let mut routes = split(bed, 1, 2_500, by_header());
    routes.matches = vec![beta("yes", Slot::Green, 2)];
    routes.baseline = Some(Slot::Blue);
    let mut last = None;
    for _ in 0..2 {
        ensure(bed, &routes).await;
        let seen = bed.traffic().observe(&bed.app()).await.expect("observed");
        assert_eq!(seen.routes.as_ref(), Some(&routes));
        assert!(last.is_none() || last == seen.in_force_since);
        last = seen.in_force_since;
    }
}

/// Monotone: no client moves back while the share grows, and those that came last return first.
pub async fn clients_of_a_split_stay_on_their_side_while_the_share_grows_and_return_when_it_falls(
    bed: &dyn TrafficBed,
) {
    if !carries(bed, &[Ability::Weights, Ability::Sticky(StickyKind::Header)]) {
        return;
    }
    let mut before: Option<Vec<bool>> = None;
    let mut at = Vec::new();
    for (version, new) in (1..).zip([0, 500, 2_500, 10_000]) {
        ensure(bed, &split(bed, version, new, by_header())).await;
        let now = sides(bed);
        assert_within_band(&now, new);
        let moved_back = before.iter().flatten().zip(&now).filter(|(was, is)| **was && !**is).count();
        assert_eq!(moved_back, 0, "at {new}");
        at.push((new, now.clone()));
        before = Some(now);
    }
    for (version, (new, earlier)) in (5..).zip(at.into_iter().rev().skip(1)) {
        ensure(bed, &split(bed, version, new, by_header())).await;
        assert!(sides(bed) == earlier, "other clients than before at {new}");
    }
}

/// By a cookie of the traffic's own: it is set while there is a split, not before and not again.
pub async fn a_cookie_keeps_a_client_on_its_side_and_whoever_has_none_is_given_one(bed: &dyn TrafficBed) {
    if !carries(bed, &[Ability::Weights, Ability::Sticky(StickyKind::Cookie)]) {
        return;
    }
    ensure(bed, &split(bed, 1, 0, Sticky::Cookie)).await;
    assert_eq!(bed.request_with(&[]).1, None, "nothing is split");
    ensure(bed, &split(bed, 2, 5_000, Sticky::Cookie)).await;
    let mut sides = [0_u32; 2];
    for _ in 0..40 {
        let (answered, set) = bed.request_with(&[]);
        let set = set.expect("a new client is given a cookie");
        let cookie = set.split(';').next().unwrap_or_default();
        sides[usize::from(is_new(answered))] += 1;
        for _ in 0..3 {
            let again = bed.request_with(&[("Cookie", &format!("other=1; {cookie}"))]);
            assert_eq!(again, (answered, None), "{set}");
        }
    }
    assert!(sides[0] > 4 && sides[1] > 4, "{sides:?} of new clients");
}

/// Rules go before shares, in their order.
pub async fn a_rule_leads_to_its_slot_whatever_the_share_and_the_first_one_counts(bed: &dyn TrafficBed) {
    if !carries(bed, &[Ability::Matches]) {
        return;
    }
    let mut routes = bed.routes(1, 1);
    routes.matches = vec![beta("no", Slot::Blue, 1), beta("yes", Slot::Green, 2), beta("no", Slot::Green, 2)];
    ensure(bed, &routes).await;
    for (value, expected) in [("yes", true), ("no", false), ("Yes", false), ("", false)] {
        assert_eq!(is_new(bed.request_with(&[("X-Beta", value)]).0), expected, "{value}");
    }
    assert!(!is_new(bed.request()));
    let Some(measured) = measured(bed).await else { return };
    let told: Vec<_> = measured.arms.iter().map(|arm| (arm.revision.0, arm.part, arm.requests())).collect();
    assert_eq!(told, [(1, Part::Share, 3), (1, Part::Matched, 1), (2, Part::Matched, 1)]);
    // Without the rule they go by the share again.
    ensure(bed, &bed.routes(2, 1)).await;
    assert!(!is_new(bed.request_with(&[("X-Beta", "yes")]).0));
}

/// The baseline is as large as the new slot's share, and every version of the routes counts its own clients.
pub async fn a_baseline_is_measured_apart_and_clients_are_those_of_the_version(bed: &dyn TrafficBed) {
    if !carries(bed, &[Ability::Weights, Ability::Baseline, Ability::Sticky(StickyKind::Header)]) {
        return;
    }
    for (version, new) in [(1, 1_000), (2, 3_000)] {
        let mut routes = split(bed, version, new, by_header());
        routes.baseline = Some(Slot::Blue);
        ensure(bed, &routes).await;
        let on_new = sides(bed).iter().filter(|is_new| **is_new).count();
        let Some(measured) = measured(bed).await else { return };
        assert_eq!(measured.version, Some(version));
        let clients = |revision, part| {
            let arms = measured.arms.iter().filter(|arm| (arm.revision, arm.part) == (RevisionId(revision), part));
            arms.map(|arm| arm.clients).sum::<u64>()
        };
        let [new_clients, baseline, rest] =
            [(2, Part::Share), (1, Part::Baseline), (1, Part::Share)].map(|(revision, part)| clients(revision, part));
        let near = |count: u64, share: u16| {
            let expected = f64::from(CLIENTS) * f64::from(share) / 10_000.0;
            let off = f64::from(u32::try_from(count).expect("few")) - expected;
            // Two that fall into one bucket are one client.
            assert!(off.abs() <= 4.0 * expected.sqrt() + 10.0, "{count} clients of {expected} in {version}");
        };
        near(new_clients, new);
        near(baseline, new);
        near(rest, 10_000 - 2 * new);
        assert!(new_clients <= u64::try_from(on_new).expect("few"));
    }
}

/// Whoever has seen on which side he is counts at the next share as well, whether he comes again or not.
pub async fn nobody_changes_who_came_by_coming_again_or_staying_away(bed: &dyn TrafficBed) {
    if !carries(bed, &[Ability::Weights, Ability::Sticky(StickyKind::Header)]) {
        return;
    }
    ensure(bed, &split(bed, 1, 2_000, by_header())).await;
    let first = sides(bed);
    let came = |measured: Option<Measured>| measured.map(|measured| measured.split.expect("who came is told"));
    let Some(before) = came(measured(bed).await) else { return };
    ensure(bed, &split(bed, 2, 5_000, by_header())).await;
    for user in (0..CLIENTS).filter(|user| first[*user as usize]) {
        assert!(is_new(bed.request_with(&[("X-User", &format!("user-{user}"))]).0));
    }
    let Some(after) = came(measured(bed).await) else { return };
    let [new, old] = [2, 1].map(|revision| after.clients(RevisionId(revision)));
    assert_eq!(new + old, before.clients(RevisionId(2)) + before.clients(RevisionId(1)), "{after:?}");
    assert_eq!(after.share(RevisionId(2)).basis_points(), 5_000);
    assert_eq!((after.since, after.key), (before.since, before.key));
    // Half of them, within five standard deviations.
    let off = 2 * new.abs_diff((new + old) / 2);
    assert!(off * off <= 25 * (new + old), "{new} of {} came to the half", new + old);
}
