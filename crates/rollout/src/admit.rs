//! What an operator's command becomes, or why it is refused: also at the wrong moment, which is part of the state
//! machine and not an error of the shell.

use switchover_model::receipt::Ledger;
use switchover_model::record::{Actor, Draft, Event, IdempotencyKey};
use switchover_model::release::{Command, Outcome, ReleaseKind, Stage};
use switchover_model::{Problem, ReleaseId, Timestamp};

use crate::app::App;
use crate::fold::command_digest;
use crate::receipt::trimmed;
use crate::release::Release;
use crate::turn::planted;
use crate::{limits, opening, policy, refusal};

/// What a command became.
#[derive(Debug, Clone, PartialEq)]
pub enum Admission {
    /// It is carried out by appending these.
    New {
        /// Records to append, all or none, expecting [`App::sequence`].
        drafts: Vec<Draft>,
        /// The release it opened or is about.
        release: Option<ReleaseId>,
        /// What the operator should know: which way back this closes, what it does not change.
        notices: Vec<Problem>,
    },
    /// The same key was admitted before: nothing to do, the answer is the same.
    Repeated {
        /// Sequence of the record it became then.
        sequence: u64,
        /// The release it opened or was about.
        release: Option<ReleaseId>,
    },
}

impl Admission {
    /// The same with the router's counters in the release it opens: where its receipt begins. `app` is as it was admitted for.
    #[must_use]
    pub fn with_ledger(mut self, app: &App, reading: Option<&Ledger>) -> Self {
        if let Self::New { drafts, .. } = &mut self {
            for draft in drafts {
                if let Event::Opened { ledger, .. } = &mut draft.event {
                    *ledger = reading.map(|reading| Box::new(trimmed(reading, app, app.archive.iter())));
                }
            }
        }
        self
    }
}

/// What `command` becomes for `app`.
///
/// Flow: called when a command arrives; the drafts are appended (expecting [`App::sequence`]), then `decide` is asked.
/// Guarantees: deterministic; a key that was admitted before gives [`Admission::Repeated`], never a second release.
/// Errors: the refusal, with its code, cause and next step; nothing is changed by it.
pub fn admit(
    app: &App,
    command: &Command,
    key: &IdempotencyKey,
    actor: &Actor,
    now: Timestamp,
) -> Result<Admission, Problem> {
    Desk::new(app, actor, now).admit(command, key)
}

/// [`admit`] with one planted mistake.
#[cfg(feature = "planted-bugs")]
pub fn admit_with(
    bug: Option<crate::planted::Bug>,
    app: &App,
    command: &Command,
    key: &IdempotencyKey,
    actor: &Actor,
    now: Timestamp,
) -> Result<Admission, Problem> {
    let mut desk = Desk::new(app, actor, now);
    desk.bug = bug;
    desk.admit(command, key)
}

/// One command being looked at.
pub(crate) struct Desk<'a> {
    pub(crate) app: &'a App,
    actor: &'a Actor,
    now: Timestamp,
    drafts: Vec<Draft>,
    notices: Vec<Problem>,
    /// What is undone has errors of the database as its reason.
    detach: bool,
    #[cfg(feature = "planted-bugs")]
    pub(crate) bug: Option<crate::planted::Bug>,
}

impl<'a> Desk<'a> {
    fn new(app: &'a App, actor: &'a Actor, now: Timestamp) -> Self {
        Self {
            app,
            actor,
            now,
            drafts: Vec::new(),
            notices: Vec::new(),
            detach: false,
            #[cfg(feature = "planted-bugs")]
            bug: None,
        }
    }

    fn admit(mut self, command: &Command, key: &IdempotencyKey) -> Result<Admission, Problem> {
        let known = self.app.keys.iter().find(|known| known.key == *key);
        if let (Some(known), false) = (known, planted!(self, KeyForgotten)) {
            if known.digest != command_digest(command) {
                return Err(refusal::key_reused(known, command));
            }
            return Ok(Admission::Repeated { sequence: known.sequence, release: known.release });
        }
        self.write(Event::Commanded { key: key.clone(), command: command.clone() });
        let release = self.carry_out(command)?;
        Ok(Admission::New { drafts: self.drafts, release, notices: self.notices })
    }

    pub(crate) fn write(&mut self, event: Event) {
        self.drafts.push(Draft { at: self.now, actor: self.actor.clone(), event });
    }

    /// Tells the operator, and the journal.
    pub(crate) fn notice(&mut self, release: Option<ReleaseId>, problem: Problem) {
        self.notices.push(problem.clone());
        self.write(Event::Noted { release, problem });
    }

