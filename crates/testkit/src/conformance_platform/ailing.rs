//! Cases about instances that ail: asked, and replaced.

use std::collections::BTreeSet;

use switchover_model::Slot;
use switchover_model::seam::InstanceSeen;

use super::{Case, PlatformBed, WEB, ids, is_healthy};

/// Who shall be none of the slot gives its place to a new one, whoever looks; the others stay.
pub async fn one_that_is_not_wanted_is_replaced<B: PlatformBed>(case: &mut Case<B>) {
    case.seal(1, &[("web", WEB)]).await;
    case.ensure_web(Slot::Blue, 1, 2).await;
    let before = case.until_healthy(2).await;
    let (gone, stays) = (before[0].id.clone(), before[1].id.clone());
    case.without = [gone.clone(), "nobody".parse().expect("a name")].into();
    case.ensure_web(Slot::Blue, 1, 2).await;
    case.ensure_web(Slot::Blue, 1, 2).await;
    let replaced = |seen: &[InstanceSeen]| seen.iter().filter(|seen| is_healthy(seen)).count() == 2;
    let after = case.until("another one has its place", replaced).await;
    let healthy: BTreeSet<_> = after.iter().filter(|seen| is_healthy(seen)).map(|seen| seen.id.clone()).collect();
    assert!(healthy.contains(&stays) && !healthy.contains(&gone), "{after:#?}");
    case.bed.restart().await;
    case.ensure_web(Slot::Blue, 1, 2).await;
    assert_eq!(ids(&case.until_healthy(2).await), healthy);
}

/// Who is to be asked after a moment is seen to have answered; nobody is changed by it.
pub async fn one_that_is_asked_answers<B: PlatformBed>(case: &mut Case<B>) {
    case.seal(1, &[("web", WEB)]).await;
    case.ensure_web(Slot::Blue, 1, 2).await;
    case.until_healthy(2).await;
    for _ in 0..2 {
        let seen = case.observe().await;
        assert!(seen.instances.iter().all(|seen| seen.answered_since == case.asked_since));
        case.asked_since = Some(seen.at);
        case.ensure_web(Slot::Blue, 1, 2).await;
        let answered = |after: &[InstanceSeen]| after.iter().all(|after| after.answered_since == Some(seen.at));
        let after = case.until("they have answered", answered).await;
        assert_eq!(ids(&after), ids(&seen.instances));
    }
}
