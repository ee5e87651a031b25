//! A weighted score of a new version's metrics beside a baseline's, as Kayenta's judge gives it.
//!
//! For those who come from there. It looks once, at the end: asked again and again it raises false alarms, which
//! [`crate::judge()`] does not. Each metric is classified by a Mann-Whitney test; a group's score is the part of its metrics that
//! pass; the whole is the weighted mean of the groups, and a critical metric that fails makes it 0.

mod classify;
mod config;
mod data;
mod mann_whitney;

pub use classify::{Classification, Found, GroupScore, MetricScore, Score, score};
pub use config::{Config, Direction, Metric, Missing, NoData, parse};
pub use data::{DataError, MOST_VALUES, Series, Values};
pub use mann_whitney::{MannWhitney, mann_whitney};
