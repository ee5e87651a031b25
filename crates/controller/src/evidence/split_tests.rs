use switchover_model::seam::SplitSide;
use switchover_model::{RevisionId, Span, Timestamp};

use super::*;

const NEW: RevisionId = RevisionId(2);
const OLD: RevisionId = RevisionId(1);
const BUCKETS: u64 = 10_000;

/// Numbers in no order, by their place in a row (`SplitMix64`).
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn split(by: SplitBy, alpha: f64) -> Split {
    let share: Share = "5%".parse().unwrap();
    let question = Question::SplitOff {
        share: Probability::new(0.05).unwrap(),
        tolerance: Probability::new(0.05 * PART_THAT_MATTERS).unwrap(),
        by,
    };
    let judge = Judge::new(&Rule::new(question, Probability::new(alpha).unwrap()));
    let by_process =
        ByProcess { judges: vec![("web".parse().unwrap(), judge.clone())], has_counted: false, is_over: false };
    let since = Timestamp::from_micros(1);
    Split { share, by, whole: Whole { since, judge, taken: (0, 0), last: None, over: None }, by_process }
}

const SIDES: Sides = Sides { new: NEW, old: Some(OLD) };

fn look(number: u64, arms: Vec<ArmMeasured>) -> Look {
    let at = |number: u64| Timestamp::from_micros(1_000_000) + Span::from_secs(number);
    Look { from: at(number), until: at(number + 1), arms, ..Look::default() }
}

fn arm(revision: RevisionId, part: Part, clients: u64) -> ArmMeasured {
    let mut arm = ArmMeasured::none(revision, "web".parse().unwrap(), part);
    (arm.clients, arm.answered[1]) = (clients, clients * 3);
    arm
}

/// How many of `runs` worlds find the split off, in which the router leads `led` of the buckets to the new side; with each run's
/// clients in looks of a hundred, as distinct buckets: told all in all, or by arm as a router of an earlier version does.
fn found(alpha: f64, led: u64, runs: u64, clients: u64) -> u64 {
    let off = [true, false].map(|all_in_all| {
        let is_found =
            |run: &u64| run_of(*run, (alpha, led, clients), all_in_all).verdict(false).verdict == Verdict::Fail;
        (0..runs).filter(is_found).count() as u64
    });
    assert_eq!(off[0], off[1], "both see the same");
    off[0]
}

fn run_of(run: u64, (alpha, led, clients): (f64, u64, u64), all_in_all: bool) -> Split {
    let mut split = split(SplitBy::Clients, alpha);
    let (mut met, mut all) = (vec![false; BUCKETS as usize], (0, 0));
    for number in 0..clients / 100 {
        let mut now = [0, 0];
        for client in 0..100 {
            let bucket = mixed(mixed(run) ^ (number * 100 + client)) % BUCKETS;
            if !std::mem::replace(&mut met[bucket as usize], true) {
                now[usize::from(bucket >= led)] += 1;
            }
        }
        all = (all.0 + now[0], all.1 + now[1]);
        if all_in_all {
            split.take(SIDES, &came(number, 1, all));
            continue;
        }
        // A baseline as large as the new side is a part of the live one.
        let baseline = now[1] / 19;
        let arms = vec![
            arm(NEW, Part::Share, now[0]),
            arm(OLD, Part::Baseline, baseline),
            arm(OLD, Part::Share, now[1] - baseline),
            arm(NEW, Part::Matched, 50),
        ];
        split.take(SIDES, &look(number, arms));
    }
    split
}

#[test]
fn a_split_that_is_right_is_found_off_no_more_often_than_the_rate_says() {
    // Five percent of 400 are 20; the 99.9 % band of it ends at 35.
    let off = found(0.05, 500, 400, 8_000);
    assert!(off <= 35, "{off} of 400 false alarms at 5 %");
    let off = found(0.01, 500, 400, 8_000);
    assert!(off <= 11, "{off} of 400 false alarms at 1 %");
}

#[test]
fn a_router_that_leads_seven_percent_where_five_were_decided_is_found() {
    assert!(found(0.001 / 4.0, 700, 100, 8_000) >= 95);
    // All buckets met: a side of one more percent is told, of a tenth of one is not.
    assert_eq!(found(0.001 / 4.0, 620, 10, 60_000), 10);
    assert_eq!(found(0.001 / 4.0, 510, 10, 60_000), 0);
}

#[test]
fn a_split_by_requests_counts_those_whose_client_left_too() {
    let mut split = split(SplitBy::Requests, 0.001);
    for number in 0..40 {
        let (mut new, mut old) = (arm(NEW, Part::Share, 0), arm(OLD, Part::Share, 0));
        // Twenty of the new side leave before their answer, five are answered: 25 of 500.
        (new.aborted, new.answered[1], old.answered[1]) = (20, 5, 475);
        split.take(SIDES, &look(number, vec![new, old]));
    }
    let said = split.verdict(false);
    assert_ne!(said.verdict, Verdict::Fail, "{said:?}");
    assert!(said.why.starts_with("5.00 % of 20000 requests of web, 5% was decided"), "{}", said.why);
}

