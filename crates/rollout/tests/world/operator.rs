//! The operators: any command at any moment, right, wrong, stale, twice.

use std::collections::BTreeMap;
use std::path::PathBuf;

use switchover_model::record::{Actor, IdempotencyKey};
use switchover_model::release::{Command, Stage};
use switchover_model::revision::Source;
use switchover_model::{Problem, ReleaseId, RevisionId};
use switchover_rollout::Admission;

use super::book::Entry;
use super::coverage::Order;
use super::settings;
use super::state::World;

impl World {
    /// A deploy of the app's first file.
    pub(crate) fn first_deploy(&mut self) {
        let focus = self.focus;
        let config = settings::first(&mut self.dice, &focus);
        let source = source(&mut self.dice);
        self.submit_new(&Command::Deploy { config: Box::new(config), source, env: BTreeMap::new(), replace: false });
    }

    /// A command of this kind, most often one that makes sense.
    pub(crate) fn order(&mut self, order: Order) {
        let Some(config) = self.book.config.clone() else { return };
        let moving = self.book.moving().map(|entry| (entry.release, entry.stage));
        let newest = self.book.releases.keys().next_back().copied().unwrap_or(ReleaseId(1));
        let release = match moving {
            Some((release, _)) if self.dice.chance(800) => release,
            Some(_) | None => ReleaseId(u32::try_from(self.dice.between(0, u64::from(newest.0) + 1)).unwrap_or(0)),
        };
        let command = match order {
            Order::Apply => Command::Apply { config: Box::new(settings::changed(&mut self.dice, &config)) },
            Order::Deploy | Order::DeployReplace => Command::Deploy {
                config: Box::new(settings::changed(&mut self.dice, &config)),
                source: source(&mut self.dice),
                env: BTreeMap::new(),
                replace: order == Order::DeployReplace,
            },
            Order::Promote => {
                let stage = match moving {
                    Some((_, stage)) if self.dice.chance(300) => stage,
                    Some(_) | None if self.dice.chance(700) => Stage::Approve,
                    Some(_) | None => self.dice.pick(&Stage::ALL),
                };
                let at = self.book.moving().and_then(Entry::at_step);
                let stage = if at.is_some() && self.dice.chance(600) { Stage::Shift } else { stage };
                let step = if self.dice.chance(700) { at } else { Some(1).filter(|_| self.dice.chance(300)) };
                Command::Promote { release, stage, step, full: self.dice.chance(200) }
            }
            Order::Pause => Command::Pause { release },
            Order::Resume => Command::Resume { release },
            Order::Abort => Command::Abort { release },
            Order::Rollback => {
                // Every other one names the release that is the newest for who asks; some of them are sent late.
                let newest = self.book.releases.keys().next_back().copied();
                Command::Rollback {
                    to: None,
                    release: newest.filter(|_| self.sent.len().is_multiple_of(2)),
                    detach: false,
                }
            }
            Order::RollbackTo => {
                let newest = self.book.sealed.keys().next_back().map_or(1, |id| id.0);
                let to = u32::try_from(self.dice.between(0, u64::from(newest) + 1)).unwrap_or(0);
                Command::Rollback { to: Some(RevisionId(to)), release: None, detach: false }
            }
        };
        self.submit_new(&command);
    }

    /// Says yes at the gate that the newest release waits at.
    pub(crate) fn approve(&mut self) {
        let moving = self.book.moving().filter(|entry| !entry.undoing);
        let Some((release, stage, step)) = moving.map(|entry| (entry.release, entry.stage, entry.at_step())) else {
            return;
        };
        let at_window = self.book.moving().is_some_and(|entry| entry.at_window);
        let in_shadow = self.book.moving().is_some_and(Entry::is_in_shadow);
        if stage == Stage::Approve || step.is_some() || at_window || in_shadow {
            self.submit_new(&Command::Promote { release, stage, step, full: false });
        }
        self.let_go();
    }

    /// Has an old slot stopped that a hook would not have stopped.
    pub(crate) fn let_go(&mut self) {
        let waits = self.book.releases.values().find(|entry| entry.at_retire_gate && !entry.settled && !entry.undoing);
        if let Some(release) = waits.map(|entry| entry.release) {
            self.submit_new(&Command::Promote { release, stage: Stage::Retire, step: None, full: false });
        }
    }

    /// Sends again what was sent before, with the same key.
    pub(crate) fn send_again(&mut self) {
        if self.sent.is_empty() {
            return;
        }
        let (key, command) = self.sent[self.dice.index(self.sent.len())].clone();
        self.submit(&key, &command);
    }

    pub(crate) fn submit_new(&mut self, command: &Command) {
        let key = IdempotencyKey(format!("key-{}", self.sent.len()));
        self.sent.push((key.clone(), command.clone()));
        self.submit(&key, command);
        if self.dice.chance(100) {
            self.submit(&key, command);
        }
    }

    fn submit(&mut self, key: &IdempotencyKey, command: &Command) {
        let Some(memory) = &self.memory else { return };
        let actor = Actor::Operator { uid: 1_000, name: Some("ada".to_owned()) };
        let ledger = self.router.observe(self.now).map(|seen| seen.ledger);
        let answer = self.room.admit(&memory.app, command, key, &actor, self.moment());
        let answer = answer.map(|admission| admission.with_ledger(&memory.app, ledger.as_ref()));
        self.visit.order(Order::of(command));
        self.tell(|| format!("command {} {}: {}", key.0, said(command), answered(&answer)));
        self.watch_answer(key, command, &answer);
        if let Ok(Admission::New { drafts, .. }) = answer {
            self.append(drafts);
            self.wake();
        }
    }
}

fn source(dice: &mut super::dice::Dice) -> Source {
    let path = PathBuf::from("/srv/shop");
    if dice.chance(500) { Source::Directory { path } } else { Source::Artifact { path } }
}

fn said(command: &Command) -> String {
    match command {
        Command::Apply { .. } => "apply".to_owned(),
        Command::Deploy { replace, .. } => format!("deploy replace={replace}"),
        Command::Promote { release, stage, step, full } => {
            format!("promote {release} {stage} step={step:?} full={full}")
        }
        Command::Pause { release } => format!("pause {release}"),
        Command::Resume { release } => format!("resume {release}"),
        Command::Abort { release } => format!("abort {release}"),
        Command::Rollback { to, release, detach: _ } => format!("rollback {to:?} {release:?}"),
    }
}

fn answered(answer: &Result<Admission, Problem>) -> String {
    match answer {
        Ok(Admission::New { drafts, release, .. }) => format!("{} records, release {release:?}", drafts.len()),
        Ok(Admission::Repeated { sequence, .. }) => format!("was record {sequence}"),
        Err(problem) => format!("refused, {}", problem.code),
    }
}
