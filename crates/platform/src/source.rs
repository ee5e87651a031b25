//! Brings a source or an artifact to a revision's own final directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use switchover_model::config::AppConfig;
use switchover_model::revision::Source;
use switchover_model::{AppName, Problem, RevisionId};

use crate::archive;
use crate::copy::{self, Cancel, CopyError, LeftOut, TheFile};
use crate::durable;
use crate::git;
use crate::headroom;
use crate::process_platform::{Shared, lock};

/// Cancels when it is dropped; harmless after the work.
pub(crate) struct CancelOnDrop(pub(crate) Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// How many of the files that git does not track are named.
const LEFT_OUT_NAMED: usize = 5;

/// Bringing the source to the revision's directory.
pub(crate) struct Bringing {
    app: AppName,
    id: RevisionId,
    source: Source,
    /// `[build] source`.
    part: Option<PathBuf>,
    /// `[secrets] file`.
    secrets: Option<PathBuf>,
    /// `[shared] paths`.
    shared: Vec<PathBuf>,
    /// `[database] migrations`.
    migrations: Option<PathBuf>,
}

impl Bringing {
    pub(crate) fn of(config: &AppConfig, id: RevisionId, source: &Source) -> Self {
        let part = config.build.as_ref().and_then(|build| build.source.clone());
        let migrations = config.database.as_ref().and_then(|database| database.migrations());
        Self {
            app: config.name.clone(),
            id,
            source: source.clone(),
            part,
            secrets: config.secrets_file.clone(),
            shared: config.shared.clone(),
            migrations: migrations.map(Path::to_path_buf),
        }
    }

    /// Clears what an earlier attempt left, makes the directories and copies. Blocks. The revision is in the making
    /// until the answer is dropped.
    pub(crate) fn run(&self, shared: &Shared, cancel: &Cancel) -> Result<Arc<()>, Problem> {
        let building = shared.begin_building(&self.app, self.id);
        let copies = shared.copies_of(&self.app);
        let _one = lock(&copies);
        let dir = shared.layout.revision(&self.app, self.id);
        let unusable = |error: std::io::Error| headroom::state_problem(&format!("making {}", self.id), &error);
        if shared.is_in_use(&self.app, self.id).map_err(unusable)? {
            return Err(Problem::new(
                "REVISION-IN-USE",
                format!("{} runs already and cannot be made again.", self.id),
                "Deploy again: a new deploy makes a new revision.",
            ));
        }
        if let Some(problem) = headroom::disk(shared.layout.state(), 0) {
            return Err(problem);
        }
        if let Some(left_out) = self.left_out(shared, cancel)? {
            shared.note(&self.app, left_out);
        }
        durable::remove_tree(&dir.root).map_err(unusable)?;
        durable::make_private_dir(&dir.root).map_err(unusable)?;
        durable::make_private_dir(&shared.layout.builds(&self.app)).map_err(unusable)?;
        let tree = dir.tree();
        fs::create_dir(&tree).map_err(unusable)?;
        self.copy(&tree, shared.layout.state(), cancel).map_err(|error| {
            // What was half made is cleared by the next attempt too.
            let _ = durable::remove_tree(&dir.root);
            self.problem(error)
        })?;
        Ok(building)
    }

    fn copy(&self, tree: &Path, state: &Path, cancel: &Cancel) -> Result<(), CopyError> {
        let secrets = self.secrets.as_deref().map(TheFile::at).transpose()?;
        let left_out = LeftOut { state: Some(state), secrets: secrets.as_ref() };
        match &self.source {
            Source::Directory { path } => self.copy_directory(path, tree, left_out, cancel),
            Source::Artifact { path } if !path.exists() => fs::metadata(path).map(drop).map_err(CopyError::Io),
            Source::Artifact { path } if path.is_dir() => copy_contents(path, tree, left_out, cancel),
            Source::Artifact { path } if is_archive(path) => archive::unpack(path, tree, cancel),
            Source::Artifact { path } => Err(CopyError::Refused(format!(
                "{} is neither a directory nor a .tar, .tar.gz or .tgz file",
                path.display()
            ))),
            Source::Revision { .. } => Ok(()),
        }
    }

    /// What lies in the app's directory and is not copied, because git does not track it, for a person to know.
    ///
    /// Errors: a migration is among it: the new code would run on the schema of before.
    fn left_out(&self, shared: &Shared, cancel: &Cancel) -> Result<Option<Problem>, Problem> {
        let Source::Directory { path } = &self.source else { return Ok(None) };
        if self.part.is_some() || git::tracked(path, cancel).map_err(|error| self.problem(error))?.is_none() {
            return Ok(None);
        }
        let is_ours = |other: &PathBuf| {
            let whole = path.join(other);
            let secrets = self.secrets.as_ref().map(|secrets| path.join(secrets));
            secrets.is_some_and(|secrets| secrets == whole)
                || shared.layout.state().starts_with(&whole)
                || whole.starts_with(shared.layout.state())
                || self.shared.iter().any(|shared| other.starts_with(shared))
        };
        let others = git::untracked(path, cancel).map_err(|error| self.problem(error))?;
        let others: Vec<PathBuf> = others.into_iter().filter(|other| !is_ours(other)).collect();
        let is_migration = |other: &&PathBuf| {
            self.migrations
                .as_ref()
                .is_some_and(|directory| other.starts_with(directory) || directory.starts_with(other))
        };
        if let Some(migration) = others.iter().find(is_migration) {
            let cause = format!(
                "git does not track {}, so it would be left out, and {} would run on the schema of before.",
                migration.display(),
                self.id
            );
            return Err(Problem::new(
                "MIGRATIONS-UNTRACKED",
                cause,
                "`git add` it, or list it in .gitignore; then deploy again.",
            ));
        }
        if others.is_empty() {
            return Ok(None);
        }
        let named: Vec<String> = others.iter().take(LEFT_OUT_NAMED).map(|other| other.display().to_string()).collect();
        let more = if others.len() > named.len() { ", ..." } else { "" };
        let cause = format!("git does not track {}{more}, so {} is made without.", named.join(", "), self.id);
        Ok(Some(Problem::new(
            "UNTRACKED-LEFT-OUT",
            cause,
            "`git add` what belongs to the app; list the rest in .gitignore.",
        )))
    }

    fn copy_directory(
        &self,
        path: &Path,
        tree: &Path,
        left_out: LeftOut<'_>,
        cancel: &Cancel,
    ) -> Result<(), CopyError> {
        if let Some(part) = &self.part {
            let from = path.join(part);
            return if from.is_file() {
                let name = part.file_name().map(PathBuf::from).unwrap_or_default();
                let parent = from.parent().unwrap_or(path);
                copy::copy_paths(parent, &[name].into(), tree, left_out, cancel)
            } else {
                copy_contents(&from, tree, left_out, cancel)
            };
        }
        match git::tracked(path, cancel)? {
            Some(paths) => copy::copy_paths(path, &paths, tree, left_out, cancel),
            None => copy_contents(path, tree, left_out, cancel),
        }
    }

    fn problem(&self, error: CopyError) -> Problem {
        let (path, is_artifact) = match &self.source {
            Source::Directory { path } => {
                (self.part.as_ref().map_or_else(|| path.clone(), |part| path.join(part)), false)
            }
            Source::Artifact { path } => (path.clone(), true),
            Source::Revision { id } => (PathBuf::from(id.to_string()), false),
        };
        let path = path.display();
        match error {
            CopyError::NoRoom(problem) => problem,
            CopyError::Cancelled => cancelled(),
            CopyError::Refused(why) if is_artifact => Problem::new(
                "ARTIFACT-INVALID",
                format!("the artifact {path} cannot be used: {why}."),
                "Give a directory, or a .tar, .tar.gz or .tgz whose entries all lie inside it.",
            ),
            CopyError::Refused(why) => Problem::new(
                "SOURCE-UNREADABLE",
                format!("the source {path} cannot be used: {why}."),
                "Correct it, or name what is to be copied in `[build] source`.",
            ),
            CopyError::Io(error) if error.kind() == std::io::ErrorKind::StorageFull => {
                headroom::state_problem(&format!("copying {path}"), &error)
            }
            CopyError::Io(error) if is_artifact && !Path::new(&path.to_string()).exists() => Problem::new(
                "ARTIFACT-MISSING",
                format!("there is no artifact at {path}: {error}."),
                "Look at the path given with `--artifact`; a relative one starts where the command was typed.",
            ),
            CopyError::Io(error) if is_artifact => Problem::new(
                "ARTIFACT-INVALID",
                format!("the artifact {path} cannot be read: {error}."),
                "Give a directory, or a complete .tar, .tar.gz or .tgz that `switchover serve` may read.",
            ),
            CopyError::Io(error) => Problem::new(
                "SOURCE-UNREADABLE",
                format!("the source {path} cannot be copied: {error}."),
                "Make it readable for the user that runs `switchover serve`, or name another in `[build] source`.",
            ),
        }
    }
}

/// Nobody needs the revision any more.
pub(crate) fn cancelled() -> Problem {
    Problem::new("BUILD-CANCELLED", "the build was cancelled.", "Deploy again.")
}

/// Copies a directory's content; a state directory inside it stays where it is.
fn copy_contents(from: &Path, tree: &Path, left_out: LeftOut<'_>, cancel: &Cancel) -> Result<(), CopyError> {
    let from_here = from.canonicalize()?;
    if left_out.state.is_some_and(|state| from_here.starts_with(state)) {
        return Err(CopyError::Refused("it lies in the state directory".to_owned()));
    }
    copy::copy_tree(from, tree, left_out, cancel)
}

fn is_archive(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    [".tar", ".tar.gz", ".tgz"].iter().any(|end| name.ends_with(end))
}
