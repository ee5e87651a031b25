//! What is counted of a goal's number, and what is not.

use super::*;

fn counter() -> Counter {
    Counter::new(0, Span::from_secs(10))
}

fn at(second: u64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

fn seen(side: Side, second: u64, value: Option<f64>) -> NumberSeen {
    let (asked, answer) = (format!("buyers of {side:?}"), value.map_or("NaN".to_owned(), |value| value.to_string()));
    NumberSeen { check: FIRST_GOAL, side, at: at(second), asked, answer, value }
}

/// Who came from the second 100 on until this one: so many on each side.
fn came(second: u64, clients: u64) -> Came {
    let clients = Both { new: clients, old: clients };
    Came { since: at(100), at: at(second), clients, at_most: clients, is_fresh: true }
}

/// What both sides answer at a second.
fn says(counter: &mut Counter, second: u64, (new, old): (f64, f64)) -> bool {
    let numbers = [seen(Side::New, second, Some(new)), seen(Side::Old, second, Some(old))];
    counter.take(&numbers, Some(came(second, 1_000)))
}

/// One that has said what there was before.
fn settled() -> Counter {
    let mut counter = counter();
    for second in 110..113 {
        assert!(!says(&mut counter, second, (100.0, 900.0)));
    }
    counter
}

/// One that has counted 5 and 7 clients.
fn counted() -> Counter {
    let mut counter = settled();
    assert!(says(&mut counter, 120, (105.0, 907.0)));
    assert_eq!((counter.reached(), counter.blind()), (Both { new: 5, old: 7 }, None));
    counter
}

#[test]
fn what_there_was_before_is_left_out() {
    let mut counter = counter();
    assert!(!says(&mut counter, 109, (50.0, 800.0)), "clients from before the experiment may still reach it");
    assert!(counter.blind().unwrap().contains("counts 10s after the experiment began"));
    // It loads: what it says at first is too little. An answer that is none begins the row anew.
    let row = [(0.0, 0.0), (60.0, 850.0), (f64::NAN, 850.0), (60.0, 850.0), (100.0, 900.0), (100.0, 900.0)];
    for (second, said) in (110..).zip(row) {
        assert!(!says(&mut counter, second, said));
        let why = counter.blind().unwrap();
        assert!(why.contains("the first 3 in a row say what there was before") || said.0.is_nan(), "{why}");
    }
    assert!(says(&mut counter, 120, (105.0, 907.0)));
    assert_eq!((counter.reached(), counter.blind()), (Both { new: 5, old: 7 }, None));
    assert_eq!(counter.answers().iter().map(|answer| answer.before).collect::<Vec<_>>(), [Some(100), Some(900)]);
}

#[test]
fn an_answer_that_is_no_count_says_nothing_and_loses_nothing() {
    for bad in [None, Some(106.5), Some(-1.0), Some(1e17)] {
        let mut counter = counted();
        for side in [Side::New, Side::Old] {
            let other = if side == Side::New { Side::Old } else { Side::New };
            let numbers = [seen(side, 130, bad), seen(other, 130, Some(910.0))];
            assert!(!counter.take(&numbers, Some(came(130, 1_000))), "{bad:?}");
            let why = counter.blind().unwrap();
            assert!(why.contains("not known") && why.contains(&format!("buyers of {side:?}")), "{why}");
            assert_eq!(counter.answers().len(), 2);
        }
        assert!(says(&mut counter, 140, (120.0, 920.0)), "{bad:?}");
        assert_eq!((counter.reached(), counter.blind()), (Both { new: 20, old: 20 }, None), "{bad:?}");
    }
    let mut alone = counted();
    assert!(!alone.take(&[seen(Side::New, 130, Some(120.0))], Some(came(130, 1_000))));
    assert!(alone.blind().unwrap().contains("the old revision was not asked"));
}

#[test]
fn a_count_that_goes_down_is_no_evidence_any_more() {
    let mut counter = counted();
    assert!(!says(&mut counter, 130, (104.0, 910.0)));
    let why = counter.blind().unwrap();
    assert!(why.contains("it went down from 105 to 104 on the new revision. Asked: buyers of New"), "{why}");
    assert!(!says(&mut counter, 140, (400.0, 920.0)), "what came meanwhile is not known");
    assert_eq!((counter.reached(), counter.blind()), (Both { new: 5, old: 7 }, Some(why.clone())));
    // Not when the router counts anew either: what is missing may come back.
    counter.begin();
    says(&mut counter, 150, (500.0, 930.0));
    assert!(!says(&mut counter, 160, (900.0, 940.0)));
    assert_eq!(counter.blind(), Some(why));
}

#[test]
fn more_clients_than_came_can_not_be() {
    let mut counter = counter();
    let numbers = |second, new| [seen(Side::New, second, Some(new)), seen(Side::Old, second, Some(910.0))];
    for second in 110..113 {
        assert!(!counter.take(&numbers(second, 100.0), Some(came(second, 0))));
    }
    // Who came may not be counted yet: nothing follows from it.
    assert!(!counter.take(&numbers(130, 131.0), Some(came(130, 30))));
    assert!(counter.blind().unwrap().contains("not known: 31 clients reached it and only 30 came"));
    let stale = Some(Came { is_fresh: false, ..came(135, 30) });
    assert!(!counter.take(&[], stale));
    assert!(counter.take(&numbers(140, 131.0), Some(came(140, 31))), "they came since");
    assert!(!counter.take(&numbers(150, 133.0), Some(came(150, 31))));
    let alike = Came { at_most: Both { new: 33, old: 33 }, ..came(155, 32) };
    assert!(!counter.take(&numbers(155, 133.0), Some(alike)), "two of them may look alike");
    assert!(counter.blind().unwrap().contains("not known"));
    assert!(!counter.take(&numbers(160, 133.0), Some(came(160, 32))));
    assert!(counter.blind().unwrap().contains("no evidence any more: 33 clients reached it and only 32 came"));
    assert!(!counter.take(&numbers(170, 134.0), Some(came(170, 1_000))));
}

#[test]
fn a_number_that_jumps_while_few_come_is_no_evidence_any_more() {
    // Two come each second; it loads for longer than three answers.
    let late = |jump: f64| {
        let mut counter = counter();
        let all = |second: u64| 2 * (second - 100);
        for second in 100..200 {
            let numbers = [seen(Side::New, second, Some(0.0)), seen(Side::Old, second, Some(0.0))];
            counter.take(&numbers, Some(came(second, all(second))));
        }
        let numbers = [seen(Side::New, 200, Some(jump)), seen(Side::Old, 200, Some(15.0))];
        (counter.take(&numbers, Some(came(200, all(200)))), counter.blind())
    };
    // In the lag of ten seconds, and one since, 22 came; and 50 of all 200 may be late.
    assert_eq!(late(72.0), (true, None));
    let (is_news, why) = late(73.0);
    assert!(
        !is_news && why.unwrap().contains("no evidence any more: it jumped by 73 while 22 of its 200 clients came")
    );
    // After a router that counts anew, too.
    let mut anew = counted();
    anew.begin();
    anew.take(&[], Some(came(190, 1_000)));
    for second in 200..205 {
        says(&mut anew, second, (0.0, 0.0));
    }
    assert_eq!(anew.blind(), None);
    let numbers = [seen(Side::New, 210, Some(300.0)), seen(Side::Old, 210, Some(75.0))];
    assert!(!anew.take(&numbers, Some(came(210, 1_000))));
    assert!(anew.blind().unwrap().contains("it jumped by 300"));
}

#[test]
fn what_is_remembered_of_who_came_is_bounded() {
    let mut counter = counter();
    for second in 100..(MOMENTS_MAX as u64 + 300) {
        counter.take(&[], Some(came(second, second)));
    }
    assert_eq!(counter.moments.len(), MOMENTS_MAX);
    for second in 5_000..5_050 {
        says(&mut counter, second, (0.0, 0.0));
    }
    assert!(counter.moments.len() < 16, "{}", counter.moments.len());
}

#[test]
fn clients_that_look_alike_may_be_more_than_were_counted() {
    assert_eq!(at_most(0, 1_000.0), 0);
    assert!((100..160).contains(&at_most(100, 1_280_000.0)));
    // 250,000 clients of half of the groups: about 227,000 are counted.
    assert!((250_000..255_000).contains(&at_most(227_000, 1_280_000.0)));
    assert_eq!(at_most(1_280_000, 1_280_000.0), u64::MAX);
}

#[test]
fn other_numbers_and_clients_who_were_never_counted_are_nothing() {
    let mut counter = counter();
    let mut of_a_check = seen(Side::New, 120, Some(1.0));
    of_a_check.check = 0;
    assert!(!counter.take(&[of_a_check], Some(came(130, 1_000))));
    assert!(counter.answers().is_empty());
    let numbers = [seen(Side::New, 120, Some(1.0)), seen(Side::Old, 120, Some(1.0))];
    assert!(!counter.take(&numbers, None));
    assert_eq!(counter.before, None);
}
