//! The values of the metrics.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A series may have so many values: a day of one a minute, and some more. Every value is compared with every other one.
pub const MOST_VALUES: usize = 2_000;

/// Values of one metric; `null` stands for one that is missing or is no number.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// The old version's, over the same time.
    pub baseline: Vec<Option<f64>>,
    /// The new version's.
    pub canary: Vec<Option<f64>>,
}

/// Data that cannot be scored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// Values of a metric that the configuration does not have.
    #[error("there are values of {0}, and no metric of that name")]
    Unknown(String),
    /// A metric that the data do not name.
    #[error("there is a metric {0}, and nothing of that name in the data")]
    Unnamed(String),
    /// A series is too long.
    #[error("{metric} has a series of {values} values, more than {MOST_VALUES}")]
    TooMany {
        /// The metric.
        metric: String,
        /// How many values.
        values: usize,
    },
}

/// The values of every metric, by its name.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Values(pub BTreeMap<String, Series>);
