//! Goals: how often an experiment is decided by mistake, and how soon by right, with clients that come at any time, take their
//! time, and are looked at all the time.

#[path = "simulation/chance.rs"]
#[expect(dead_code, reason = "other simulations use the rest of it")]
mod chance;

use chance::Chance;
use switchover_judge::{Judge, Look, Outcome, Probability, Question, Reached, Rule, Seen, Unfit, judge};
use switchover_model::Timestamp;

fn part(value: f64) -> Probability {
    Probability::new(value).expect("a probability")
}

fn look(round: u64, new: Reached, reference: Reached) -> Look {
    let at = Timestamp::from_micros;
    Look { from: at(round), until: at(round + 1), seen: Seen::Goal { new, reference } }
}

fn reached(clients: u64, reached: u64) -> Reached {
    Reached { clients, reached }
}

/// An experiment of which `share` of the clients get the new revision.
struct Experiment {
    share: f64,
    /// Whether the judge is told so.
    is_known: bool,
    rates: (f64, f64),
    /// Looks that a client takes for it: up to so many, the more the likelier.
    slowest: u64,
    clients: u64,
    per_look: u64,
}

/// How one experiment ended.
struct Ended {
    /// After so many clients.
    more: Option<u64>,
    less: Option<u64>,
    /// At any look, the interval did not hold the true difference of all who had their time.
    left_out: bool,
}

impl Experiment {
    fn run(&self, alpha: f64, seed: u64) -> Ended {
        let mut chance = Chance::new(seed);
        let rule = |share: f64| {
            let share = self.is_known.then(|| part(share));
            Rule::new(Question::ReachesMore { margin: part(1e-6), share }, part(alpha))
        };
        let (mut more, mut less) = (Judge::new(&rule(self.share)), Judge::new(&rule(1.0 - self.share)));
        let mut ended = Ended { more: None, less: None, left_out: false };
        let looks = self.clients / self.per_look + self.slowest;
        let mut later = vec![[0_u64; 2]; usize::try_from(looks + self.slowest + 1).expect("few")];
        for round in 0..looks {
            let mut came = [0, 0];
            if round * self.per_look < self.clients {
                for _ in 0..self.per_look {
                    let side = usize::from(chance.part() >= self.share);
                    came[side] += 1;
                    let rate = if side == 0 { self.rates.0 } else { self.rates.1 };
                    if chance.part() < rate {
                        let takes = (chance.part() * chance.part() * self.slowest as f64) as u64;
                        later[usize::try_from(round + takes).expect("few")][side] += 1;
                    }
                }
            }
            let done = later[usize::try_from(round).expect("few")];
            let (new, old) = (reached(came[0], done[0]), reached(came[1], done[1]));
            more.take(&look(round, new, old));
            less.take(&look(round, old, new));
            let seen = (round + 1) * self.per_look;
            for (judge, first) in [(&more, &mut ended.more), (&less, &mut ended.less)] {
                if judge.outcome() == Outcome::Fail && first.is_none() {
                    *first = Some(seen.min(self.clients));
                }
            }
            let interval = more.verdict().interval;
            let truth = self.rates.0 - self.rates.1;
            ended.left_out |=
                interval.low.is_some_and(|low| low > truth) || interval.high.is_some_and(|high| high < truth);
        }
        ended
    }
}

const RUNS: u64 = 400;

/// The largest count of `RUNS` at a rate that is not a surprise of one in a thousand.
fn most(rate: f64) -> u64 {
    let mean = RUNS as f64 * rate;
    (mean + 3.3 * libm::sqrt(mean * (1.0 - rate)) + 1.0) as u64
}

#[test]
fn where_both_are_alike_neither_is_chosen_more_often_than_was_set() {
    for (share, is_known, rate, slowest) in
        [(0.5, true, 0.05, 20), (0.1, true, 0.3, 60), (0.5, true, 0.9, 5), (0.2, false, 0.05, 20), (0.5, false, 0.9, 5)]
    {
        let alike = Experiment { share, is_known, rates: (rate, rate), slowest, clients: 2_000, per_look: 25 };
        let (mut more, mut less, mut left_out) = (0, 0, 0);
        for seed in 0..RUNS {
            let ended = alike.run(0.05, seed);
            more += u64::from(ended.more.is_some());
            less += u64::from(ended.less.is_some());
            left_out += u64::from(ended.left_out);
        }
        println!("{share} {is_known} {rate}: {more} and {less} decided, {left_out} left out, of {RUNS}");
        assert!(more <= most(0.05) && less <= most(0.05), "{share} {rate}: {more} and {less} of {RUNS}");
        assert!(left_out <= most(0.05), "{share} {rate}: {left_out} intervals of {RUNS} left the truth out");
        assert!(more + less > 0, "{share} {rate}: nothing was tested");
    }
}

#[test]
fn a_difference_is_found_and_never_the_other_one() {
    let better =
        Experiment { share: 0.5, is_known: true, rates: (0.15, 0.05), slowest: 20, clients: 6_000, per_look: 20 };
    let mut after: Vec<u64> = (0..200).filter_map(|seed| better.run(0.0005, seed).more).collect();
    after.sort_unstable();
    assert!(after.len() >= 199, "{} of 200", after.len());
    assert!(after[100] < 1_800, "half of them took {} clients", after[100]);
    assert!((0..200).all(|seed| better.run(0.0005, seed).less.is_none()));
}

#[test]
fn what_matters_less_than_was_set_decides_nothing_and_what_contradicts_itself_is_not_used() {
    let rule =
        |margin: f64| Rule::new(Question::ReachesMore { margin: part(margin), share: Some(part(0.5)) }, part(0.001));
    let looks: Vec<Look> = (0..100).map(|round| look(round, reached(1_000, 60), reached(1_000, 50))).collect();
    assert_eq!(judge(&rule(0.005), &looks).outcome, Outcome::Fail);
    let little = judge(&rule(0.02), &looks);
    assert_eq!(little.outcome, Outcome::Pass, "{}: two points are ruled out", little.why);
    // More reach it than have come.
    let wrong = judge(&rule(0.005), &[look(0, reached(10, 0), reached(10, 11))]);
    assert_eq!((wrong.looks, wrong.unused[0].why.clone()), (0, Unfit::Contradiction));
    // Whoever came earlier may reach it later.
    let late = judge(&rule(0.005), &[look(0, reached(10, 0), reached(10, 0)), look(1, reached(0, 8), reached(0, 1))]);
    assert_eq!((late.looks, late.new, late.reference), (2, Some(0.8), Some(0.1)));
}
