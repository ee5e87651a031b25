//! One run of an app's own migration framework: what is pending is asked for, read, told to be carried out, and seen to be done.

use std::sync::Arc;

use switchover_model::config::AppConfig;
use switchover_model::framework::{Listed, Migrated, Order, Pending, Placed, Step};
use switchover_model::revision::Revision;
use switchover_model::schema::{Schema, SchemaPlace};
use switchover_model::seam::Builder;
use switchover_model::{Problem, ReleaseId, RevisionId};
use switchover_rollout::App;

/// How often one run tells the framework to carry something out: once, and once more for what it left.
const RUNS: u32 = 2;

/// What is to be run.
pub(crate) struct Job {
    pub(crate) config: AppConfig,
    pub(crate) revision: Revision,
    pub(crate) release: ReleaseId,
    pub(crate) step: Step,
    /// Another revision goes on with the database meanwhile.
    pub(crate) beside: bool,
    /// What was contracted so far.
    pub(crate) contracted: Vec<String>,
    /// What was found to wait for the contract of this revision.
    pub(crate) waiting: Vec<String>,
    pub(crate) epoch: u64,
}

/// What a run gives.
pub(crate) struct Carried {
    pub(crate) release: ReleaseId,
    /// What stands in the journal of the step before the revision serves.
    pub(crate) migrated: Option<Migrated>,
    pub(crate) output: Vec<String>,
}

impl Job {
    /// What a run of the framework of `revision` takes; nothing when that is not known.
    pub(crate) fn of(app: &App, release: ReleaseId, revision: RevisionId, step: Step) -> Option<Self> {
        let mut config = app.config_of(release)?.clone();
        let own = app.revisions.get(&revision)?.config.database.as_ref();
        if let (Some(rules), Some(own)) = (&mut config.database, own) {
            // What belongs to the revision comes back with it; what is policy is as it is now.
            rules.level = own.level.clone();
            rules.url.clone_from(&own.url);
            rules.schema.clone_from(&own.schema);
        }
        Some(Self {
            config,
            revision: app.revision(revision)?.clone(),
            release,
            step,
            beside: app.heading().is_some_and(|live| live.revision != revision),
            contracted: app.contracted.keys().cloned().collect(),
            waiting: app.waits_for_contract(revision).to_vec(),
            epoch: app.sequence,
        })
    }

    pub(crate) async fn run(self, builder: Arc<dyn Builder>, schema: Arc<dyn Schema>) -> Result<Carried, Problem> {
        let mut done = Vec::new();
        let mut output = Vec::new();
        for _ in 0..=RUNS {
            let shows_sql = self.beside || self.step == Step::Contract;
            let listed = builder.pending(&self.config, &self.revision, self.step, shows_sql).await?;
            self.knows_what_is_gone(&listed)?;
            let placed = self.placed(&listed, &builder, &schema).await?;
            let names = match self.step {
                Step::Expand => &placed.expand,
                Step::Contract => &placed.contract,
            };
            let left: Vec<Pending> = listed.pending.iter().filter(|one| names.contains(&one.name)).cloned().collect();
            if left.is_empty() {
                output.extend(told(&done, &placed, self.step));
                let migrated = Migrated { done, waiting: placed.contract, known: listed.known };
                let migrated = (self.step == Step::Expand).then_some(migrated);
                return Ok(Carried { release: self.release, migrated, output });
            }
            let everything = self.step == Step::Expand && !self.beside;
            let names = left.iter().map(|one| one.name.clone());
            let names: Vec<String> = names.filter(|name| !done.contains(name)).collect();
            if names.is_empty() {
                break;
            }
            done.extend(names);
            let order = Order { step: self.step, pending: left, everything };
            output.extend(builder.migrate(&self.config, &self.revision, &order).await?);
        }
        let cause = format!("the framework ended well and still has to do: {}.", done.join(", "));
        let next = "Run it by hand in the app's directory to see why, then deploy again.";
        Err(Problem::new("FRAMEWORK-NOT-DONE", cause, next))
    }

    /// Which of what is pending each step takes.
    async fn placed(
        &self,
        listed: &Listed,
        builder: &Arc<dyn Builder>,
        schema: &Arc<dyn Schema>,
    ) -> Result<Placed, Problem> {
        if self.step == Step::Contract {
            let others = listed.pending.iter().filter(|one| !self.waiting.contains(&one.name));
            let others: Vec<&str> = others.map(|one| one.name.as_str()).collect();
            if !others.is_empty() {
                let cause =
                    format!("what is pending was not so when {} came: {}.", self.revision.id, others.join(", "));
                let next = "Look who took it back; the next release reads it and carries it out.";
                return Err(Problem::new("FRAMEWORK-NOT-DONE", cause, next));
            }
            return Ok(Placed { expand: Vec::new(), contract: self.waiting.clone() });
        }
        if !self.beside {
            // Nobody has to go on with what is there.
            let is_late = |one: &&Pending| one.bound == Some(Step::Contract);
            let (contract, expand): (Vec<_>, Vec<_>) = listed.pending.iter().partition(is_late);
            let names = |of: Vec<&Pending>| of.into_iter().map(|one| one.name.clone()).collect();
            return Ok(Placed { expand: names(expand), contract: names(contract) });
        }
        if listed.pending.is_empty() {
            return Ok(Placed::default());
        }
        let rules = self.config.database.clone().ok_or_else(|| {
            let cause = "the app has no [database] any more.";
            Problem::new("FRAMEWORK-MISSING", cause, "Look at switchover.toml.")
        })?;
        let url = builder.database(&self.config.name, &self.revision, &rules).await?.url;
        let place = SchemaPlace { app: self.config.name.clone(), url, rules, epoch: self.epoch, asks: false };
        schema.place(&place, &listed.pending).await
    }

    /// Nothing is run for a revision that was made without what is contracted: it could not run afterwards.
    fn knows_what_is_gone(&self, listed: &Listed) -> Result<(), Problem> {
        let Some(known) = &listed.known else { return Ok(()) };
        let vouched = self.config.database.as_ref().map(|rules| &rules.vouch);
        let lacks = |name: &&String| !known.contains(name) && !vouched.is_some_and(|all| all.contains(name));
        match self.contracted.iter().find(lacks) {
            Some(name) => Err(switchover_rollout::gone_on(self.revision.id, name)),
            None => Ok(()),
        }
    }
}

/// A line for people on what was done.
fn told(done: &[String], placed: &Placed, step: Step) -> Vec<String> {
    let named = |names: &[String]| if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    let mut lines = vec![format!("{step}: carried out {}", named(done))];
    if step == Step::Expand && !placed.contract.is_empty() {
        lines.push(format!("waits for contract: {}", named(&placed.contract)));
    }
    lines
}
