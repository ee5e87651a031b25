//! What a traffic that can count goals must do.

use switchover_model::RevisionId;
use switchover_model::seam::{Ability, Goals, Part, StickyKind};

use super::TrafficBed;
use super::splits::{CLIENTS, by_header, carries, ensure, measured, sides, split};

/// Clients of each side and those who reached a goal are counted once, however often they come.
pub async fn clients_that_reach_a_goal_count_once_each(bed: &dyn TrafficBed) {
    if !carries(bed, &[Ability::Weights, Ability::Goals, Ability::Sticky(StickyKind::Header)]) {
        return;
    }
    let goals = |experiment| {
        let requests = ["GET / 2xx", "GET / 5xx", "POST / 2xx", "GET /elsewhere 2xx"];
        Some(Goals { experiment, requests: requests.map(|goal| goal.parse().expect("a goal")).to_vec() })
    };
    let mut routes = split(bed, 1, 5_000, by_header());
    routes.goals = goals(7);
    ensure(bed, &routes).await;
    assert_eq!(bed.traffic().observe(&bed.app()).await.expect("observed").routes.as_ref(), Some(&routes));
    let on_new = sides(bed).iter().filter(|is_new| **is_new).count();
    sides(bed);
    let on_new = u64::try_from(on_new).expect("few");
    for (revision, clients) in [(1, u64::from(CLIENTS) - on_new), (2, on_new)] {
        let counted = measured(bed).await.and_then(|measured| measured.goals).expect("counted");
        let is_it = |arm: &&_| (arm_of(arm)) == (RevisionId(revision), Part::Share);
        let arm = counted.arms.iter().find(is_it).expect("it had clients");
        // Two of so few fall into one of 2,560,000 groups about once in thirty times.
        assert!(arm.clients <= clients && arm.clients + 2 >= clients, "{arm:?} of {clients}");
        let reached: Vec<_> = arm.goals.iter().map(|goal| (goal.clients, goal.requests)).collect();
        assert_eq!(reached, [(arm.clients, clients * 2), (0, 0), (0, 0), (0, 0)]);
    }
    // The same experiment goes on by other routes; another one begins at nothing.
    for (version, experiment, goes_on) in [(2, 7, true), (3, 8, false)] {
        let mut routes = split(bed, version, 5_000, by_header());
        routes.goals = goals(experiment);
        ensure(bed, &routes).await;
        let counted = measured(bed).await.and_then(|measured| measured.goals).expect("counted");
        assert_eq!((counted.experiment, !counted.arms.is_empty()), (experiment, goes_on));
    }
}

fn arm_of(arm: &switchover_model::seam::GoalArm) -> (RevisionId, Part) {
    (arm.revision, arm.part)
}
