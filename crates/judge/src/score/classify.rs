//! From values to a score.

use serde::Serialize;

use super::config::{Config, Direction, Metric, Missing, NoData};
use super::data::{DataError, MOST_VALUES, Series, Values};
use super::mann_whitney::{MannWhitney, mann_whitney};
use crate::number::Probability;

/// The score of a version.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    /// Of 100; nothing where no metric could be classified.
    pub score: Option<f64>,
    /// What it means.
    pub classification: Classification,
    /// Why, in a sentence.
    pub why: String,
    /// By group.
    pub groups: Vec<GroupScore>,
    /// By metric.
    pub metrics: Vec<MetricScore>,
}

/// What a score means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Classification {
    /// At least the score of a pass.
    Pass,
    /// Below it, and at least that of marginal.
    Marginal,
    /// Below that, or a critical metric failed.
    Fail,
    /// No metric has values: never a pass.
    NoData,
}

/// The score of a group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupScore {
    /// Its name.
    pub group: String,
    /// Its weight, of 100.
    pub weight: f64,
    /// The part of its metrics that pass, of 100; nothing where none has values. Then its weight does not count.
    pub score: Option<f64>,
}

/// How one metric was classified.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricScore {
    /// Its name.
    pub metric: String,
    /// Its group.
    pub group: String,
    /// What was found.
    pub found: Found,
    /// If it fails, so does everything.
    pub critical: bool,
    /// The canary's mean over the baseline's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// The shift of the canary's values, in the metric's unit (Hodges and Lehmann).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shift: Option<f64>,
    /// Where the shift lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<(f64, f64)>,
    /// The p-value of the test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p: Option<f64>,
    /// Values of the baseline and of the canary that were used.
    pub values: (usize, usize),
}

/// What was found of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Found {
    /// No bad change.
    Pass,
    /// It rose, and should not.
    High,
    /// It fell, and should not.
    Low,
    /// It has no values, and is left out.
    NoData,
    /// It has no values, and must have some.
    NoDataFail,
}

impl Found {
    /// It counts against the version.
    #[must_use]
    pub const fn is_bad(self) -> bool {
        match self {
            Self::High | Self::Low | Self::NoDataFail => true,
            Self::Pass | Self::NoData => false,
        }
    }
}

/// Scores `values` as `config` says. Each metric has to be named in both.
pub fn score(config: &Config, values: &Values) -> Result<Score, DataError> {
    if let Some(unknown) = values.0.keys().find(|name| !config.metrics.contains_key(*name)) {
        return Err(DataError::Unknown(unknown.clone()));
    }
    let mut metrics = Vec::new();
    for (name, metric) in &config.metrics {
        let series = values.0.get(name).ok_or_else(|| DataError::Unnamed(name.clone()))?;
        let longest = series.baseline.len().max(series.canary.len());
        if longest > MOST_VALUES {
            return Err(DataError::TooMany { metric: name.clone(), values: longest });
        }
        metrics.push(classify(name, metric, series, config));
    }
    let groups: Vec<GroupScore> = config.groups.iter().map(|(name, weight)| group(name, *weight, &metrics)).collect();
    let weighed: Vec<(f64, f64)> = groups.iter().filter_map(|group| Some((group.weight, group.score?))).collect();
    let whole: f64 = weighed.iter().map(|(weight, _)| weight).sum();
    let mean = weighed.iter().map(|(weight, score)| weight * score).sum::<f64>() / whole;
    let critical = metrics.iter().find(|metric| metric.critical && metric.found.is_bad());
    let (score, classification, why) = match critical {
        Some(metric) => (Some(0.0), Classification::Fail, format!("the critical metric {} failed", metric.metric)),
        None if weighed.is_empty() => (None, Classification::NoData, "no metric has values".to_owned()),
        None => {
            let (classification, is) = if mean >= config.pass {
                (Classification::Pass, format!("at least {}", config.pass))
            } else if mean >= config.marginal {
                (Classification::Marginal, format!("below {} and at least {}", config.pass, config.marginal))
            } else {
                (Classification::Fail, format!("below {}", config.marginal))
            };
            (Some(mean), classification, format!("the score is {is}"))
        }
    };
    Ok(Score { score, classification, why, groups, metrics })
}

fn group(name: &str, weight: f64, metrics: &[MetricScore]) -> GroupScore {
    let counted: Vec<&MetricScore> =
        metrics.iter().filter(|metric| metric.group == name && metric.found != Found::NoData).collect();
    let passed = counted.iter().filter(|metric| !metric.found.is_bad()).count();
    let score = (!counted.is_empty()).then(|| 100.0 * passed as f64 / counted.len() as f64);
    GroupScore { group: name.to_owned(), weight, score }
}

fn classify(name: &str, metric: &Metric, series: &Series, config: &Config) -> MetricScore {
    let (baseline, canary) = (used(&series.baseline, metric.missing), used(&series.canary, metric.missing));
    let alpha = Probability::new(1.0 - config.confidence / 100.0).ok();
    let test = alpha.and_then(|alpha| mann_whitney(&canary, &baseline, alpha));
    // Differences that no number holds are no evidence.
    let test = test.filter(|test| [test.shift, test.low, test.high].iter().all(|number| number.is_finite()));
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (old, new) = (mean(&baseline), mean(&canary));
    let ratio = if old == new { 1.0 } else { new / old };
    let found = match (test, metric.nodata) {
        (Some(test), _) => change(&test, ratio, metric, config.tolerance),
        (None, NoData::Ignore) => Found::NoData,
        (None, NoData::Fail) => Found::NoDataFail,
    };
    MetricScore {
        metric: name.to_owned(),
        group: metric.group.clone(),
        found,
        critical: metric.critical,
        ratio: test.map(|_| ratio).filter(|ratio| ratio.is_finite()),
        shift: test.map(|test| test.shift),
        interval: test.map(|test| (test.low, test.high)),
        p: test.map(|test| test.p),
        values: (baseline.len(), canary.len()),
    }
}

/// A change is bad where its whole interval lies beyond the tolerated part of the shift, and the means differ by enough.
fn change(test: &MannWhitney, ratio: f64, metric: &Metric, tolerance: f64) -> Found {
    let bound = tolerance * test.shift.abs();
    let (is_up, is_down) = match metric.direction {
        Direction::Increase => (true, false),
        Direction::Decrease => (false, true),
        Direction::Either => (true, true),
    };
    // Of a baseline whose mean is not above 0 a ratio says nothing: then the shift alone decides.
    let has_ratio = ratio.is_finite() && ratio >= 0.0;
    if is_up && test.low > bound && (!has_ratio || ratio >= metric.increase) {
        Found::High
    } else if is_down && test.high < -bound && (!has_ratio || ratio <= metric.decrease) {
        Found::Low
    } else {
        Found::Pass
    }
}

fn used(values: &[Option<f64>], missing: Missing) -> Vec<f64> {
    let numbers = values.iter().map(|value| value.filter(|value| value.is_finite()));
    match missing {
        Missing::Remove => numbers.flatten().collect(),
        Missing::Zero => numbers.map(|value| value.unwrap_or(0.0)).collect(),
    }
}
