//! Makes a finished tree a revision that does not change any more, and tells when it did.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use switchover_model::Problem;
use switchover_model::revision::{Digest, Revision};

use crate::copy::{Cancel, CopyError};
use crate::digest::{self, Entry, Kind};
use crate::durable::{self, Keep};
use crate::headroom;
use crate::layout::RevisionDir;

/// How many files are brought to the disk at once: the file system takes what is asked for at the same time together.
const SYNCERS: usize = 8;

/// Puts links to `shared` in the place of the shared paths of a tree. What the first revision brings becomes the shared
/// content; what later ones bring there is left out.
///
/// A path that no revision brings is made a directory, unless its last part looks like a file (`db.sqlite3`): then the
/// app makes it, through the link.
pub(crate) fn link_shared(tree: &Path, shared: &Path, paths: &[PathBuf]) -> Result<(), Problem> {
    for path in paths {
        let failed = |error: io::Error| headroom::state_problem(&format!("sharing {}", path.display()), &error);
        if path.as_os_str().is_empty() || !path.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(unshareable(path, "it leads out of the revision's directory"));
        }
        let mut parent = tree.to_path_buf();
        for part in path.parent().into_iter().flat_map(Path::components) {
            parent.push(part);
            match fs::symlink_metadata(&parent) {
                Ok(metadata) if metadata.is_dir() => {}
                Ok(_) => return Err(unshareable(path, "a part of it is a link or a file")),
                Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir(&parent).map_err(failed)?,
                Err(error) => return Err(failed(error)),
            }
        }
        let (here, there) = (tree.join(path), shared.join(path));
        if let Some(parent) = there.parent() {
            durable::make_private_dir(parent).map_err(failed)?;
        }
        let is_there = fs::symlink_metadata(&there).is_ok();
        if fs::symlink_metadata(&here).is_ok() {
            if is_there {
                durable::remove_tree(&here).map_err(failed)?;
            } else {
                fs::rename(&here, &there).map_err(failed)?;
            }
        } else if !is_there && path.extension().is_none() {
            durable::make_private_dir(&there).map_err(failed)?;
        }
        symlink(&there, &here).map_err(failed)?;
    }
    Ok(())
}

fn unshareable(path: &Path, why: &str) -> Problem {
    Problem::new(
        "SHARED-INVALID",
        format!("\"{}\" of `[shared] paths` cannot be shared: {why}.", path.display()),
        "Name a path inside the app's directory that is a file or directory of its own.",
    )
}

/// Takes every right to write from a tree, and gives its digest. The tree's traces are kept for [`verify`].
///
/// Guarantees: afterwards everything of the revision that was written so far outlives a power cut; so a record that is
/// written then never names files that are cut short.
pub(crate) fn seal_tree(revision: &RevisionDir, cancel: &Cancel) -> Result<Digest, CopyError> {
    let tree = revision.tree();
    let digest = digest::digest(&tree, cancel)?;
    let entries = digest::entries(&tree)?;
    for entry in entries.iter().rev() {
        let mode = match entry.kind {
            Kind::Link => continue,
            Kind::Directory | Kind::File { is_executable: true } => 0o555,
            Kind::File { is_executable: false } => 0o444,
        };
        fs::set_permissions(tree.join(&entry.path), fs::Permissions::from_mode(mode))?;
    }
    fs::set_permissions(&tree, fs::Permissions::from_mode(0o555))?;
    write_manifest(revision)?;
    sync(&tree, &entries, cancel)?;
    Ok(digest)
}

/// Brings the tree to the disk, what the build's own command wrote too. File by file: syncfs(2) of the whole file system
/// would wait for what every other program has written.
fn sync(tree: &Path, entries: &[Entry], cancel: &Cancel) -> Result<(), CopyError> {
    let paths: Vec<&Path> = entries
        .iter()
        .filter(|entry| entry.kind != Kind::Link)
        .map(|entry| entry.path.as_path())
        .chain([Path::new("")])
        .collect();
    let share = paths.len().div_ceil(SYNCERS);
    std::thread::scope(|scope| {
        let syncers: Vec<_> = paths
            .chunks(share)
            .map(|share| {
                scope.spawn(move || {
                    share.iter().try_for_each(|path| {
                        cancel.check()?;
                        Ok(fs::File::open(tree.join(path))?.sync_all()?)
                    })
                })
            })
            .collect();
        syncers.into_iter().try_for_each(|syncer| {
            syncer
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("a thread that brings it to the disk broke down").into()))
        })
    })
}

