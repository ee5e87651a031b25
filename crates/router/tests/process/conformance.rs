//! What every implementation of [`Traffic`] must do, asked through the trait alone.

use switchover_model::seam::{Routes, SeamError, Traffic};
use switchover_model::{AppName, RevisionId};

use crate::bed::{Router, Upstream, assert_closes, routes, shop};

/// Runs the suite. `routes_of(version, live)` makes routes in which revision `live` (1 or 2) has all the traffic; `request`
/// sends one user's request and returns the revision that answered it, or nothing when none did.
async fn check(
    traffic: &dyn Traffic,
    app: &AppName,
    routes_of: impl Fn(u64, u32) -> Routes,
    request: impl Fn() -> Option<RevisionId>,
) {
    // Never routed: known to be nothing, which is not the same as unknown.
    let seen = traffic.observe(app).await.unwrap();
    assert_eq!((&seen.routes, seen.in_force_since), (&None, None));
    assert_eq!(request(), None);

    // In force when it returns, and the same again changes nothing.
    traffic.ensure(&routes_of(1, 1)).await.unwrap();
    let first = traffic.observe(app).await.unwrap();
    assert_eq!(first.routes, Some(routes_of(1, 1)));
    assert_eq!(request(), Some(RevisionId(1)));
    traffic.ensure(&routes_of(1, 1)).await.unwrap();
    assert_eq!(traffic.observe(app).await.unwrap().in_force_since, first.in_force_since);

    // A switch is one change, later than the one before.
    traffic.ensure(&routes_of(2, 2)).await.unwrap();
    let second = traffic.observe(app).await.unwrap();
    assert_eq!(second.routes, Some(routes_of(2, 2)));
    assert!(second.in_force_since > first.in_force_since && second.at >= first.at);
    assert_eq!(request(), Some(RevisionId(2)));

    // An older version is refused and changes nothing.
    assert!(matches!(traffic.ensure(&routes_of(1, 1)).await, Err(SeamError::Refused(_))));
    assert_eq!(traffic.observe(app).await.unwrap().routes, Some(routes_of(2, 2)));
    assert_eq!(request(), Some(RevisionId(2)));

    // And back: every answer is accounted for.
    traffic.ensure(&routes_of(3, 1)).await.unwrap();
    assert_eq!(request(), Some(RevisionId(1)));
    let ledger = traffic.observe(app).await.unwrap().ledger;
    assert_closes(&ledger);
    assert_eq!((ledger.accepted, ledger.in_flight), (4, 0));
    assert_eq!(ledger.by_revision[&RevisionId(1)].answered[1], 2);

    // Out of the table: nobody answers, the counters stay; taking it out again changes nothing.
    traffic.remove(app).await.unwrap();
    traffic.remove(app).await.unwrap();
    assert_eq!(request(), None);
    let gone = traffic.observe(app).await.unwrap();
    assert_eq!(gone.routes, None);
    assert_eq!(gone.ledger.by_revision, ledger.by_revision);
}

#[test]
fn the_router_does_what_every_traffic_must() {
    let router = Router::start(2);
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let routes_of = |version, live| routes(version, &[(1, live == 1, &[&blue]), (2, live == 2, &[&green])]);
    let request = || {
        let answer = router.get("shop");
        [("blue", 1), ("green", 2)].into_iter().find(|(name, _)| answer.ends_with(name)).map(|(_, r)| RevisionId(r))
    };
    router.block_on(check(&router.client, &shop(), routes_of, request));
}