    fn carry_out(&mut self, command: &Command) -> Result<Option<ReleaseId>, Problem> {
        match command {
            Command::Apply { config } => {
                refusal::if_of_another_app(self.app, config)?;
                for note in policy::changes(self.app.config.as_ref(), config) {
                    self.notice(None, note);
                }
                Ok(None)
            }
            Command::Deploy { config, source, replace, .. } => {
                refusal::if_of_another_app(self.app, config)?;
                if let Some(note) = policy::deployed(self.app, config) {
                    self.notice(None, note);
                }
                Ok(Some(opening::deploy(self, source.clone(), *replace)))
            }
            Command::Promote { release, stage, step, full } => self.promote(*release, *stage, *step, *full).map(Some),
            Command::Pause { release } => {
                let found = self.steerable(*release)?;
                let is_tail = found.stage() >= Some(Stage::Retire) && !is_undoable(found);
                if found.is_undoing() || is_tail {
                    return Err(refusal::stale(self.app, *release, "is past the point where it could be held"));
                }
                Ok(Some(*release))
            }
            Command::Resume { release } => {
                let found = self.steerable(*release)?;
                if found.paused.is_none() {
                    let cause = format!("release {release} is not paused.");
                    return Err(Problem::new("NOT-PAUSED", cause, "Look with `switchover status`."));
                }
                Ok(Some(*release))
            }
            Command::Abort { release } => {
                let found = self.steerable(*release)?;
                self.undo(found).map(Some)
            }
            Command::Rollback { to: None, release, detach } => {
                self.detach = *detach;
                self.go_back(*release).map(Some)
            }
            Command::Rollback { to: Some(to), release, detach } => {
                self.detach = *detach;
                if let Some(named) = release {
                    self.is_current(*named)?;
                }
                opening::return_to(self, *to, false).map(Some)
            }
        }
    }

    fn promote(
        &mut self,
        mut release: ReleaseId,
        stage: Stage,
        step: Option<u32>,
        full: bool,
    ) -> Result<ReleaseId, Problem> {
        if let (Some(moving), true) = (self.app.moving(), planted!(self, PromoteIgnoresStaleness)) {
            release = moving.id;
            if let Some(Event::Commanded { command, .. }) = self.drafts.first_mut().map(|draft| &mut draft.event) {
                *command = Command::Promote { release, stage, step, full };
            }
            return Ok(release);
        }
        let found = self.steerable(release)?;
        if found.waits_for_window() && !found.is_undoing() && found.stage() == Some(stage) {
            return refusal::unless_at_step(self.app, found, step).map(|()| release);
        }
        if stage == Stage::Verify && found.is_in_shadow() {
            return refusal::unless_at_step(self.app, found, step).map(|()| release);
        }
        if stage == Stage::Shift && found.is_in_steps() {
            return refusal::if_at_another_step(self.app, found, step, full).map(|()| release);
        }
        refusal::unless_at_step(self.app, found, step)?;
        if stage == Stage::Retire && found.waits_to_retire() {
            return Ok(release);
        }
        if !found.is_undoing() && found.stage() == Some(stage) && stage != Stage::Approve {
            let cause = format!("release {release} is in stage {stage} and waits at no gate.");
            let next = "Look with `switchover status`; a gate comes with `approve = true` in [release].";
            return Err(Problem::new("NOT-AT-A-GATE", cause, next));
        }
        if !found.is_undoing() && found.stage() == Some(stage) && found.is_promoted() {
            return Err(refusal::open_already(found));
        }
        if found.is_undoing() || found.stage() != Some(stage) || stage != Stage::Approve {
            return Err(refusal::stale(self.app, release, &format!("does not wait at a gate of stage {stage}")));
        }
        Ok(release)
    }

