//! How the traffic moves: all at once, or by steps.

use serde::{Deserialize, Serialize};

use crate::name::Share;
use crate::time::Span;

use super::experiment::{Experiment, Undecided};
use super::names::{StrategyKind, Word};
use super::rolling::{Fraction, Rolling};

/// The most steps of one release before all traffic: what needs more is a mistake in the share.
pub const MAX_STEPS: usize = 100;

/// `strategy`, with what it takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// All at once.
    BlueGreen,
    /// Some small shares first, then all.
    Canary(Canary),
    /// Equal steps.
    Linear {
        /// How much the share grows by with each.
        by: Share,
        /// How long each stays at least.
        every: Span,
    },
    /// By batches: the new slot grows as the old one shrinks.
    Rolling(Rolling),
    /// An experiment: some clients get the new revision, until it is decided for all.
    Ab(Box<Experiment>),
}

/// Where the steps of a canary are from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Canary {
    /// `canary = "careful"`.
    Preset(Preset),
    /// `[[release.step]]`: at least one, the shares rising, none of them nothing or all.
    Steps(Vec<Step>),
}

/// Steps that have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// For an app with much traffic and little at stake.
    Quick,
    /// For an app that people rely on: an hour until all.
    Careful,
    /// Each step waits for a person.
    ByHand,
}

/// One share on the way to all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The share of the new slot.
    pub share: Share,
    /// `for`: how long it stays at least, counted from when the share is seen in force.
    #[serde(rename = "for")]
    pub stays: Span,
    /// Whether a person says yes before the next step.
    pub approve: bool,
}

impl Strategy {
    /// The steps before all traffic, in order; none when it moves at once. `scale`: of each process that takes requests, on
    /// which batches depend.
    #[must_use]
    pub fn steps(&self, scale: &[u32]) -> Vec<Step> {
        match self {
            Self::BlueGreen => Vec::new(),
            Self::Canary(Canary::Steps(steps)) => steps.clone(),
            Self::Canary(Canary::Preset(preset)) => preset.steps(),
            Self::Ab(experiment) => {
                vec![Step { share: experiment.share, stays: experiment.lasts, approve: false }]
            }
            Self::Linear { by, every } => {
                let by = usize::from(by.basis_points().max(1));
                let points = (1..=MAX_STEPS).map(|nth| nth * by);
                let shares = points.map_while(|points| Share::from_basis_points(u16::try_from(points).ok()?));
                let before_all = shares.filter(|share| *share != Share::ALL);
                before_all.map(|share| Step { share, stays: *every, approve: false }).collect()
            }
            Self::Rolling(rolling) => rolling.steps(Fraction::NONE, scale),
        }
    }

    /// Whether any of its steps waits for a person.
    #[must_use]
    pub fn asks_a_person(&self) -> bool {
        let asks = self.experiment().is_some_and(|experiment| experiment.undecided == Undecided::Ask);
        asks || self.steps(&[]).iter().any(|step| step.approve)
    }

    /// The experiment that its only step is.
    #[must_use]
    pub fn experiment(&self) -> Option<&Experiment> {
        match self {
            Self::Ab(experiment) => Some(experiment),
            Self::BlueGreen | Self::Canary(_) | Self::Linear { .. } | Self::Rolling(_) => None,
        }
    }

    /// Its name in the file.
    #[must_use]
    pub fn word(&self) -> &'static str {
        self.kind().word()
    }

    pub(super) fn kind(&self) -> StrategyKind {
        match self {
            Self::BlueGreen => StrategyKind::BlueGreen,
            Self::Canary(_) => StrategyKind::Canary,
            Self::Linear { .. } => StrategyKind::Linear,
            Self::Rolling(_) => StrategyKind::Rolling,
            Self::Ab(_) => StrategyKind::Ab,
        }
    }
}

impl Preset {
    /// Its steps. Users read the same in `docs/strategies.md`.
    fn steps(self) -> Vec<Step> {
        let minutes = |minutes: u64| Span::from_secs(minutes * 60);
        let step = |points: u16, stays: Span, approve: bool| {
            Some(Step { share: Share::from_basis_points(points)?, stays, approve })
        };
        let steps = match self {
            Self::Quick => vec![step(10_00, minutes(2), false), step(50_00, minutes(2), false)],
            Self::Careful => vec![
                step(1_00, minutes(10), false),
                step(5_00, minutes(10), false),
                step(20_00, minutes(20), false),
                step(50_00, minutes(20), false),
            ],
            Self::ByHand => vec![step(5_00, minutes(5), true), step(50_00, minutes(5), true)],
        };
        steps.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_takes_equal_steps_and_leaves_all_to_the_switch() {
        let shares = |by: &str| {
            let linear = Strategy::Linear { by: by.parse().unwrap(), every: Span::from_secs(60) };
            linear.steps(&[]).iter().map(|step| step.share.to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shares("20%"), "20% 40% 60% 80%");
        assert_eq!(shares("30%"), "30% 60% 90%");
        assert_eq!(shares("60%"), "60%");
        assert_eq!(shares("1%").split(' ').count(), 99);
    }

    #[test]
    fn presets_keep_the_rules_of_written_steps() {
        for (_, preset) in Preset::ALL {
            let steps = Strategy::Canary(Canary::Preset(*preset)).steps(&[]);
            assert!(!steps.is_empty() && steps.len() <= MAX_STEPS);
            assert!(steps.windows(2).all(|pair| pair[0].share < pair[1].share), "{preset:?}");
            assert!(steps.iter().all(|step| step.share > Share::NONE && step.share < Share::ALL), "{preset:?}");
        }
    }

    #[test]
    fn a_policy_of_before_there_were_steps_is_read_and_written_as_it_was() {
        assert_eq!(serde_json::from_str::<Strategy>("\"blue-green\"").unwrap(), Strategy::BlueGreen);
        assert_eq!(serde_json::to_string(&Strategy::BlueGreen).unwrap(), "\"blue-green\"");
    }
}
