//! Makes revisions and runs hooks.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use switchover_model::config::{AppConfig, Database, ProcessKind};
use switchover_model::framework::{Listed, Order, Step};
use switchover_model::revision::{Digest, Revision, RevisionProcess, Source};
use switchover_model::seam::{Builder, HookAnswer, HookCall, NumberCall, RevisionDatabase, SeamError};
use switchover_model::{AppName, Problem, ProcessName, ReleaseId, RevisionId, Span};

use crate::asked;
use crate::clock;
use crate::copy::{Cancel, CopyError};
use crate::durable::{self, Keep};
use crate::environment::{self, Sealed, Variables};
use crate::framework::Bench;
use crate::group_run::{self, Run};
use crate::headroom;
use crate::layout::{Layout, RevisionDir};
use crate::process_platform::{ProcessPlatform, Shared, lock};
use crate::processes;
use crate::schema;
use crate::seal;
use crate::source::{self, Bringing, CancelOnDrop};
use crate::tell;
use crate::verdict::{Words, verdict};

/// The variable by which what a lost build has left running is found.
const BUILD_VARIABLE: &str = "SWITCHOVER_BUILD";

/// The same for hooks.
pub(crate) const HOOK_VARIABLE: &str = "SWITCHOVER_HOOK";

#[async_trait]
impl Builder for ProcessPlatform {
    async fn build(
        &self,
        config: &AppConfig,
        id: RevisionId,
        source: &Source,
        env: &BTreeMap<String, String>,
    ) -> Result<Revision, Problem> {
        let layout = &self.shared.layout;
        if let Source::Revision { id } = source {
            return sealed(layout, &config.name, *id);
        }
        let variables = environment::merged(&config.env, env)?;
        let (secrets, secrets_digest) = match &config.secrets_file {
            Some(file) => {
                let file = file.clone();
                let read =
                    self.blocking(move |_| environment::read_secrets(&file)).await.map_err(|error| ended(&error))?;
                read.map(|(secrets, digest)| (secrets, Some(digest)))?
            }
            None => (Variables::new(), None),
        };
        let contents = Sealed { env: variables, secrets };
        let dir = layout.revision(&config.name, id);

        // Dropping this future tells the copying thread to end; the next attempt waits for it.
        let cancel = CancelOnDrop(Cancel::new());
        let (job, job_cancel) = (Bringing::of(config, id, source), cancel.0.clone());
        let building =
            self.blocking(move |shared| job.run(shared, &job_cancel)).await.map_err(|error| ended(&error))??;
        let built = self.run_build_command(config, id, source, &contents, &dir).await;
        if let Err(problem) = built {
            let half_made = dir.root.clone();
            self.blocking(move |_| durable::remove_tree(&half_made)).await.map_err(|error| ended(&error))?.ok();
            return Err(problem);
        }
        let revision = Sealing {
            config: config.clone(),
            dir,
            shared: layout.shared(&config.name),
            contents,
            revision: Revision {
                id,
                artifact: Digest(String::new()),
                env: Digest(String::new()),
                secrets: secrets_digest,
                processes: processes(config),
                probe_host: config.route.hosts.first().cloned(),
                shared: config.shared.clone(),
                schema: None,
                source: source.clone(),
                sealed_at: clock::now(),
            },
        };
        let seal_cancel = cancel.0.clone();
        let sealed = self.blocking(move |_| {
            let _building = building;
            let root = revision.dir.root.clone();
            // What could not be sealed, on a full disk for one, does not stay and keep it full.
            revision.run(&seal_cancel).inspect_err(|_| durable::remove_tree(&root).unwrap_or_default())
        });
        sealed.await.map_err(|error| ended(&error))?
    }

    async fn hook(&self, config: &AppConfig, revision: &Revision, call: &HookCall) -> Result<HookAnswer, Problem> {
        self.run_hook(config, revision, call).await
    }

    async fn secret(&self, file: Option<&Path>, name: &str) -> Result<String, Problem> {
        let (file, name) = (file.map(Path::to_owned), name.to_owned());
        self.blocking(move |_| tell::secret(file.as_deref(), &name)).await.map_err(|error| ended(&error))?
    }

    async fn number(&self, config: &AppConfig, revision: &Revision, call: &NumberCall) -> Result<Vec<String>, Problem> {
        asked::number(&self.shared.layout, config, revision, call).await
    }

