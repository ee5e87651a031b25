//! Builds and hooks as the controller runs them: started once, ended by time, lost with the controller.

use std::collections::BTreeMap;
use std::path::PathBuf;

use switchover_model::config::{AppConfig, ProcessKind};
use switchover_model::record::{Actor, Attempt, AttemptId, AttemptResult, Draft, Event};
use switchover_model::revision::{Digest, Revision, RevisionProcess, Source};
use switchover_model::{Problem, ReleaseId, RevisionId, Span, Timestamp};

use super::fault::Fault;
use super::platform::Nature;
use super::settings::{BUILD_TIMEOUT, HOOK_TIMEOUT};
use super::state::{Ending, Running, World};

const MILLIS: u64 = 1_000;

impl World {
    /// Carries out a build or hook action: it runs once, however often it is asked for.
    pub(crate) fn run_attempt(&mut self, attempt: AttemptId) {
        let Some((release, what)) = self.book.open_attempts.get(&attempt).cloned() else {
            let known = self.book.known_attempts.contains(&attempt);
            self.violate("an attempt runs between its two records", || {
                format!(
                    "attempt {attempt:?} is asked for, {}",
                    if known { "but has ended" } else { "but has no record" }
                )
            });
            return;
        };
        if self.memory.as_ref().is_none_or(|memory| memory.running.contains_key(&attempt)) {
            return;
        }
        let (ends, end) = self.throw(&what);
        let started = self.now;
        self.tell(|| format!("attempt {} runs: {what:?}", attempt.0));
        if let Some(memory) = &mut self.memory {
            memory.running.insert(attempt, Running { what, release, started, ends, end });
        }
    }

    /// How long an attempt takes, and how it ends.
    fn throw(&mut self, what: &Attempt) -> (u64, Ending) {
        let knobs = &self.knobs;
        let (timeout, hangs, fails, longest) = match what {
            Attempt::Build { .. } => (
                BUILD_TIMEOUT,
                (knobs.builds_hang_until, Fault::BuildHangs),
                (knobs.builds_fail_until, Fault::BuildFails),
                1_500,
            ),
            Attempt::Hook { .. } | Attempt::Backup { .. } | Attempt::Migrate { .. } => (
                HOOK_TIMEOUT,
                (knobs.hooks_hang_until, Fault::HookHangs),
                (knobs.hooks_fail_until, Fault::HookFails),
                800,
            ),
        };
        if self.now < hangs.0 {
            self.met(hangs.1);
            return (self.now + timeout.as_micros(), Ending::Fails);
        }
        let ends = self.now + self.dice.between(30, longest) * MILLIS;
        if self.now < fails.0 {
            self.met(fails.1);
            return (ends, Ending::Fails);
        }
        let waits = matches!(what, Attempt::Hook { .. }) && self.dice.chance(150);
        (ends, if waits { Ending::SaysNotYet } else { Ending::Passes })
    }

    /// What runs already is hit by the trouble that has come over it.
    pub(crate) fn throw_again(&mut self) {
        let Some(memory) = &self.memory else { return };
        let running: Vec<_> = memory.running.iter().map(|(id, running)| (*id, running.what.clone())).collect();
        for (id, what) in running {
            let (ends, end) = self.throw(&what);
            let running = self.memory.as_mut().and_then(|memory| memory.running.get_mut(&id));
            if let (Some(running), Ending::Fails) = (running, end) {
                running.ends = ends;
                running.end = end;
            }
        }
    }

    pub(crate) fn next_attempt_end(&self) -> Option<u64> {
        self.memory.as_ref()?.running.values().map(|running| running.ends).min()
    }

