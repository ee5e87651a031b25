//! What an experiment says of what was counted.

use switchover_model::config::{GoalNumber, NumberFrom};
use switchover_model::evidence::{FIRST_GOAL, NumberSeen, Side as Slot};
use switchover_model::seam::GoalCount;
use switchover_model::{Span, Timestamp, config};

use super::*;

fn experiment(share: &str, better: Better) -> Experiment {
    Experiment {
        share: share.parse().unwrap(),
        matches: Vec::new(),
        lasts: Span::from_secs(3_600),
        at_least: Span::ZERO,
        undecided: config::Undecided::Drop,
        goals: vec![Goal {
            name: "checkout".to_owned(),
            source: GoalSource::Request("POST /checkout 2xx".parse().unwrap()),
            primary: true,
            better,
            effect: Decimal::from_millionths(10_000),
        }],
    }
}

fn trying(share: &str, better: Better) -> Trying {
    let sides = Sides { new: RevisionId(2), old: Some(RevisionId(1)) };
    Trying::new(&experiment(share, better), sides, Probability::new(0.0005).unwrap())
}

fn arm(revision: u32, part: Part, clients: u64, reached: u64) -> GoalArm {
    let goals = vec![GoalCount { clients: reached, requests: reached * 2 }];
    GoalArm { revision: RevisionId(revision), part, clients, goals }
}

fn look(second: u64, since: u64, arms: Vec<GoalArm>) -> Look {
    let at = |second: u64| Timestamp::from_micros(second * 1_000_000);
    let goals = Some(GoalsMeasured { experiment: 3, since, key: 1, arms, on_both: 0 });
    Look { from: at(second), until: at(second + 1), goals, ..Look::default() }
}

/// As it is after so many looks with this many clients in each that reach the goal at these rates (percent).
fn after(trying: &mut Trying, looks: u64, since: u64, (new, old): (u64, u64)) -> ExperimentSaid {
    for number in 1..=looks {
        let clients = number * 100;
        let arms = vec![arm(2, Part::Share, clients, number * new), arm(1, Part::Share, clients, number * old)];
        trying.take(&look(since * 1_000 + number, since, arms));
    }
    trying.said(true)
}

#[test]
fn a_goal_is_won_or_lost_by_the_way_that_is_better() {
    for (better, rates, verdict) in [
        (Better::Higher, (15, 5), GoalVerdict::Won),
        (Better::Higher, (5, 15), GoalVerdict::Lost),
        (Better::Lower, (15, 5), GoalVerdict::Lost),
        (Better::Lower, (5, 15), GoalVerdict::Won),
        (Better::Higher, (10, 10), GoalVerdict::Undecided),
    ] {
        let said = after(&mut trying("50%", better), 30, 1, rates);
        assert_eq!((said.new, said.old, said.goals[0].verdict), (3_000, 3_000, verdict), "{}", said.goals[0].why);
        assert_eq!(said.goals[0].new, Conversions { clients: rates.0 * 30, requests: rates.0 * 60 });
        assert_eq!(said.split.unwrap().verdict, Verdict::Inconclusive);
    }
}

#[test]
fn what_is_said_is_readable_and_no_data_says_nothing() {
    let said = after(&mut trying("50%", Better::Higher), 10, 1, (15, 5));
    assert!(said.goals[0].why.starts_with("15.00 % of 1000 clients against 5.00 % of 1000: +10.00 points, between +"));
    assert_eq!(said.goals[0].effect, Some(Decimal::from_millionths(100_000)));
    assert!(said.goals[0].evidence["more"]["course"].as_array().is_some_and(|course| course.len() == 10));
    let nothing = trying("50%", Better::Higher).said(false);
    assert_eq!((nothing.goals[0].verdict, nothing.goals[0].effect), (GoalVerdict::Undecided, None));
    assert_eq!(nothing.split.unwrap().why, "nobody came yet");
}

#[test]
fn the_words_round_as_the_table_does() {
    for looks in 1..40 {
        let said = after(&mut trying("50%", Better::Higher), looks, 1, (15, 5));
        let goal = &said.goals[0];
        let told = |part: Decimal| format!("{:+.2}", part.to_f64() * 100.0);
        let between = format!("between {} and {}", told(goal.low), told(goal.high));
        assert!(goal.why.contains(&between), "{} without {between}", goal.why);
    }
    // Its millionths lie at a half, it does not.
    assert_eq!(points(-0.102_849_6), "-10.29");
}

