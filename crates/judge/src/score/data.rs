//! The values of the metrics.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

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
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(transparent)]
pub struct Values(pub BTreeMap<String, Series>);

impl<'de> Deserialize<'de> for Values {
    /// A metric that stands twice is refused: nobody knows which one is meant.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Metrics;

        impl<'de> Visitor<'de> for Metrics {
            type Value = BTreeMap<String, Series>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("metrics by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut metrics = BTreeMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    if metrics.contains_key(&name) {
                        return Err(A::Error::custom(format!("{name} stands twice")));
                    }
                    metrics.insert(name, map.next_value()?);
                }
                Ok(metrics)
            }
        }

        from.deserialize_map(Metrics).map(Self)
    }
}
