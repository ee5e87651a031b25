//! A release as plain lines: one a change, without control codes.

use std::collections::BTreeMap;

use switchover_model::record::{Actor, Attempt, AttemptId, AttemptResult, Event, Record};
use switchover_model::release::Stage;
use switchover_model::view::{ReleaseView, StageState, StatusView};
use switchover_model::{AppName, InstanceId, ReleaseId};

use crate::say;
use crate::show::release::{gate, is_empty, nothing_to, outcome_word, stage_time};
use crate::show::{self, moment, shadow, steps};

/// What was said already.
#[derive(Debug)]
pub(crate) struct Plain {
    begin: String,
    release: ReleaseId,
    headed: bool,
    stages: BTreeMap<Stage, (StageState, Option<String>)>,
    hooks: BTreeMap<AttemptId, Stage>,
    waiting: Option<String>,
    paused: bool,
    undoing: bool,
    ended: bool,
}

impl Plain {
    pub(crate) fn new(app: &AppName, release: ReleaseId) -> Self {
        Self {
            begin: format!("{app} release {release}"),
            release,
            headed: false,
            stages: BTreeMap::new(),
            hooks: BTreeMap::new(),
            waiting: None,
            paused: false,
            undoing: false,
            ended: false,
        }
    }

    /// Says what changed since the last time.
    pub(crate) fn show(&mut self, status: &StatusView, release: &ReleaseView) {
        self.changes(release, &gate(status, release)).into_iter().for_each(say::line);
    }

    /// The same at the end, without a status.
    pub(crate) fn end(&mut self, release: &ReleaseView) {
        self.changes(release, &[]).into_iter().for_each(say::line);
    }

    fn changes(&mut self, release: &ReleaseView, gate: &[String]) -> Vec<String> {
        let mut lines = Vec::new();
        if !std::mem::replace(&mut self.headed, true) {
            let from = release.from.map(|from| format!("{from} -> ")).unwrap_or_default();
            lines.push(format!("{}: {from}{}", self.begin, release.revision));
        }
        for stage in &release.stages {
            let now = (stage.state, stage.note.clone());
            let before = self.stages.insert(stage.stage, now.clone());
            if before.as_ref() == Some(&now) {
                continue;
            }
            if is_empty(stage) {
                lines.push(format!("{}: {}: {}", self.begin, stage.stage, nothing_to(stage.stage)));
                continue;
            }
            let state = match stage.state {
                StageState::Running if before.is_none() && now.1.is_none() => "begins".to_owned(),
                StageState::Running => "going on".to_owned(),
                StageState::Done => format!("done in {}", took(stage)),
                StageState::Failed => format!("failed after {}", took(stage)),
                StageState::Undone => "undone".to_owned(),
            };
            let note = now.1.map(|note| format!(", {}", say::printable(&note))).unwrap_or_default();
            lines.push(format!("{}: {} {state}{note}", self.begin, stage.stage));
        }
        if release.waiting != self.waiting {
            self.waiting.clone_from(&release.waiting);
            if let (Some(waiting), None) = (&self.waiting, &release.settled_at) {
                let opens = release.opens_at.map(|at| format!("in {}", at.since(moment::now()).rounded()));
                let more = opens.or_else(|| steps::waited_for(release)).or_else(|| shadow::waited_for(release));
                let more = more.map(|more| format!(" ({more})")).unwrap_or_default();
                lines.push(format!("{}: waits: {}{more}", self.begin, say::printable(waiting)));
                lines.extend(gate.iter().map(|line| format!("{}: {line}", self.begin)));
            }
        }
        if release.paused != self.paused {
            self.paused = release.paused;
            lines.push(format!("{}: {}", self.begin, if self.paused { "paused" } else { "goes on" }));
        }
        if release.undoing && !std::mem::replace(&mut self.undoing, true) {
            lines.push(format!("{}: being undone", self.begin));
        }
        if let Some(outcome) = &release.outcome
            && !std::mem::replace(&mut self.ended, true)
        {
            lines.push(format!("{}: {}", self.begin, outcome_word(outcome)));
        }
        lines
    }

