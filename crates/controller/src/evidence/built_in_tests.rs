use switchover_model::seam::LeftOut;
use switchover_model::{Span, Timestamp};

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
    Split { share, by, judges: vec![("web".parse().unwrap(), judge)], has_counted: false, is_over: false }
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
/// clients in looks of a hundred, as distinct buckets.
fn found(alpha: f64, led: u64, runs: u64, clients: u64) -> u64 {
    let is_found = |run: &u64| {
        let mut split = split(SplitBy::Clients, alpha);
        let mut met = vec![false; BUCKETS as usize];
        for number in 0..clients / 100 {
            let mut came = [0, 0];
            for client in 0..100 {
                let bucket = mixed(mixed(*run) ^ (number * 100 + client)) % BUCKETS;
                if !std::mem::replace(&mut met[bucket as usize], true) {
                    came[usize::from(bucket >= led)] += 1;
                }
            }
            // A baseline as large as the new side is a part of the live one.
            let baseline = came[1] / 19;
            let arms = vec![
                arm(NEW, Part::Share, came[0]),
                arm(OLD, Part::Baseline, baseline),
                arm(OLD, Part::Share, came[1] - baseline),
                arm(NEW, Part::Matched, 50),
            ];
            split.take(SIDES, &look(number, arms));
        }
        split.verdict(false).verdict == Verdict::Fail
    };
    (0..runs).filter(is_found).count() as u64
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

// === Answers to copies ===

fn compared() -> Compared {
    let rule = ShadowRule { alpha: Probability::new(0.001).unwrap(), enough: 100, tolerate: 0 };
    Compared { rule, revision: NEW, before: ShadowSeen::none(NEW), last: None }
}

fn seen(equal: u64, differing: u64) -> ShadowSeen {
    let mut seen = ShadowSeen::none(NEW);
    (seen.sampled, seen.equal, seen.differing) = (equal + differing, equal, differing);
    if let Some(field) = seen.field("body /price").filter(|_| differing > 0) {
        field.differs = differing;
    }
    seen
}

fn take(compared: &mut Compared, seen: ShadowSeen) {
    compared.take(&Look { shadow: Some(Box::new(seen)), ..Look::default() });
}

#[test]
fn what_a_router_compared_that_is_gone_counts_on() {
    let mut all = compared();
    take(&mut all, seen(70, 0));
    take(&mut all, seen(80, 0));
    assert_eq!(all.verdict(false).verdict, Verdict::Inconclusive);
    take(&mut all, seen(30, 0));
    let said = all.verdict(false);
    assert_eq!(said.verdict, Verdict::Pass, "80 and 30: {said:?}");
    take(&mut all, ShadowSeen { revision: OLD, ..seen(0, 900) });
    assert_eq!(all.verdict(false), said, "another revision's are none");
}

#[test]
fn a_router_that_has_compared_more_before_anybody_looked_is_another_one_all_the_same() {
    let mut all = compared();
    take(&mut all, ShadowSeen { since: 1, ..seen(40, 40) });
    let next = ShadowSeen { since: 2, ..seen(200, 0) };
    assert!(!all.news(Some(&next)).unwrap().1, "what differed before counts");
    take(&mut all, next);
    assert_eq!(all.verdict(false).verdict, Verdict::Fail);
}

#[test]
fn news_are_what_came_since_and_decisive_where_the_answer_is_another_one() {
    let mut all = compared();
    assert_eq!(all.news(None), None);
    assert_eq!(all.news(Some(&seen(50, 0))), Some((seen(50, 0), false)));
    take(&mut all, seen(50, 0));
    assert_eq!(all.news(Some(&seen(50, 0))), None, "nothing came since");
    assert!(all.news(Some(&seen(100, 0))).unwrap().1, "enough");
    assert!(all.news(Some(&seen(50, 20))).unwrap().1, "proven to differ");
}

#[test]
fn a_verdict_tells_its_fields_within_the_bounds() {
    use switchover_model::seam::ShadowExample;

    let mut many = seen(0, 200);
    for number in 0..40 {
        let field = many.field(&format!("body /{number}")).unwrap();
        let example = ShadowExample { request: "GET /".into(), live: "1".into(), shadow: "2".into() };
        (field.differs, field.examples) = (200, vec![example; 3]);
    }
    many.leave_out(LeftOut::Busy);
    let mut all = compared();
    take(&mut all, many.for_the_record());
    let said = all.verdict(true);
    assert_eq!((said.verdict, said.detail.len()), (Verdict::Fail, DETAIL_LINES));
    assert!(said.detail.last().unwrap().contains("fields more"), "{:?}", said.detail);
    assert!(said.detail.iter().any(|line| line.ends_with("such as GET /: 1, r2 2")), "{:?}", said.detail);
    assert!(said.evidence.to_string().len() < 20_000);
}

#[test]
fn whatever_may_raise_a_false_alarm_has_its_part_of_the_rate() {
    let tests = |release: &str| {
        let file = format!("name = \"shop\"\n[process.web]\ncommand = \"x\"\n[release]\n{release}");
        let config =
            switchover_model::config::parse(&file, "switchover.toml", std::path::Path::new("/")).expect("a file");
        tests(&config, 2, 3)
    };
    let experiment = "strategy = \"ab\"\n[release.experiment]\nshare = \"50%\"\nfor = \"7d\"\n\
                      [[release.goal]]\nname = \"buys\"\nrequest = \"POST /buy 2xx\"\n";
    let shadow = "[release.shadow]\nshare = \"10%\"\nfor = \"5m\"\n";
    assert_eq!(tests("strategy = \"linear\"\n"), 6, "of each step and process type one");
    assert_eq!(tests(&format!("strategy = \"linear\"\n{shadow}")), 7);
    assert_eq!(tests(experiment), trying::TESTS);
    assert_eq!(tests(&format!("{experiment}{shadow}")), trying::TESTS + 1);
}