    /// Records what ended by now.
    pub(crate) fn end_attempts(&mut self) {
        let now = self.now;
        let Some(memory) = &mut self.memory else { return };
        let due: Vec<AttemptId> =
            memory.running.iter().filter(|(_, running)| running.ends <= now).map(|(id, _)| *id).collect();
        for attempt in due {
            let Some(running) = self.memory.as_mut().and_then(|memory| memory.running.remove(&attempt)) else {
                continue;
            };
            let mut drafts = Vec::new();
            let result = match (&running.end, &running.what) {
                (Ending::Passes, Attempt::Migrate { step }) => {
                    let (result, migrated) = self.run_framework(running.release, *step);
                    drafts.extend(migrated.map(|event| self.draft(event)));
                    result
                }
                (Ending::Passes, what) => {
                    if let Attempt::Build { revision } = what {
                        let sealed = self.seal(*revision, running.release);
                        drafts.push(self.draft(Event::Sealed { revision: Box::new(sealed) }));
                    }
                    AttemptResult::Passed { output: vec!["done".to_owned()] }
                }
                (Ending::SaysNotYet, _) => AttemptResult::NotYet { output: vec!["wait".to_owned()] },
                (Ending::Fails, what) => {
                    self.break_framework(running.release, what);
                    AttemptResult::Failed { cause: Problem::new("ATTEMPT-FAILED", "It ended with status 1.", "Look.") }
                }
            };
            let took = Span::from_micros(now - running.started);
            drafts.push(self.draft(Event::AttemptEnded { attempt, result, took }));
            self.append(drafts);
            self.wake();
        }
    }

    /// Stops an attempt that nobody needs any more.
    pub(crate) fn cancel_attempt(&mut self, attempt: AttemptId) {
        let now = self.now;
        let was = self.memory.as_mut().and_then(|memory| memory.running.remove(&attempt));
        if let Some(was) = &was {
            self.break_framework(was.release, &was.what);
        }
        if self.book.open_attempts.contains_key(&attempt) {
            let took = Span::from_micros(was.map_or(0, |running| now - running.started));
            let draft = self.draft(Event::AttemptEnded { attempt, result: AttemptResult::Cancelled, took });
            self.append(vec![draft]);
            self.wake();
        }
    }

    pub(crate) fn draft(&self, event: Event) -> Draft {
        Draft { at: self.moment(), actor: Actor::Controller, event }
    }

    fn seal(&mut self, id: RevisionId, release: ReleaseId) -> Revision {
        let config = self.book.releases.get(&release).and_then(|entry| entry.config.clone());
        let config = config.or_else(|| self.book.config.clone()).expect("a release is opened by a command with a file");
        let source = self.book.sources.get(&id).cloned();
        let source = source.unwrap_or(Source::Directory { path: PathBuf::from("/srv/shop") });
        // Now and then somebody deploys what is there already.
        let earlier = self.book.sealed.values().next_back().filter(|_| self.dice.chance(30));
        let artifact = earlier.map_or_else(|| Digest(format!("{id:0>64}")), |earlier| earlier.artifact.clone());
        let newest = self.book.sealed.values().next_back().and_then(|sealed| sealed.schema.clone());
        let live = self.book.heading().map(|(_, live)| live);
        let schema = config.database.as_ref().map(|rules| match rules.framework() {
            Some(_) => self.framework.make(id, live, &mut self.dice),
            None => self.schema.next_files(newest.as_ref(), &mut self.dice),
        });
        let revision = Revision { schema, ..revision(&config, id, artifact, source, self.moment()) };
        let nature = if std::mem::take(&mut self.knobs.sick_revision) {
            self.dice.pick(&[Nature::NeverHealthy, Nature::EndsAtOnce])
        } else if std::mem::take(&mut self.knobs.falling_revision) {
            Nature::FallsSick(self.dice.between(200, 9_000) * MILLIS)
        } else {
            Nature::Good
        };
        self.platform.natures.insert(id, nature);
        self.platform.sealed.insert(id, revision.clone());
        revision
    }
}

fn revision(config: &AppConfig, id: RevisionId, artifact: Digest, source: Source, at: Timestamp) -> Revision {
    let processes: BTreeMap<_, _> = config
        .processes
        .iter()
        .map(|(name, process)| {
            let (health, handover) = match &process.kind {
                ProcessKind::Routed { health, .. } => (Some(health.clone()), None),
                ProcessKind::Worker { handover } => (None, Some(*handover)),
            };
            (
                name.clone(),
                RevisionProcess { command: process.command.clone(), health, stop: process.stop.clone(), handover },
            )
        })
        .collect();
    Revision {
        id,
        artifact,
        env: Digest("e".repeat(64)),
        secrets: None,
        processes,
        probe_host: config.route.hosts.first().cloned(),
        shared: Vec::new(),
        schema: None,
        source,
        sealed_at: at,
    }
}
