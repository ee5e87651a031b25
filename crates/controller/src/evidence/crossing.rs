//! Clients of an experiment that were on both of its sides: they are nobody's evidence, and with many of them nothing is.
//!
//! They come where a rule leads a client only now and then (its header is not with every request), or where a side had nobody
//! who could answer.

use switchover_model::evidence::Verdict;
use switchover_model::experiment::SplitSaid;
use switchover_model::seam::{GOAL_GROUPS, GoalsMeasured, Part};

/// So many of a hundred clients of the smaller side may have been on the other one, too.
const MOST_PERCENT: f64 = 1.0;
/// So few clients on both sides say nothing, unless they are a tenth of a side.
const FEW: u64 = 5;
/// Standard deviations above what chance brings that are held to be chance.
const DEVIATIONS: f64 = 4.0;

/// What is said of a split, with those that were on both sides in mind. `by_chance` is what is said of its ratio, where it has
/// one; `sides` are the clients that are compared.
pub(super) fn said(
    by_chance: Option<SplitSaid>,
    measured: Option<&GoalsMeasured>,
    (new, old): (u64, u64),
) -> Option<SplitSaid> {
    let Some(measured) = measured else { return by_chance };
    let both = measured.on_both;
    let smaller = new.min(old);
    let are_many = both > FEW || (smaller > 2 * FEW && both * 10 > smaller);
    let off = are_many && as_f64(both) > alike(measured) + as_f64(smaller) * MOST_PERCENT / 100.0;
    let why = format!("{both} of {} clients were on both sides", new.saturating_add(old).saturating_sub(both));
    match (off, by_chance) {
        (true, _) => Some(SplitSaid { verdict: Verdict::Fail, why: format!("{why}: what is compared is not apart") }),
        (false, Some(said)) => Some(said),
        (false, None) if smaller == 0 => {
            Some(SplitSaid { verdict: Verdict::Inconclusive, why: "one side has nobody yet".to_owned() })
        }
        (false, None) => Some(SplitSaid { verdict: Verdict::Pass, why }),
    }
}

/// So many clients that a rule leads look like one of the other revision at most, as both fall into one group.
fn alike(measured: &GoalsMeasured) -> f64 {
    let of_rule = measured.arms.iter().filter(|arm| arm.part == Part::Matched);
    let expected: f64 = of_rule
        .map(|arm| {
            let others = measured.arms.iter().filter(|other| other.revision != arm.revision);
            let others: f64 = others.map(|other| as_f64(other.clients)).sum();
            as_f64(arm.clients) * others / as_f64(GOAL_GROUPS)
        })
        .sum();
    expected + DEVIATIONS * expected.sqrt()
}

#[expect(clippy::cast_precision_loss, reason = "clients: far fewer than 2^52")]
const fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use switchover_model::RevisionId;
    use switchover_model::seam::GoalArm;

    use super::*;

    fn measured(matched: u64, old: u64, on_both: u64) -> GoalsMeasured {
        let arm =
            |revision, part, clients| GoalArm { revision: RevisionId(revision), part, clients, goals: Vec::new() };
        let arms = vec![arm(2, Part::Matched, matched), arm(1, Part::Share, old)];
        GoalsMeasured { experiment: 1, since: 1, key: 1, arms, on_both }
    }

    fn verdict(matched: u64, old: u64, on_both: u64) -> Verdict {
        said(None, Some(&measured(matched, old, on_both)), (matched, old)).unwrap().verdict
    }

    #[test]
    fn more_than_one_in_a_hundred_is_too_many_and_a_handful_is_not() {
        assert_eq!(verdict(37, 38, 37), Verdict::Fail);
        assert_eq!(verdict(1_000, 1_000, 9), Verdict::Pass);
        assert_eq!(verdict(1_000, 1_000, 30), Verdict::Fail);
        assert_eq!(verdict(8, 8, 5), Verdict::Pass, "so few prove nothing else");
        assert_eq!((verdict(40, 40, 5), verdict(40, 40, 4)), (Verdict::Fail, Verdict::Pass));
        assert_eq!(verdict(0, 8, 0), Verdict::Inconclusive);
    }

    #[test]
    fn those_that_only_look_alike_are_not_held_against_it() {
        // 100,000 of each: about 3,900 fall into one group with one of the others.
        assert_eq!(verdict(100_000, 100_000, 3_900), Verdict::Pass);
        assert_eq!(verdict(100_000, 100_000, 6_000), Verdict::Fail);
    }

    #[test]
    fn a_ratio_is_told_where_nobody_crossed() {
        let ratio = || Some(SplitSaid { verdict: Verdict::Pass, why: "as set".to_owned() });
        assert_eq!(said(ratio(), None, (0, 0)), ratio());
        assert_eq!(said(ratio(), Some(&measured(0, 100, 0)), (100, 100)), ratio());
        assert_eq!(said(ratio(), Some(&measured(0, 100, 50)), (100, 100)).unwrap().verdict, Verdict::Fail);
    }
}