#[test]
fn a_split_that_is_no_chance_is_told_and_counts_from_nothing_begin_anew() {
    let mut off = trying("50%", Better::Higher);
    for number in 1..=10 {
        let arms = vec![arm(2, Part::Share, number * 80, 0), arm(1, Part::Share, number * 120, 0)];
        off.take(&look(number, 1, arms));
    }
    let split = off.said(false).split.unwrap();
    assert_eq!(split.verdict, Verdict::Fail, "{}", split.why);
    assert!(
        split.why.starts_with("40.00 % of 2000 clients came to the new revision, where 50% were to"),
        "{}",
        split.why
    );
    // A router that is started anew counts from nothing: what it had counted is left out.
    let mut anew = trying("50%", Better::Higher);
    after(&mut anew, 5, 1, (50, 5));
    let said = after(&mut anew, 2, 2, (10, 10));
    assert_eq!((said.anew, said.new, said.goals[0].verdict), (1, 200, GoalVerdict::Undecided));
}

#[test]
fn clients_that_were_dealt_by_two_keys_are_evidence_of_nothing() {
    let dealt_by = |keys: &[u64]| {
        let mut trying = trying("50%", Better::Higher);
        for (key, since) in keys.iter().zip(1..) {
            let mut look = look(since * 100, since, vec![arm(2, Part::Share, 90, 9), arm(1, Part::Share, 90, 9)]);
            look.goals.as_mut().unwrap().key = *key;
            trying.take(&look);
        }
        let said = trying.said(false).split.unwrap();
        assert_eq!(said.verdict == Verdict::Fail, said.why == DEALT_ANEW, "{}", said.why);
        said.verdict == Verdict::Fail
    };
    assert!(dealt_by(&[1, 2]) && dealt_by(&[1, 2, 1, 1]));
    // A router of an earlier version does not tell.
    assert!(!dealt_by(&[1, 0, 1]) && !dealt_by(&[0, 1, 0]) && dealt_by(&[1, 0, 2]));
}

#[test]
fn clients_of_a_match_are_compared_where_there_is_no_share_and_left_out_where_there_is_one() {
    let arms = || {
        vec![
            arm(2, Part::Share, 1_000, 150),
            arm(2, Part::Matched, 300, 45),
            arm(1, Part::Share, 700, 35),
            arm(1, Part::Baseline, 300, 15),
        ]
    };
    let mut by_chance = trying("50%", Better::Higher);
    by_chance.take(&look(1, 1, arms()));
    assert_eq!((by_chance.said(false).new, by_chance.said(false).old), (1_000, 1_000));
    let mut matched = trying("0%", Better::Higher);
    matched.take(&look(1, 1, arms()));
    let said = matched.said(false);
    assert_eq!((said.new, said.old), (300, 1_000));
    assert_eq!(said.split.unwrap().why, "0 of 1300 clients were on both sides");
}

#[test]
fn clients_that_were_on_both_sides_are_evidence_of_nothing() {
    let mut matched = trying("0%", Better::Higher);
    let mut seen = look(1, 1, vec![arm(2, Part::Matched, 37, 32), arm(1, Part::Share, 38, 0)]);
    seen.goals.as_mut().unwrap().on_both = 37;
    matched.take(&seen);
    let said = matched.said(false);
    assert_eq!(said.split.as_ref().unwrap().verdict, Verdict::Fail);
    assert_eq!(said.split.unwrap().why, "37 of 38 clients were on both sides: what is compared is not apart");
}

// === A goal whose number is asked for, beside one that is a request ===

/// `POST /checkout` first, then the number, which decides.
fn asking() -> Trying {
    let mut both = experiment("50%", Better::Higher);
    let number = GoalNumber {
        from: NumberFrom::Command { command: "./buyers.sh".to_owned() },
        interval: Span::from_secs(10),
        timeout: Span::from_secs(5),
        lag: Span::from_secs(60),
    };
    let source = GoalSource::Number(number);
    both.goals[0].primary = false;
    both.goals.insert(1, Goal { name: "buys".to_owned(), source, primary: true, ..both.goals[0].clone() });
    let sides = Sides { new: RevisionId(2), old: Some(RevisionId(1)) };
    Trying::new(&both, sides, Probability::new(0.0005).unwrap())
}

/// A look a minute after the one before: so many clients in all on each side, and what was answered.
fn asked(minute: u64, clients: u64, (new, old): (Option<f64>, Option<f64>)) -> Look {
    let at = Timestamp::from_micros(minute * 60_000_000);
    let seen = |side, value: Option<f64>| {
        let answer = value.map_or("NaN".to_owned(), |value| value.to_string());
        NumberSeen { check: FIRST_GOAL + 1, side, at, asked: "./buyers.sh".to_owned(), answer, value }
    };
    let arms = vec![arm(2, Part::Share, clients, clients / 10), arm(1, Part::Share, clients, clients / 10)];
    let numbers = vec![seen(Slot::New, new), seen(Slot::Old, old)];
    Look { until: at, numbers, ..look(minute * 60, 0, arms) }
}