#[test]
fn clients_are_not_counted_a_second_time() {
    let arms = || vec![arm(NEW, Part::Share, 500), arm(OLD, Part::Share, 9_500)];
    let mut split = split(SplitBy::Clients, 0.001);
    split.take(SIDES, &Look { recounted: true, ..look(0, arms()) });
    let before = split.verdict(false).why;
    assert!(before.contains("of 10000 clients"), "nothing was counted before: {before}");
    split.take(SIDES, &Look { recounted: true, ..look(1, arms()) });
    split.take(SIDES, &look(2, arms()));
    let said = split.verdict(false);
    assert!(said.why.starts_with(&before) && said.why.contains("began to count anew"), "{}", said.why);
}

fn came(number: u64, since: u64, (new, old): (u64, u64)) -> Look {
    let side = |revision, share: &str, clients| SplitSide { revision, share: share.parse().unwrap(), clients };
    let sides = vec![side(NEW, "5%", new), side(OLD, "95%", old)];
    Look { split: Some(SplitSeen { since, key: since, sides }), ..look(number, Vec::new()) }
}

#[test]
fn who_came_all_in_all_counts_once_and_goes_before_what_each_arm_had() {
    let mut split = split(SplitBy::Clients, 0.001);
    // All of the clients that come again are of the new side: the arms tell of them alone.
    let again = || vec![arm(NEW, Part::Share, 300)];
    for number in 0..20 {
        let came = came(number, 1, (50 + number, 950 + 19 * number));
        split.take(SIDES, &Look { arms: again(), recounted: number == 3, ..came });
    }
    let said = split.verdict(false);
    assert!(said.why.starts_with("5.00 % of 1380 clients, 5% was decided"), "{}", said.why);
    assert_ne!(said.verdict, Verdict::Fail);
}

#[test]
fn whom_another_router_counts_is_not_added_and_another_key_is_told() {
    let mut split = split(SplitBy::Clients, 0.001);
    split.take(SIDES, &came(0, 1, (50, 950)));
    let before = split.verdict(false).why;
    let mut restarted = came(1, 2, (500, 0));
    restarted.split.iter_mut().for_each(|split| split.key = 1);
    split.take(SIDES, &restarted);
    split.take(SIDES, &came(2, 1, (900, 950)));
    let said = split.verdict(false).why;
    assert!(
        said.starts_with(&before) && said.contains("the router began to count anew, and nothing is added"),
        "{said}"
    );
    let mut another = self::split(SplitBy::Clients, 0.001);
    another.take(SIDES, &came(0, 1, (50, 950)));
    another.take(SIDES, &came(1, 2, (500, 0)));
    let said = another.verdict(false).why;
    assert!(said.starts_with(&before) && said.contains("another key"), "{said}");
}

#[test]
fn what_was_counted_while_another_share_was_in_force_is_no_evidence() {
    let mut split = split(SplitBy::Clients, 0.001);
    let mut earlier = came(0, 1, (200, 800));
    earlier.split.iter_mut().flat_map(|split| &mut split.sides).for_each(|side| side.share = "50%".parse().unwrap());
    split.take(SIDES, &earlier);
    let said = split.verdict(false).why;
    assert!(said.starts_with("nothing of 0 clients"), "{said}");
}

#[test]
fn a_watch_is_judged_by_one_of_both_to_its_end() {
    let mut earlier = split(SplitBy::Clients, 0.001);
    earlier.take(SIDES, &look(0, vec![arm(NEW, Part::Share, 5), arm(OLD, Part::Share, 95)]));
    let arms = vec![arm(NEW, Part::Share, 5), arm(OLD, Part::Share, 95)];
    earlier.take(SIDES, &Look { arms, ..came(1, 1, (300, 700)) });
    let said = earlier.verdict(false).why;
    assert!(said.starts_with("5.00 % of 200 clients of web"), "{said}");
    let mut split = split(SplitBy::Clients, 0.001);
    split.take(SIDES, &came(0, 1, (5, 95)));
    split.take(SIDES, &look(1, vec![arm(NEW, Part::Share, 900)]));
    let said = split.verdict(false).why;
    assert!(said.starts_with("5.00 % of 100 clients,") && said.contains("count anew"), "{said}");
}

#[test]
fn a_router_that_began_after_the_release_knows_not_all_who_came() {
    let mut split = split(SplitBy::Clients, 0.001);
    split.take(SIDES, &came(0, 2, (300, 700)));
    let said = split.verdict(false);
    assert!(said.verdict == Verdict::Inconclusive && said.why.contains("count anew"), "{}", said.why);
}