/// Whether a sealed revision is still what was sealed: nobody touched a file since, or, where somebody did, the digest
/// is the same. (Root writes where nobody may.)
pub(crate) fn verify(dir: &RevisionDir, revision: &Revision) -> Result<(), Problem> {
    let id = revision.id;
    let sealed: Option<Revision> = durable::read_json(&dir.record()).unwrap_or(None);
    if sealed.is_none_or(|sealed| sealed.artifact != revision.artifact || sealed.id != id) {
        return Err(missing(id));
    }
    let unreadable = |error: io::Error| headroom::state_problem(&format!("reading revision {id}"), &error);
    let before = fs::read(dir.manifest()).unwrap_or_default();
    let now = manifest(&dir.tree()).map_err(unreadable)?;
    if before == now {
        return Ok(());
    }
    let digest = digest::digest(&dir.tree(), &Cancel::new()).map_err(|error| unreadable(error.into_io()))?;
    if digest == revision.artifact {
        return write_manifest(dir).map_err(unreadable);
    }
    let changed = first_difference(&before, &now);
    Err(Problem::new(
        "REVISION-CHANGED",
        format!("the files of {id} are not those that were sealed: \"{changed}\" was changed, added or removed."),
        "Deploy again to make a new revision; name what the app writes in `[shared] paths`.",
    ))
}

/// There is no such revision, or its files are gone.
pub(crate) fn missing(id: switchover_model::RevisionId) -> Problem {
    Problem::new(
        "REVISION-MISSING",
        format!("the files of {id} are not on this machine any more."),
        "Choose a revision that `switchover history` shows as kept, or deploy again.",
    )
}

fn write_manifest(revision: &RevisionDir) -> io::Result<()> {
    durable::write_atomic(&revision.manifest(), &manifest(&revision.tree())?, Keep::AcrossPowerCuts)
}

/// The traces of all paths: `trace path NUL`, sorted by path.
fn manifest(tree: &Path) -> io::Result<Vec<u8>> {
    let mut manifest = Vec::new();
    for entry in digest::entries(tree)? {
        manifest.extend_from_slice(entry.trace.as_bytes());
        manifest.push(b' ');
        manifest.extend_from_slice(entry.path.as_os_str().as_bytes());
        manifest.push(0);
    }
    Ok(manifest)
}

/// The deepest first path that differs: a directory's own time changes with what is in it.
fn first_difference(before: &[u8], now: &[u8]) -> String {
    fn lines(manifest: &[u8]) -> std::collections::BTreeSet<&[u8]> {
        manifest.split(|byte| *byte == 0).filter(|line| !line.is_empty()).collect()
    }
    fn path(line: &[u8]) -> &[u8] {
        // Mode, inode, size and two times go before it.
        line.splitn(6, |byte| *byte == b' ').nth(5).unwrap_or_default()
    }
    let (before, now) = (lines(before), lines(now));
    let changed = before.symmetric_difference(&now).map(|line| path(line));
    let deepest = changed.max_by_key(|path| path.iter().filter(|byte| **byte == b'/').count());
    crate::output::presentable(deepest.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_content_comes_from_the_first_revision_and_outlives_it() {
        let dir = tempfile::tempdir().unwrap();
        let shared = dir.path().join("shared");
        let paths = [PathBuf::from("var/media"), PathBuf::from("db.sqlite3")];
        for (revision, content) in [("r1", "first"), ("r2", "second")] {
            let tree = dir.path().join(revision);
            fs::create_dir_all(tree.join("var/media")).unwrap();
            fs::write(tree.join("var/media/picture"), content).unwrap();
            link_shared(&tree, &shared, &paths).unwrap();
            assert_eq!(fs::read_to_string(tree.join("var/media/picture")).unwrap(), "first");
        }
        fs::write(dir.path().join("r2/db.sqlite3"), "rows").unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("r1/db.sqlite3")).unwrap(), "rows");
    }

    #[test]
    fn a_shared_path_cannot_lead_out() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir(&tree).unwrap();
        symlink(dir.path(), tree.join("out")).unwrap();
        for path in ["../x", "/etc", "", "out/x"] {
            let problem = link_shared(&tree, &dir.path().join("shared"), &[path.into()]).unwrap_err();
            assert_eq!(problem.code, "SHARED-INVALID", "{path}");
        }
    }
}