    async fn tell(&self, app: &AppName, command: &str, message: &str, limit: Span) -> Result<(), Problem> {
        tell::tell(&self.shared.layout, (HOOK_VARIABLE, app), command, message, limit).await
    }

    async fn backup(
        &self,
        config: &AppConfig,
        revision: &Revision,
        release: ReleaseId,
    ) -> Result<Vec<String>, Problem> {
        asked::backup(&self.shared.layout, config, revision, release).await
    }

    async fn pending(
        &self,
        config: &AppConfig,
        revision: &Revision,
        step: Step,
        shows_sql: bool,
    ) -> Result<Listed, Problem> {
        Bench::open(&self.shared.layout, config, revision, step)?.pending(shows_sql).await
    }

    async fn migrate(&self, config: &AppConfig, revision: &Revision, order: &Order) -> Result<Vec<String>, Problem> {
        Bench::open(&self.shared.layout, config, revision, order.step)?.migrate(order).await
    }

    async fn database(
        &self,
        app: &AppName,
        revision: &Revision,
        rules: &Database,
    ) -> Result<RevisionDatabase, Problem> {
        let dir = self.shared.layout.revision(app, revision.id);
        let (rules, id) = (rules.clone(), revision.id);
        let read = self.blocking(move |_| {
            let sealed = Sealed::read(&dir).map_err(|_| seal::missing(id))?;
            let url = schema::url(&sealed, &rules, id)?;
            Ok(RevisionDatabase { url, files: schema::read(&rules, &dir.tree())? })
        });
        read.await.map_err(|error| ended(&error))?
    }

    async fn end_lost(&self, app: &AppName) -> Result<(), SeamError> {
        let layout = &self.shared.layout;
        let builds = format!("{}/", environment::path_value(&layout.revisions(app)));
        let hooks = format!("{}/", hooks_of(layout, app));
        let left = || {
            let mut left = processes::members_with_prefix(BUILD_VARIABLE, &builds);
            left.extend(processes::members_with_prefix(HOOK_VARIABLE, &hooks));
            left
        };
        if processes::kill_all(left).await {
            return Ok(());
        }
        Err(SeamError::Unreachable("the kernel holds a process of a build or hook that was killed".to_owned()))
    }

    async fn keep(&self, app: &AppName, keep: &[RevisionId]) -> Result<(), SeamError> {
        let (app, keep) = (app.clone(), keep.to_vec());
        self.blocking(move |shared| shared.keep(&app, &keep))
            .await?
            .map_err(|error| SeamError::Unreachable(format!("old revisions cannot be removed: {error}")))
    }
}

impl ProcessPlatform {
    async fn run_build_command(
        &self,
        config: &AppConfig,
        id: RevisionId,
        source: &Source,
        contents: &Sealed,
        dir: &RevisionDir,
    ) -> Result<(), Problem> {
        let (Some(build), Source::Directory { .. }) = (&config.build, source) else { return Ok(()) };
        let Some(command) = &build.command else { return Ok(()) };
        // A build is not given the secrets: what it writes is digested and kept.
        let mut variables = environment::inherited();
        variables.extend(contents.env.clone());
        variables.insert("SWITCHOVER_APP".to_owned(), config.name.to_string());
        variables.insert("SWITCHOVER_REVISION".to_owned(), id.to_string());
        let timeout = build.timeout.to_std();
        let run = Run {
            command,
            directory: &dir.tree(),
            variables,
            mark: (BUILD_VARIABLE, environment::path_value(&dir.root)),
            timeout,
            log: Some(self.shared.layout.build_log(&config.name, id)),
            answers: None,
            input: None,
        };
        let ran = group_run::run(run).await.map_err(|error| headroom::state_problem("running the build", &error))?;
        let words = Words {
            failed: "BUILD-FAILED",
            timed_out: "BUILD-TIMED-OUT",
            what: format!("the build of {id} (`{command}`)"),
            place: "build.command",
        };
        verdict(&ran, command, timeout, contents, &words).map(drop)
    }
}

/// What begins the mark of every hook of an app.
pub(crate) fn hooks_of(layout: &Layout, app: &AppName) -> String {
    format!("{app}:{}", layout.state().display())
}