/// As it is after ten looks in which 15 of each hundred new clients and 5 of each hundred old ones are answered.
fn won() -> Trying {
    let mut trying = asking();
    for minute in 1..=10_u64 {
        let count = |rate: u64, before: u64| Some((before + rate * minute.saturating_sub(3)) as f64);
        trying.take(&asked(minute, minute * 100, (count(15, 4_000), count(5, 9_000))));
    }
    assert_eq!(trying.said(false).goals[1].verdict, GoalVerdict::Won, "{}", trying.said(false).goals[1].why);
    trying
}

#[test]
fn a_number_that_is_asked_for_decides_like_requests() {
    let said = won().said(true);
    let (requests, number) = (&said.goals[0], &said.goals[1]);
    assert_eq!((requests.new.clients, requests.verdict), (100, GoalVerdict::Undecided));
    assert_eq!((number.new, number.old.clients), (Conversions { clients: 105, requests: 0 }, 35));
    assert!(number.why.starts_with("10.50 % of 1000 clients against 3.50 % of 1000: +7.00 points"), "{}", number.why);
    assert_eq!((number.answers.len(), number.answers[0].before, number.is_blind), (2, Some(4_000), false));
}

#[test]
fn a_number_that_is_not_known_any_more_proves_nothing_whatever_it_was() {
    let mut silent = won();
    silent.take(&asked(11, 1_100, (None, Some(9_050.0))));
    let goal = &silent.said(true).goals[1];
    assert_eq!((goal.verdict, goal.is_blind, goal.new.clients), (GoalVerdict::Undecided, true, 105));
    assert!(goal.why.contains("./buyers.sh: NaN") && goal.answers[0].answer == "NaN", "{}", goal.why);
    silent.take(&asked(12, 1_200, (Some(4_165.0), Some(9_055.0))));
    assert_eq!(silent.said(false).goals[1].verdict, GoalVerdict::Won, "it is known again");

    let mut down = won();
    for (minute, new) in [(11, 4_000.0), (12, 4_900.0)] {
        down.take(&asked(minute, minute * 100, (Some(new), Some(9_055.0))));
        let goal = &down.said(false).goals[1];
        assert_eq!((goal.verdict, goal.is_blind), (GoalVerdict::Undecided, true));
        assert!(goal.why.contains("it went down from 4105 to 4000"), "{}", goal.why);
    }
}

#[test]
fn a_number_of_more_clients_than_came_proves_nothing() {
    let mut orders = asking();
    for minute in 1..=3 {
        orders.take(&asked(minute, 10, (Some(0.0), Some(0.0))));
    }
    orders.take(&asked(4, 20, (Some(90.0), Some(1.0))));
    assert!(orders.said(false).goals[1].why.contains("not known: 90 clients reached it and only 20 came"));
    orders.take(&asked(5, 30, (Some(90.0), Some(1.0))));
    orders.take(&asked(6, 2_000, (Some(900.0), Some(1.0))));
    let goal = &orders.said(false).goals[1];
    assert!(goal.why.contains("no evidence any more"), "{}", goal.why);
    assert_eq!((goal.verdict, goal.is_blind, goal.new.clients), (GoalVerdict::Undecided, true, 0), "{}", goal.why);
}

#[test]
fn a_router_that_counts_anew_begins_the_number_anew() {
    let mut anew = won();
    let again = |minute: u64, new: f64| {
        let mut look = asked(minute, minute, (Some(new), Some(9_050.0)));
        look.goals.as_mut().unwrap().since = 11 * 60_000_000;
        look
    };
    for minute in 11..=14 {
        anew.take(&again(minute, 4_155.0));
        let goal = &anew.said(false).goals[1];
        assert!(goal.is_blind && goal.new.clients == 0, "{}", goal.why);
    }
    anew.take(&again(15, 4_160.0));
    let said = anew.said(false);
    assert_eq!((said.anew, said.goals[1].new.clients, said.goals[1].is_blind), (1, 5, false));
}

#[test]
fn whoever_begins_anew_again_and_again_has_no_more_false_alarms() {
    let all: f64 = (0..40).filter_map(|anew| spent(0.001, anew)).map(Probability::get).sum();
    assert!((0.000_999..=0.001).contains(&all), "{all}");
}
