//! What must hold of the database's schema: whoever serves can run on it, and nothing goes that is still used.

use switchover_model::release::Outcome;
use switchover_model::revision::RevisionSchema;
use switchover_model::schema::{Found, SchemaGoal};
use switchover_model::seam::Seen;
use switchover_model::{Problem, ReleaseId, RevisionId};
use switchover_rollout::Decision;

use super::book::{Backup, Entry, FOR_CONTRACT, FOR_INVARIANTS};
use super::schema::{is_left_to, not_in_step, unserved};
use super::state::World;
use switchover_model::record::Event;
use switchover_model::release::{ReleaseKind, Stage};

const NO_HINDRANCE: &str = "invariants are in nobody's way back";

fn is_way_back(entry: &Entry) -> bool {
    matches!(entry.kind, ReleaseKind::Return { .. })
}

impl World {
    pub(crate) fn schema_of(&self, revision: RevisionId) -> Option<RevisionSchema> {
        self.book.sealed.get(&revision)?.schema.clone()
    }

    /// Who has the traffic can run on the schema that is there, and so can who is kept warm for a way back.
    pub(crate) fn watch_served(&mut self) {
        if self.router.edited {
            return;
        }
        for revision in self.serving_or_warm() {
            let Some(wanted) = self.schema_of(revision) else { continue };
            if let Some(why) = self.unserved(revision, &wanted) {
                self.violate("who serves can run on the schema", || format!("{revision}: {why}"));
            }
        }
    }

    /// Why it can not go on running, where that is not what somebody's hand took away while the schema could not be seen.
    fn unserved(&self, revision: RevisionId, wanted: &RevisionSchema) -> Option<String> {
        let went_back = self.book.releases.values().any(|entry| entry.revision == revision && is_way_back(entry));
        let is_excused = went_back && self.is_undone_by_hand(wanted);
        let why = unserved(&self.schema.known, wanted).filter(|_| !is_excused);
        self.framework.unserved(revision).or(why)
    }

    fn is_undone_by_hand(&self, wanted: &RevisionSchema) -> bool {
        wanted.migrations.iter().any(|id| self.schema.undone_by_hand.contains(&id.name))
    }

    /// Who has the traffic, or is kept warm to get it back.
    pub(crate) fn serving_or_warm(&self) -> Vec<RevisionId> {
        let undone = |revision: RevisionId| {
            self.book.releases.values().any(|entry| entry.revision == revision && entry.undoing && !entry.settled)
        };
        let live = self.router.whole_arm().map(|arm| arm.revision);
        let warm = self.book.releases.values().filter(|entry| {
            let kept = entry.slot.is_some_and(|slot| {
                let taken = |other: &Entry| other.release > entry.release && other.slot == Some(slot.other());
                !self.book.emptying.contains(&slot.other()) && !self.book.releases.values().any(taken)
            });
            let succeeded = matches!(entry.outcome, None | Some(Outcome::Succeeded { .. }));
            entry.switched_at.is_some() && !entry.settled && kept && succeeded && !entry.undoing
        });
        let warm = warm.filter_map(|entry| entry.from);
        live.into_iter().chain(warm).filter(|revision| !undone(*revision)).collect()
    }

    /// A contract begins when nothing old is left, seen to be so.
    pub(crate) fn watch_schema_goal(&mut self, seen: &Seen, goal: &SchemaGoal) {
        if let SchemaGoal::Leave { revision, release } = goal {
            self.watch_contract(seen, *release, *revision);
        }
    }

    /// The same, whoever carries the contract out.
    pub(crate) fn watch_contract(&mut self, seen: &Seen, release: ReleaseId, revision: RevisionId) {
        let (release, revision) = (&release, &revision);
        if !self.watch.contracts.insert(*release) {
            return;
        }
        let rule = "nothing is contracted that is still used";
        let quiet = self.book.config.as_ref().and_then(|config| config.database.as_ref());
        let quiet = quiet.map_or(0, |rules| rules.quiet.as_micros());
        let old = seen
            .platform
            .as_ref()
            .map(|platform| platform.instances.iter().any(|instance| instance.revision != *revision));
        if old != Some(false) {
            self.violate(rule, || format!("instances of others than {revision}: {old:?}"));
        }
        let busy = seen.traffic.as_ref().map(|traffic| {
            let mut counts = traffic.in_flight.iter().chain(&traffic.upgrades);
            counts.any(|(id, count)| id != revision && *count > 0)
        });
        if busy != Some(false) {
            self.violate(rule, || format!("requests on others than {revision}: {busy:?}"));
        }
        let since = seen.schema.as_ref().and_then(|schema| schema.used.values().max().copied());
        if since.is_none_or(|since| since.as_micros() + quiet > self.now) {
            self.violate(rule, || format!("quiet since {since:?}"));
        }
        if self.book.heading().is_none_or(|(_, live)| live != *revision) {
            self.violate(rule, || format!("{revision} is not live"));
        }
    }