fn processes(config: &AppConfig) -> BTreeMap<ProcessName, RevisionProcess> {
    let revised = config.processes.iter().map(|(name, process)| {
        let (health, handover) = match &process.kind {
            ProcessKind::Routed { health, .. } => (Some(health.clone()), None),
            ProcessKind::Worker { handover } => (None, Some(*handover)),
        };
        let (command, stop) = (process.command.clone(), process.stop.clone());
        (name.clone(), RevisionProcess { command, health, stop, handover })
    });
    revised.collect()
}

/// A revision's last step: after it nothing of it changes.
struct Sealing {
    config: AppConfig,
    dir: RevisionDir,
    shared: PathBuf,
    contents: Sealed,
    revision: Revision,
}

impl Sealing {
    fn run(mut self, cancel: &Cancel) -> Result<Revision, Problem> {
        let id = self.revision.id;
        let unusable = |error: std::io::Error| headroom::state_problem(&format!("sealing {id}"), &error);
        self.revision.schema = schema::needed(&self.config, &self.dir.tree())?;
        if let Some(rules) = &self.config.database {
            schema::url(&self.contents, rules, id)?;
        }
        let to_disk = |paths: &[PathBuf]| seal::to_disk(paths, cancel);
        let linked = seal::link_shared(&self.dir.tree(), &self.shared, &self.revision.shared, to_disk)?;
        self.revision.artifact = seal::seal_tree(&self.dir, &linked, cancel).map_err(|error| match error {
            CopyError::Cancelled => source::cancelled(),
            CopyError::NoRoom(problem) => problem,
            CopyError::Refused(_) | CopyError::Io(_) => unusable(error.into_io()),
        })?;
        self.revision.env = environment::digest(&self.contents.env);
        self.contents.write(&self.dir).map_err(unusable)?;
        self.revision.sealed_at = clock::now();
        durable::write_json(&self.dir.record(), &self.revision, Keep::AcrossPowerCuts).map_err(unusable)?;
        Ok(self.revision)
    }
}

/// A revision that was sealed before.
fn sealed(layout: &Layout, app: &AppName, id: RevisionId) -> Result<Revision, Problem> {
    durable::read_json(&layout.revision(app, id).record()).ok().flatten().ok_or_else(|| seal::missing(id))
}

fn ended(error: &SeamError) -> Problem {
    Problem::new("BUILD-FAILED", format!("the build could not go on: {error}."), "Deploy again.")
}

impl Shared {
    /// Whether an instance of the app, ending or not, runs this revision.
    pub(crate) fn is_in_use(&self, app: &AppName, id: RevisionId) -> std::io::Result<bool> {
        Ok(self.instances(app)?.iter().any(|(_, instance, _)| instance.revision == id && self.is_current(instance)))
    }

    /// Says that a revision is in the making, until the answer is dropped.
    pub(crate) fn begin_building(&self, app: &AppName, id: RevisionId) -> Arc<()> {
        Arc::clone(lock(&self.building).entry((app.clone(), id)).or_default())
    }

    /// Gives a revision's directory another name, under which it is no revision and nobody builds it; false when it is in
    /// the making.
    fn take_away(&self, app: &AppName, id: RevisionId, to: &Path) -> std::io::Result<bool> {
        let mut building = lock(&self.building);
        if building.get(&(app.clone(), id)).is_some_and(|held| Arc::strong_count(held) > 1) {
            return Ok(false);
        }
        building.remove(&(app.clone(), id));
        fs::rename(self.layout.revision(app, id).root, to)?;
        Ok(true)
    }

    fn keep(&self, app: &AppName, keep: &[RevisionId]) -> std::io::Result<()> {
        let entries = match fs::read_dir(self.layout.revisions(app)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if name.starts_with('.') {
                // Taken away before, and a crash came between.
                durable::remove_tree(&entry.path())?;
                continue;
            }
            let Ok(id) = name.parse::<RevisionId>() else { continue };
            if keep.contains(&id) || self.is_in_use(app, id)? {
                continue;
            }
            // A crash leaves a directory that is no revision, never a half one; so does a build that was cancelled.
            let away = entry.path().with_file_name(format!(".{id}"));
            durable::remove_tree(&away)?;
            if self.take_away(app, id, &away)? {
                durable::remove_tree(&self.layout.build_log(app, id))?;
                durable::remove_tree(&away)?;
            }
        }
        Ok(())
    }
}
