//! The fixed-size tests beside values that others computed.

use switchover_judge::Probability;
use switchover_judge::fixed::{binomial, binomial_interval, chi_square, split_evidence};
use switchover_judge::score::mann_whitney;

fn chance(value: f64) -> Probability {
    Probability::new(value).expect("a probability")
}

#[track_caller]
fn near(found: f64, expected: f64, within: f64) {
    assert!((found - expected).abs() <= within, "{found} instead of {expected}");
}

#[test]
fn exact_binomial() {
    // R's ?binom.test (Conover 1971, p. 97): binom.test(682, 925, p = 0.75): p-value = 0.3825, 0.7076683 to 0.7654066.
    near(binomial(682, 925, chance(0.75)), 0.3825, 5e-5);
    let (low, high) = binomial_interval(682, 925, chance(0.05));
    near(low, 0.707_668_3, 5e-8);
    near(high, 0.765_406_6, 5e-8);
    // scipy 1.17.1, binomtest(3, 20, 0.05) with proportion_ci(0.99), and binomtest(0, 50, 0.02).
    near(binomial(3, 20, chance(0.05)), 0.075_483_673_788_496_26, 1e-12);
    let (low, high) = binomial_interval(3, 20, chance(0.01));
    near(low, 0.017_642_637_954_110_2, 1e-10);
    near(high, 0.449_465_406_739_486, 1e-10);
    near(binomial(0, 50, chance(0.02)), 0.628_398_285_625_390_9, 1e-12);
    near(binomial_interval(0, 50, chance(0.05)).1, 0.071_121_736_466_204_58, 1e-10);
}

#[test]
fn chi_square_of_counts_against_shares() {
    // R's ?chisq.test: chisq.test(c(89, 37, 30, 28, 2), p = c(40, 20, 20, 15, 5), rescale.p = TRUE): 9.9901, df = 4, 0.04059.
    let (statistic, p) = chi_square(&[89, 37, 30, 28, 2], &[40.0, 20.0, 20.0, 15.0, 5.0]).expect("counts");
    near(statistic, 9.9901, 5e-5);
    near(p, 0.04059, 5e-6);
    // scipy 1.17.1, chisquare.
    near(p, 0.040_594_043_344_781_214, 1e-12);
    let (statistic, p) = chi_square(&[5200, 4800], &[0.5, 0.5]).expect("counts");
    near(statistic, 16.0, 1e-12);
    near(p, 6.334_248_366_623_988e-5, 1e-15);
    let (statistic, p) = chi_square(&[20, 30, 25, 40], &[1.0, 1.0, 1.0, 1.0]).expect("counts");
    near(statistic, 7.608_695_652_173_914, 1e-12);
    near(p, 0.054_830_395_852_603_415, 1e-12);
    assert_eq!(chi_square(&[0, 0], &[0.5, 0.5]), None);
    assert_eq!(chi_square(&[1, 2], &[0.5]), None);
}

#[test]
fn mann_whitney_of_few_values_without_ties_is_exact() {
    // Permeability constants, Hollander and Wolfe (1973), p. 69; R's ?wilcox.test gives W = 35, p-value = 0.1272 one-sided.
    let first = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46];
    let second = [1.15, 0.88, 0.90, 0.74, 1.21];
    let test = mann_whitney(&first, &second, chance(0.05)).expect("values");
    near(test.u, 35.0, 0.0);
    near(test.p / 2.0, 0.1272, 5e-5);
    // scipy 1.17.1, mannwhitneyu(method = "exact"); the interval is the book's: from -0.15 to 0.76 around 0.305.
    near(test.p, 0.254_412_254_412_254_4, 1e-12);
    near(test.shift, 0.305, 1e-12);
    near(test.low, -0.15, 1e-12);
    near(test.high, 0.76, 1e-12);
    // The same order statistics at 98 %, counted with numpy 2: the 7th from each end.
    let test = mann_whitney(&first, &second, chance(0.02)).expect("values");
    near(test.low, -0.17, 1e-12);
    near(test.high, 0.90, 1e-12);
}

#[test]
fn mann_whitney_of_ties_and_of_many_values_is_corrected_as_in_r() {
    // p: scipy 1.17.1, mannwhitneyu(method = "asymptotic", use_continuity = True). The interval: R's equations for conf.int
    // (wdiff of wilcox.test.default, with its corrections for ties and continuity), solved with scipy's brentq.
    let first = [10.0, 12.0, 12.0, 13.0, 15.0, 15.0, 16.0, 18.0, 20.0, 21.0, 21.0, 22.0];
    let second = [9.0, 10.0, 11.0, 12.0, 12.0, 13.0, 14.0, 15.0, 16.0, 16.0];
    let test = mann_whitney(&first, &second, chance(0.05)).expect("values");
    near(test.u, 89.0, 0.0);
    near(test.p, 0.058_694_309_994_463_005, 1e-10);
    near(test.shift, 3.0, 1e-12);
    near(test.low, 0.0, 1e-9);
    near(test.high, 7.0, 1e-9);
    let test = mann_whitney(&first, &second, chance(0.02)).expect("values");
    near(test.low, -1.0, 1e-9);
    near(test.high, 8.0, 1e-9);

    let first: Vec<f64> = (0..60).map(|i| f64::from(i * 7919 % 101) + 0.5 * f64::from(i * 31 % 7)).collect();
    let second: Vec<f64> = (0..55).map(|i| f64::from(i * 7907 % 97) * 0.9).collect();
    let test = mann_whitney(&first, &second, chance(0.05)).expect("values");
    near(test.u, 1995.0, 0.0);
    near(test.p, 0.053_747_282_218_813_11, 1e-10);
    near(test.shift, 10.7, 1e-9);
    near(test.low, -0.2, 1e-9);
    near(test.high, 21.8, 1e-9);
    let test = mann_whitney(&first, &second, chance(0.02)).expect("values");
    near(test.low, -2.2, 1e-9);
    near(test.high, 23.8, 1e-9);
}

#[test]
fn values_that_are_all_the_same_have_no_shift() {
    let test = mann_whitney(&[3.0; 60], &[3.0; 60], chance(0.02)).expect("values");
    assert_eq!((test.p, test.shift, test.low, test.high), (1.0, 0.0, 0.0, 0.0));
    assert_eq!(mann_whitney(&[], &[3.0], chance(0.02)), None);
    assert_eq!(mann_whitney(&[f64::NAN], &[3.0], chance(0.02)), None);
}

#[test]
fn evidence_on_a_split_of_two_or_more_grows_where_it_is_off() {
    let even = [1.0, 1.0, 1.0];
    assert!(split_evidence(&[1000, 1000, 1000], &even).expect("counts") < 0.0);
    assert!(split_evidence(&[1200, 900, 900], &even).expect("counts") > 1000_f64.ln());
    // By hand: one of two equal shares, after one: (1/2) / (1/2) = 1.
    assert!(split_evidence(&[1, 0], &[0.5, 0.5]).expect("counts").abs() < 1e-12);
}