    /// Says what a hook of the release printed; how it went is the note of its stage.
    pub(crate) fn record(&mut self, record: &Record) {
        match &record.event {
            Event::AttemptStarted { attempt, release, what: Attempt::Hook { stage, .. } }
                if *release == self.release =>
            {
                self.hooks.insert(*attempt, *stage);
            }
            Event::AttemptEnded { attempt, result, .. } => {
                let Some(stage) = self.hooks.remove(attempt) else { return };
                match result {
                    AttemptResult::Passed { output } | AttemptResult::NotYet { output } => {
                        for line in output {
                            say::line(format_args!("{}: {stage} hook | {}", self.begin, say::printable(line)));
                        }
                    }
                    // The lines of a failed one come with the cause of the release's end.
                    AttemptResult::Failed { .. } | AttemptResult::Cancelled | AttemptResult::Lost => {}
                }
            }
            Event::Migrated { release, migrated } if *release == self.release => {
                for (names, what) in [(&migrated.done, "carried out"), (&migrated.waiting, "waits for contract")] {
                    if !names.is_empty() {
                        let names = names.join(", ");
                        say::line(format_args!("{}: expand: {what}: {}", self.begin, say::printable(&names)));
                    }
                }
            }
            Event::Decided { watch, decided } if watch.release == self.release => {
                let lines = show::experiment::decided_lines(decided);
                lines.iter().for_each(|line| say::line(format_args!("{}: {line}", self.begin)));
            }
            Event::Renewed { release, slot, instances, .. } if *release == Some(self.release) => {
                let who: Vec<&str> = instances.iter().map(InstanceId::as_str).collect();
                say::line(format_args!("{}: replaced in {slot}, because ill: {}", self.begin, who.join(", ")));
            }
            Event::Noted { release: Some(release), problem }
                if *release == self.release && record.actor == Actor::Controller =>
            {
                say::line(format_args!("{}: note {}: {}", self.begin, problem.code, say::printable(&problem.cause)));
            }
            Event::AttemptStarted { .. }
            // An operator's own notes came with the answer to the command.
            | Event::Noted { .. }
            | Event::Commanded { .. }
            | Event::Opened { .. }
            | Event::Entered { .. }
            | Event::Waiting { .. }
            | Event::Sealed { .. }
            | Event::Routed { .. }
            | Event::Stepped { .. }
            | Event::Sized { .. }
            | Event::InForce { .. }
            | Event::Marked { .. }
            | Event::Looked { .. }
            | Event::Judged { .. }
            | Event::Decided { .. }
            | Event::Migrated { .. }
            | Event::HandedOver { .. }
            | Event::Switched { .. }
            | Event::Undoing { .. }
            | Event::Drained { .. }
            | Event::Stopped { .. }
            | Event::Emptied { .. }
            | Event::Renewed { .. }
            | Event::Concluded { .. }
            | Event::Settled { .. }
            | Event::Drifted { .. }
            | Event::RouterRestarted { .. } => {}
        }
    }
}

fn took(stage: &switchover_model::view::StageView) -> String {
    stage_time(stage, stage.entered_at).rounded()
}

#[cfg(test)]
mod tests {
    use switchover_model::release::{Outcome, ReleaseKind};
    use switchover_model::view::StageView;
    use switchover_model::{RevisionId, Span, Timestamp};

    use super::*;

    #[test]
    fn each_change_is_one_line_and_nothing_is_said_twice() {
        let at = |millis| Timestamp::from_micros(1_000_000) + Span::from_millis(millis);
        let stage = |stage, from, to: Option<u64>, state, note: Option<&str>| StageView {
            stage,
            entered_at: at(from),
            left_at: to.map(at),
            state,
            note: note.map(str::to_owned),
        };
        let mut release = ReleaseView {
            release: ReleaseId(2),
            kind: ReleaseKind::Deploy,
            revision: RevisionId(2),
            from: Some(RevisionId(1)),
            slot: None,
            by: "ann".into(),
            opened_at: at(0),
            stages: vec![stage(Stage::Build, 0, None, StageState::Running, None)],
            steps: Vec::new(),
            waiting: None,
            at_gate: false,
            waits_for_window: false,
            opens_at: None,
            paused: false,
            undoing: false,
            switched_at: None,
            outcome: None,
            settled_at: None,
            hooks: Vec::new(),
            checks: None,
            judged: Vec::new(),
            shadow: None,
        };
        let mut plain = Plain::new(&"shop".parse().unwrap(), ReleaseId(2));
        let mut said = plain.changes(&release, &[]);
        said.extend(plain.changes(&release, &[]));
        release.stages = vec![
            stage(Stage::Build, 0, Some(2_100), StageState::Done, Some("sealed 0123")),
            stage(Stage::Provision, 2_100, None, StageState::Running, Some("0/1 web healthy")),
            stage(Stage::Verify, 2_500, Some(2_500), StageState::Done, None),
        ];
        release.waiting = Some("web to be healthy\u{1b}[2J".into());
        said.extend(plain.changes(&release, &[]));
        release.undoing = true;
        release.outcome = Some(Outcome::Aborted { cause: None });
        said.extend(plain.changes(&release, &[]));
        assert_eq!(
            said,
            [
                "shop release 2: r1 -> r2",
                "shop release 2: build begins",
                "shop release 2: build done in 2.1 s, sealed 0123",
                "shop release 2: provision going on, 0/1 web healthy",
                "shop release 2: verify: nothing to verify",
                "shop release 2: waits: web to be healthy",
                "shop release 2: being undone",
                "shop release 2: aborted",
            ]
        );
    }
}
