//! From numbers to a verdict: pass, fail or inconclusive. A pure room.
//!
//! What it is: [`judge`] (a [`Rule`] and its [`Look`]s give a [`Verdict`]), [`budget`] (how a release's false-alarm rate is
//! shared out), [`score`] (the weighted score of those who come from Kayenta), and [`fixed`] (tests that look once).
//! Promises: the same looks give the same verdict, taken one by one or all at once; a verdict may be asked for after every
//! look and a release that is no worse still fails at most at the rule's rate; no data is never a pass.
//! Must never: read a clock, do I/O, use randomness, or know where a number came from.
//! Begin reading at `judge` (begun anew each hour), `hearing` (one look after another), then `two_arms` (is it worse?), `rate` and `quantile` (by how much?).

pub mod budget;
mod clients;
mod errors;
pub mod fixed;
mod hearing;
mod judge;
mod latency;
mod look;
mod mean;
mod mixture;
mod number;
mod numbers;
mod quantile;
mod rate;
mod reach;
mod reading;
mod rule;
pub mod score;
mod shadow;
mod split;
mod two_arms;
mod verdict;

pub use judge::{Judge, judge};
pub use look::{Counts, Look, MOST_COUNTED, Reached, Seen, Unfit};
pub use mean::LEAST_VALUES;
pub use number::{Finite, LatencyMargin, NumberError, Probability};
pub use rule::{LEAST_CLIENTS, Question, RENEWED_AFTER, Rule, SplitBy, Then, Wait, Worse};
pub use shadow::{FieldVerdict, ShadowRule, ShadowVerdict, shadow};
pub use verdict::{Evidence, Interval, Outcome, Point, Unused, Verdict};