    /// A contract rests on a backup that ended after all that held it up, and no way back waits for invariants.
    pub(crate) fn broken_by_waiting(&self, release: ReleaseId, reason: &str) -> Option<(&'static str, String)> {
        let entry = self.book.releases.get(&release)?;
        let asks = self.book.config.as_ref()?.database.as_ref()?.backup.is_some();
        if reason == FOR_CONTRACT && asks && entry.backup != Backup::Made {
            return Some(("a contract is preceded by a fresh backup", format!("{:?}", entry.backup)));
        }
        (reason == FOR_INVARIANTS && is_way_back(entry)).then_some((NO_HINDRANCE, "it waits".to_owned()))
    }

    /// No way back is undone by what the release before it did to the data.
    pub(crate) fn broken_by_undoing(
        &self,
        release: ReleaseId,
        cause: Option<&Problem>,
    ) -> Option<(&'static str, String)> {
        let entry = self.book.releases.get(&release)?;
        let code = &cause?.code;
        let (wanted, live) = (self.schema_of(entry.revision)?, self.book.heading().map(|(_, live)| live));
        let live = live.and_then(|live| self.schema_of(live));
        // Where there are none it may be a framework that has them, and it knows by itself what it has taken away.
        let is_as_live = !wanted.migrations.is_empty() && live.is_some_and(|live| live.migrations == wanted.migrations);
        if code == "DATABASE-UNKNOWN" && is_way_back(entry) && is_as_live && !self.is_undone_by_hand(&wanted) {
            return Some(("a database that can not be asked is in nobody's way back", String::new()));
        }
        (is_way_back(entry) && code.starts_with("INVARIANT-")).then(|| (NO_HINDRANCE, code.clone()))
    }

    /// A broken invariant undoes the release that moved the traffic, unless that is the way back.
    pub(crate) fn watch_invariants(&mut self, seen: &Seen, decision: &Decision) {
        let Some(rules) = self.book.config.as_ref().and_then(|config| config.database.as_ref()) else { return };
        let Some(schema) = seen.schema.as_ref().filter(|schema| schema.at == self.moment()) else { return };
        let broken = schema.invariants.iter().any(|invariant| {
            let is_rule = rules.invariants.iter().any(|rule| rule.name == invariant.name);
            is_rule && matches!(invariant.found, Found::Broken { .. })
        });
        if !broken {
            return;
        }
        let exposed = self.book.releases.values().find(|entry| {
            let moved = matches!(entry.stage, Stage::Shift | Stage::Bake);
            let needs = self.schema_of(entry.revision).is_some();
            entry.outcome.is_none() && !entry.undoing && moved && needs && !is_way_back(entry)
        });
        let Some(release) = exposed.map(|entry| entry.release) else { return };
        let leaves = decision.drafts.iter().any(|draft| match &draft.event {
            Event::Undoing { release: undone, .. } => *undone == release,
            _ => false,
        });
        if !leaves {
            self.violate("a broken invariant undoes the release", || format!("release {release}"));
        }
    }

    /// Why the schema that was seen does not let the release take the traffic. Only a way back goes on unseen, and only to
    /// what can run on the schema that is there.
    pub(crate) fn broken_by_shift_of_schema(&self, entry: &Entry) -> Option<(&'static str, String)> {
        let wanted = self.schema_of(entry.revision)?;
        let rule = "traffic goes to what the schema serves";
        if let Some(why) = self.framework.unserved(entry.revision) {
            return Some((rule, why));
        }
        match &self.watch.seen.schema {
            None if is_way_back(entry) => {
                let why = not_in_step(&self.schema.known, &wanted).filter(|_| !self.is_undone_by_hand(&wanted));
                why.map(|why| (rule, why))
            }
            None => Some((rule, "the schema was not seen".to_owned())),
            Some(seen) => not_in_step(&seen.migrations, &wanted).map(|why| (rule, why)),
        }
    }

    /// In the end the live revision can run, and the last deploy left nothing that only others need, or said why.
    pub(crate) fn check_schema(&mut self) {
        let Some((_, live)) = self.book.heading() else { return };
        let Some(wanted) = self.schema_of(live) else { return };
        if let Some(why) = self.unserved(live, &wanted) {
            self.violate("who serves can run on the schema", || format!("{live}: {why}"));
        }
        let newest = self.book.releases.values().next_back();
        let deployed = newest.filter(|entry| {
            let succeeded = matches!(entry.outcome, Some(Outcome::Succeeded { .. }));
            entry.kind == ReleaseKind::Deploy && entry.revision == live && succeeded && entry.settled
        });
        let Some(release): Option<ReleaseId> = deployed.map(|entry| entry.release) else { return };
        let told = self.book.noted.contains(&release);
        let waits = self.framework.waits(live);
        if (waits || !is_left_to(&self.schema.known, &wanted)) && !told {
            let left = format!("{:?}", self.schema.known);
            self.violate("a contract is done, or said not to be", || left);
        }
    }
}
