//! What a traffic that can mirror must do.

use std::time::{Duration, Instant};

use switchover_model::RevisionId;
use switchover_model::Share;
use switchover_model::seam::{Ability, CompareRules, Mirror, MirrorRules, Routes, ShadowSeen};

use super::{Request, TrafficBed};

/// How long copies are waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// Requests that are sent.
const REQUESTS: u64 = 20;

/// Routes in which revision `live` has all the traffic and revision 2 gets copies of all of it.
fn mirrored(bed: &dyn TrafficBed, version: u64, live: u32, compare: Option<CompareRules>) -> Routes {
    let mut routes = bed.routes(version, live);
    let arm = routes.arms.iter().find(|arm| arm.revision == RevisionId(2)).expect("an arm").clone();
    routes.mirror = Some(Mirror { arm, rules: MirrorRules { compare, ..MirrorRules::of(Share::ALL) } });
    routes
}

/// What came of the copies when none is on its way any more.
async fn settled(bed: &dyn TrafficBed, sampled: u64) -> ShadowSeen {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let seen = bed.traffic().observe(&bed.app()).await.expect("observed");
        if let Some(seen) = seen.shadow {
            let ended = seen.dropped + seen.compared() + seen.left_out.values().sum::<u64>();
            if (seen.sampled, ended) == (sampled, sampled) {
                return seen;
            }
        }
        assert!(Instant::now() < deadline, "copies never ended");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Users are answered by the live slot alone, every copy is counted, and what differs is told.
pub async fn copies_go_to_the_mirrors_slot_and_no_user_is_answered_by_it(bed: &dyn TrafficBed) {
    if !bed.traffic().abilities().can(Ability::Mirror) {
        return;
    }
    let routes = mirrored(bed, 1, 1, None);
    bed.traffic().ensure(&routes).await.expect("ensured");
    let seen = bed.traffic().observe(&bed.app()).await.expect("observed");
    assert_eq!(seen.routes, Some(routes));
    if bed.request() == Request::NotCarried {
        return;
    }
    for _ in 1..REQUESTS {
        assert_eq!(bed.request(), Request::AnsweredBy(RevisionId(1)));
    }
    let seen = settled(bed, REQUESTS).await;
    assert_eq!((seen.revision, seen.dropped), (RevisionId(2), REQUESTS), "{seen:?}");

    let routes = mirrored(bed, 2, 1, Some(CompareRules::default()));
    bed.traffic().ensure(&routes).await.expect("ensured");
    for _ in 0..REQUESTS {
        assert_eq!(bed.request(), Request::AnsweredBy(RevisionId(1)));
    }
    let seen = settled(bed, 2 * REQUESTS).await;
    // The slots answer with their names.
    assert_eq!((seen.differing, seen.equal), (REQUESTS, 0), "{seen:?}");
    assert!(seen.differences().any(|(field, _)| field == "body"), "{seen:?}");

    // Whoever answers the user gets no copy.
    bed.traffic().ensure(&mirrored(bed, 3, 2, None)).await.expect("ensured");
    assert_eq!(bed.request(), Request::AnsweredBy(RevisionId(2)));
    assert_eq!(settled(bed, 2 * REQUESTS).await.sampled, 2 * REQUESTS);
    let ledger = bed.traffic().observe(&bed.app()).await.expect("observed").ledger;
    assert_eq!(ledger.accepted, 2 * REQUESTS + 1, "no copy is a request of a user's");
}