    /// The release a command names, if it is still going on.
    fn steerable(&self, id: ReleaseId) -> Result<&'a Release, Problem> {
        let found = self.app.release(id).filter(|release| release.is_open() || is_undoable(release));
        found.ok_or_else(|| refusal::stale(self.app, id, "is not going on"))
    }

    /// `rollback` without a revision: undoes what is moving or was moved last; else goes to the revision before. It goes
    /// back once: what was gone back already, or is being, stays so.
    fn go_back(&mut self, named: Option<ReleaseId>) -> Result<ReleaseId, Problem> {
        let app = self.app;
        if let Some(named) = named {
            self.is_current(named)?;
        }
        if let Some(moving) = app.moving() {
            if is_plain_return(moving) && !moving.is_undoing() {
                self.notices.push(refusal::goes_back_already(moving));
                return Ok(moving.id);
            }
            let ahead = app.releases.iter().rev().find(|release| release.is_open() && release.has_shifted());
            if moving.stage().is_none()
                && let Some(ahead) =
                    ahead.filter(|ahead| ahead.stage() == Some(Stage::Shift) && !is_plain_return(ahead))
            {
                // What waited behind the shift would go on in the opposite direction.
                self.write(Event::Concluded { release: moving.id, outcome: Outcome::Aborted { cause: None } });
                return self.undo(ahead);
            }
            return self.undo(moving);
        }
        let Some(live) = app.heading() else { return Err(refusal::nothing_to_roll_back(app)) };
        if let Some(ended) = app.all_releases().next_back().filter(|last| self.has_just_ended(last))
            && !planted!(self, RollsBackTwice)
        {
            return Err(refusal::ended_before_its_switch(ended, live.revision, app));
        }
        if let (Some(last), false) = (gone_back(app), planted!(self, RollsBackTwice)) {
            return Err(refusal::gone_back_already(last, live.revision, app));
        }
        if let Some(last) = app.releases.iter().rev().find(|release| is_undoable(release) && is_live(app, release))
            && app.origin_of(last).is_some()
        {
            return self.undo(last);
        }
        match app.before_live().filter(|from| app.revisions.contains_key(from)) {
            Some(from) => opening::return_to(self, from, true),
            None => Err(refusal::nothing_to_roll_back(app)),
        }
    }

    /// Somebody took it back before its switch, so short a while ago that who asks for a rollback may mean it too, and not
    /// the live one.
    fn has_just_ended(&self, release: &Release) -> bool {
        let aborted = matches!(release.outcome, Some(Outcome::Aborted { cause: None }));
        aborted && release.concluded_at.is_some_and(|at| self.now < at + limits::MEANT)
    }

    /// Refuses a rollback that was meant for an older state: a newer release was opened since, or it is undone already.
    fn is_current(&self, named: ReleaseId) -> Result<(), Problem> {
        let Some(newest) = self.app.all_releases().next_back().filter(|newest| newest.id == named) else {
            return Err(refusal::stale(self.app, named, "is not the newest one"));
        };
        match newest.outcome {
            None | Some(Outcome::Succeeded { .. } | Outcome::Failed { .. }) => Ok(()),
            Some(Outcome::Aborted { .. } | Outcome::RolledBack { .. } | Outcome::Superseded { .. }) => {
                Err(refusal::stale(self.app, named, "is undone already"))
            }
        }
    }

    /// Undoes a release: before its shift an abort, afterwards a switch back.
    pub(crate) fn undo(&mut self, release: &Release) -> Result<ReleaseId, Problem> {
        if release.is_undoing() {
            let cause = format!("release {} is being undone already.", release.id);
            self.notices.push(Problem::new("ALREADY-UNDOING", cause, "Wait for it: `switchover status --watch`."));
            return Ok(release.id);
        }
        let moved_on = release.switched_at.is_some();
        if moved_on && !(is_live(self.app, release) && self.app.origin_of(release).is_some()) {
            return Err(refusal::nothing_to_roll_back(self.app));
        }
        self.write(Event::Undoing { release: release.id, cause: None, detach: self.detach });
        Ok(release.id)
    }
}

/// Asked for by a rollback that named no revision.
fn is_plain_return(release: &Release) -> bool {
    matches!(release.kind, ReleaseKind::Return { plain: true, .. })
}

/// A plain return that is on its way or watched.
pub(crate) fn goes_back(app: &App) -> Option<&Release> {
    app.releases.iter().rev().find(|release| release.is_open() && !release.is_undoing() && is_plain_return(release))
}

/// The release that moved the traffic last, where that was going back: a switch back, or a plain return's forward one.
pub(crate) fn gone_back(app: &App) -> Option<&Release> {
    let switches = app.all_releases().flat_map(|release| release.switches.iter().map(move |switch| (release, switch)));
    let (release, switch) = switches.max_by_key(|(_, switch)| switch.version)?;
    (switch.back != is_plain_return(release)).then_some(release)
}

/// It succeeded, and its old slot may still be warm.
fn is_undoable(release: &Release) -> bool {
    matches!(release.outcome, Some(Outcome::Succeeded { .. }))
}

pub(crate) fn is_live(app: &App, release: &Release) -> bool {
    app.heading().is_some_and(|live| Some(live.slot) == release.slot && live.revision == release.revision)
}
