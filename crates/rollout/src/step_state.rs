//! What the records tell of the steps of a shift.

use serde::{Deserialize, Serialize};
use switchover_model::config::Step;
use switchover_model::sizes::Batch;
use switchover_model::view::StepView;
use switchover_model::{Share, Span, Timestamp};

use crate::app::App;
use crate::release::Release;
use crate::slots::longer;
use crate::steps;

/// One step that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepState {
    /// Counted from 1.
    pub step: u32,
    /// Of how many before all traffic.
    pub of: u32,
    /// The share of the new slot.
    pub share: Share,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// When its share was first recorded to be in force: its time runs from then.
    pub in_force_at: Option<Timestamp>,
    /// How long of that time a person held the release: it does not count.
    pub held: Span,
    /// When a person ended its wait, for whatever it was.
    pub promoted: Option<Timestamp>,
    /// When a person opened its gate, after its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<Timestamp>,
    /// When the next share, all traffic, or the way back was decided.
    pub left_at: Option<Timestamp>,
    /// Of a rolling release: the instances of both slots once the batch is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
}

impl Release {
    /// The step whose share it has now, or shall have.
    #[must_use]
    pub fn at_step(&self) -> Option<&StepState> {
        self.steps.last().filter(|step| step.left_at.is_none())
    }

    pub(crate) fn take_step(&mut self, step: u32, of: u32, (share, batch): (Share, Option<Batch>), at: Timestamp) {
        self.leave_step(at);
        self.waived = None;
        let (in_force_at, promoted, approved, left_at) = (None, None, None, None);
        self.steps.push(StepState {
            step,
            of,
            share,
            decided_at: at,
            in_force_at,
            held: Span::ZERO,
            promoted,
            approved,
            left_at,
            batch,
        });
        self.wait_for(None, at);
    }

    pub(crate) fn leave_step(&mut self, at: Timestamp) {
        if let Some(step) = self.steps.last_mut().filter(|step| step.left_at.is_none()) {
            step.left_at = Some(at);
        }
    }

    /// A person says yes. `at_gate`: that opens the gate of the step, and its checks are still asked; whatever else is waited for
    /// is waited for no longer.
    pub(crate) fn promote_step(&mut self, at_gate: bool, at: Timestamp) {
        if let Some(step) = self.steps.last_mut() {
            let said = if at_gate { &mut step.approved } else { &mut step.promoted };
            *said = Some(at);
        }
    }

    /// The share of its slot is in force.
    pub(crate) fn step_in_force(&mut self, share: Share, at: Timestamp) {
        let current = self.steps.last_mut().filter(|step| step.left_at.is_none() && step.in_force_at.is_none());
        if let Some(step) = current.filter(|step| step.share == share) {
            step.in_force_at = Some(at);
            self.wait_for(None, at);
        }
    }

    /// A hold ends: it did not count as time of the step.
    pub(crate) fn end_hold(&mut self, at: Timestamp) {
        let Some(since) = self.paused.take() else { return };
        if let Some(shadow) = &mut self.shadow {
            shadow.was_held(since, at);
        }
        let current = self.steps.last_mut().filter(|step| step.left_at.is_none());
        if let Some((step, in_force_at)) = current.and_then(|step| step.in_force_at.map(|from| (step, from))) {
            step.held = longer(step.held, at.since(since.max(in_force_at)));
        }
    }
}

/// Whether a release stands at the gate of its step at this moment: the step's time is over, and nobody has said yes.
pub(crate) fn is_at_gate(app: &App, release: &Release, at: Timestamp) -> bool {
    let Some(state) = release.at_step().filter(|state| state.approved.is_none()) else { return false };
    let planned = steps::planned(app, release);
    let rule = (state.step as usize).checked_sub(1).and_then(|place| planned.get(place)).filter(|rule| rule.approve);
    let end = state.in_force_at.zip(rule).map(|(from, rule)| from + longer(rule.stays, state.held));
    end.is_some_and(|end| at >= end)
}

/// The step that a release is at, as a line. A batch is told with what it leads to: until then it has more of the old instances.
pub(crate) fn told(step: &StepState) -> String {
    let StepState { step: number, of, share, .. } = step;
    match step.batch {
        Some(Batch { new, old }) => {
            format!(
                "batch {number} of {}, {share} of the requests, until {new} new and {old} old instances are left",
                of + 1
            )
        }
        None if *share == Share::NONE => format!("step {number} of {of}, the clients of a match"),
        None => format!("step {number} of {of}, {share} of the requests"),
    }
}

/// The steps of a release as they are shown: those taken, and while it goes on those to come.
pub(crate) fn shown(app: &App, release: &Release) -> Vec<StepView> {
    // A first release has nobody to share the traffic with.
    let goes_on = release.is_open() && !release.is_undoing() && !release.has_switched() && release.from.is_some();
    let planned = if release.settled_at.is_some() { Vec::new() } else { steps::planned(app, release) };
    let rule = |number: u32| planned.get((number as usize).checked_sub(1)?).copied();
    let taken = release.steps.iter().map(|step| {
        let rule: Option<Step> = rule(step.step);
        let end = step.in_force_at.zip(rule).map(|(from, rule)| from + longer(rule.stays, step.held));
        StepView {
            step: step.step,
            share: step.share,
            decided_at: Some(step.decided_at),
            in_force_at: step.in_force_at,
            until: end.filter(|_| step.left_at.is_none() && step.promoted.is_none() && release.paused.is_none()),
            approve: rule.is_some_and(|rule| rule.approve),
            left_at: step.left_at,
            batch: step.batch,
        }
    });
    let to_come = (1..).zip(&planned).skip(release.steps.len()).filter(|_| goes_on).map(|(number, rule)| StepView {
        step: number,
        share: rule.share,
        decided_at: None,
        in_force_at: None,
        until: None,
        approve: rule.approve,
        left_at: None,
        batch: None,
    });
    taken.chain(to_come).collect()
}
