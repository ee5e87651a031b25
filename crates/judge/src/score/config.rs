//! What is scored, and how: a file of its own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use switchover_model::config::Mistake;
use toml::Spanned;

/// What makes a score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Config {
    /// A score from here on is a pass, of 100.
    pub pass: f64,
    /// One from here on is marginal; below it is a fail.
    pub marginal: f64,
    /// What each metric's interval leaves out, in percent subtracted from 100: 98 is Kayenta's.
    pub confidence: f64,
    /// A shift smaller than this part of itself's estimate does not count: 0.25 is Kayenta's.
    pub tolerance: f64,
    /// The weight of each group, of 100. Those that the file does not name share what is left.
    pub groups: BTreeMap<String, f64>,
    /// The metrics, by name.
    pub metrics: BTreeMap<String, Metric>,
}

/// How one metric is classified.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metric {
    /// Its group.
    pub group: String,
    /// Which change is bad.
    pub direction: Direction,
    /// If it fails, so does everything.
    pub critical: bool,
    /// What it is without values.
    pub nodata: NoData,
    /// What is done with a value that is missing.
    pub missing: Missing,
    /// A rise is bad from this ratio of the means on: 1.1 lets one of less than 10 % pass.
    pub increase: f64,
    /// A fall is bad from this ratio on: 0.9 lets one of less than 10 % pass.
    pub decrease: f64,
}

/// Which change of a metric is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// A rise.
    Increase,
    /// A fall.
    Decrease,
    /// Both.
    Either,
}

/// What a metric without values is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoData {
    /// Left out of its group; when every metric is, there is no score.
    #[default]
    Ignore,
    /// A metric that fails.
    Fail,
}

/// What is done with a value that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// It is left out.
    #[default]
    Remove,
    /// It counts as 0: right for counts of what did not happen.
    Zero,
}

// === Reading the file ===

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    pass: Option<Spanned<f64>>,
    marginal: Option<Spanned<f64>>,
    confidence: Option<Spanned<f64>>,
    tolerance: Option<Spanned<f64>>,
    #[serde(default)]
    groups: BTreeMap<String, Spanned<f64>>,
    metric: Option<Spanned<BTreeMap<String, MetricFile>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MetricFile {
    group: Option<String>,
    direction: Direction,
    #[serde(default)]
    critical: bool,
    #[serde(default)]
    nodata: NoData,
    #[serde(default)]
    missing: Missing,
    increase: Option<Spanned<f64>>,
    decrease: Option<Spanned<f64>>,
}

/// The group of a metric that names none.
const ONLY_GROUP: &str = "all";

/// The configuration in `source`; `file` is its name as it is shown.
pub fn parse(source: &str, file: &str) -> Result<Config, Vec<Mistake>> {
    let read: File = toml::from_str(source).map_err(|error| {
        let at = error.span().unwrap_or(0..1);
        vec![Mistake::at(source, file, &at, format!("{}.", error.message().replace('\n', " ")), KEYS.to_owned())]
    })?;
    let mut reader = Reader { source, file, mistakes: Vec::new() };
    let config = reader.config(read);
    if reader.mistakes.is_empty() { Ok(config) } else { Err(reader.mistakes) }
}

const KEYS: &str = "the keys are pass, marginal, confidence, tolerance, [groups], and for each [metric.NAME]: direction \
    (\"increase\", \"decrease\" or \"either\"), group, critical, nodata (\"ignore\" or \"fail\"), missing (\"remove\" or \"zero\"), increase, decrease";

struct Reader<'a> {
    source: &'a str,
    file: &'a str,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    fn mistake(&mut self, at: std::ops::Range<usize>, cause: String, write: &str) {
        self.mistakes.push(Mistake::at(self.source, self.file, &at, cause, write.to_owned()));
    }

    /// The number, if it is right; else `usual` and a mistake.
    fn number(&mut self, read: Option<Spanned<f64>>, usual: f64, is: impl Fn(f64) -> bool, write: &str) -> f64 {
        let Some(read) = read else { return usual };
        let (at, value) = (read.span(), read.into_inner());
        if is(value) {
            return value;
        }
        self.mistake(at, format!("{value} cannot be here."), write);
        usual
    }

    fn config(&mut self, read: File) -> Config {
        let is_score = |value: f64| value > 0.0 && value <= 100.0;
        let pass = self.number(read.pass, 95.0, is_score, "a score above 0, at most 100, such as 95");
        let write = "a score above 0, at most that of `pass` (95 if not named), such as 75";
        let marginal = self.number(read.marginal, pass.min(75.0), |value| is_score(value) && value <= pass, write);
        let write = "a percentage of at least 50 and below 100, such as 98";
        let confidence = self.number(read.confidence, 98.0, |value| (50.0..100.0).contains(&value), write);
        let write = "a part of at least 0 and below 1, such as 0.25";
        let tolerance = self.number(read.tolerance, 0.25, |value| (0.0..1.0).contains(&value), write);
        let mut metrics = BTreeMap::new();
        let at = read.metric.as_ref().map_or(0..1, Spanned::span);
        for (name, metric) in read.metric.map(Spanned::into_inner).unwrap_or_default() {
            metrics.insert(name, self.metric(metric));
        }
        if metrics.is_empty() {
            self.mistake(at, "There is no metric.".to_owned(), "[metric.error_rate]\ndirection = \"increase\"");
        }
        let groups = self.groups(read.groups, &metrics);
        Config { pass, marginal, confidence, tolerance, groups, metrics }
    }

    fn metric(&mut self, read: MetricFile) -> Metric {
        let write = "a ratio of at least 1, such as 1.1";
        let increase = self.number(read.increase, 1.0, |value| value.is_finite() && value >= 1.0, write);
        let write = "a ratio above 0, at most 1, such as 0.9";
        let decrease = self.number(read.decrease, 1.0, |value| value > 0.0 && value <= 1.0, write);
        Metric {
            group: read.group.unwrap_or_else(|| ONLY_GROUP.to_owned()),
            direction: read.direction,
            critical: read.critical,
            nodata: read.nodata,
            missing: read.missing,
            increase,
            decrease,
        }
    }

    /// The weight of every group that has a metric.
    fn groups(
        &mut self,
        read: BTreeMap<String, Spanned<f64>>,
        metrics: &BTreeMap<String, Metric>,
    ) -> BTreeMap<String, f64> {
        let mut groups: BTreeMap<String, Option<f64>> =
            metrics.values().map(|metric| (metric.group.clone(), None)).collect();
        let mut sum = 0.0;
        let mut last = None;
        for (name, weight) in read {
            let at = weight.span();
            let Some(group) = groups.get_mut(&name) else {
                self.mistake(at, format!("No metric is in the group {name}."), "a group that a metric names");
                continue;
            };
            let is_weight = |value: f64| value > 0.0 && value <= 100.0;
            last = Some(at);
            let weight = self.number(Some(weight), 1.0, is_weight, "a weight above 0, at most 100");
            *group = Some(weight);
            sum += weight;
        }
        let unnamed = groups.values().filter(|weight| weight.is_none()).count();
        let is_whole = if unnamed == 0 { (sum - 100.0).abs() < 1e-6 } else { sum < 100.0 };
        if let Some(at) = last.filter(|_| !is_whole) {
            let left =
                if unnamed == 0 { "100" } else { "less than 100, because groups without a weight share what is left" };
            self.mistake(at, format!("The weights sum up to {sum}."), &format!("weights that sum up to {left}"));
        }
        let each = (100.0 - sum) / unnamed.max(1) as f64;
        groups.into_iter().map(|(name, weight)| (name, weight.unwrap_or(each))).collect()
    }
}
