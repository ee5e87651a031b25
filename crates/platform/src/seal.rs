//! Makes a finished tree a revision that does not change any more, and tells when it did.

use std::collections::BTreeSet;
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
use crate::source;

/// How many files are brought to the disk at once: the file system takes what is asked for at the same time together.
const SYNCERS: usize = 8;

/// Puts links to `shared` in the place of the shared paths of a tree. What the first revision brings becomes the shared
/// content; what later ones bring there is left out. Returns the directories whose entries lead to the shared content:
/// [`seal_tree`] brings them to the disk.
///
/// A path that no revision brings is made a directory, unless its last part looks like a file (`db.sqlite3`): then the
/// app makes it, through the link.
///
/// Guarantees: `to_disk` was called with the files and directories of what becomes shared before it gets its name there.
/// What is there is never replaced; so after a power cut it must not be there cut short.
pub(crate) fn link_shared(
    tree: &Path,
    shared: &Path,
    paths: &[PathBuf],
    mut to_disk: impl FnMut(&[PathBuf]) -> Result<(), CopyError>,
) -> Result<BTreeSet<PathBuf>, Problem> {
    let mut directories = BTreeSet::new();
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
        let parents = there.ancestors().skip(1);
        directories.extend(parents.take_while(|parent| parent.starts_with(shared)).map(Path::to_path_buf));
        let is_there = fs::symlink_metadata(&there).is_ok();
        if fs::symlink_metadata(&here).is_ok() {
            if is_there {
                durable::remove_tree(&here).map_err(failed)?;
            } else {
                let whole = found_under(&here).map_err(failed)?;
                to_disk(&whole).map_err(|error| match error {
                    CopyError::Cancelled => source::cancelled(),
                    CopyError::NoRoom(problem) => problem,
                    CopyError::Refused(_) | CopyError::Io(_) => failed(error.into_io()),
                })?;
                fs::rename(&here, &there).map_err(failed)?;
            }
        } else if !is_there && path.extension().is_none() {
            durable::make_private_dir(&there).map_err(failed)?;
        }
        symlink(&there, &here).map_err(failed)?;
    }
    Ok(directories)
}

/// The files and directories at and under `path`; links and whatever else there is need no bringing.
fn found_under(path: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut found, mut unvisited) = (Vec::new(), vec![path.to_path_buf()]);
    while let Some(path) = unvisited.pop() {
        let kind = fs::symlink_metadata(&path)?.file_type();
        if kind.is_dir() {
            for entry in fs::read_dir(&path)? {
                unvisited.push(entry?.path());
            }
        }
        if kind.is_dir() || kind.is_file() {
            found.push(path);
        }
    }
    Ok(found)
}

fn unshareable(path: &Path, why: &str) -> Problem {
    Problem::new(
        "SHARED-INVALID",
        format!("\"{}\" of `[shared] paths` cannot be shared: {why}.", path.display()),
        "Name a path inside the app's directory that is a file or directory of its own.",
    )
}

/// Takes every right to write from a tree, and gives its digest. The tree's traces are kept for [`verify`]. `linked` is
/// what [`link_shared`] returned.
///
/// Guarantees: afterwards everything of the revision that was written so far outlives a power cut, and so does the way
/// to it and to what it shares; so a record that is written then never names files that are cut short.
pub(crate) fn seal_tree(
    revision: &RevisionDir,
    linked: &BTreeSet<PathBuf>,
    cancel: &Cancel,
) -> Result<Digest, CopyError> {
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
    to_disk(&beside_the_record(revision, &entries, linked), cancel)?;
    Ok(digest)
}

/// What must be on the disk before the record says that the revision is sealed: its tree, what leads to its shared
/// content, and what leads to itself. (The directory that holds the record is brought there with the record.)
fn beside_the_record(revision: &RevisionDir, entries: &[Entry], linked: &BTreeSet<PathBuf>) -> Vec<PathBuf> {
    let tree = revision.tree();
    let of_tree = entries.iter().filter(|entry| entry.kind != Kind::Link).map(|entry| tree.join(&entry.path));
    let parents = revision.parents().map(Path::to_path_buf);
    of_tree.chain([tree.clone()]).chain(linked.iter().cloned()).chain(parents).collect()
}

/// Brings files and directories to the disk, what the build's own command wrote too. File by file: syncfs(2) of the whole
/// file system would wait for what every other program has written.
pub(crate) fn to_disk(paths: &[PathBuf], cancel: &Cancel) -> Result<(), CopyError> {
    let share = paths.len().div_ceil(SYNCERS).max(1);
    std::thread::scope(|scope| {
        let syncers: Vec<_> = paths
            .chunks(share)
            .map(|share| {
                scope.spawn(move || {
                    share.iter().try_for_each(|path| {
                        cancel.check()?;
                        Ok(fs::File::open(path)?.sync_all()?)
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
    fn lines(manifest: &[u8]) -> BTreeSet<&[u8]> {
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
            link_shared(&tree, &shared, &paths, |_| Ok(())).unwrap();
            assert_eq!(fs::read_to_string(tree.join("var/media/picture")).unwrap(), "first");
        }
        fs::write(dir.path().join("r2/db.sqlite3"), "rows").unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("r1/db.sqlite3")).unwrap(), "rows");
    }

    #[test]
    fn what_becomes_shared_is_whole_on_the_disk_before_it_has_its_name_and_its_way_before_the_record() {
        let dir = tempfile::tempdir().unwrap();
        let app = dir.path().join("state/apps/shop");
        let (shared, revision) = (app.join("shared"), RevisionDir { root: app.join("revisions/r1") });
        let tree = revision.tree();
        fs::create_dir_all(tree.join("var/media/of")).unwrap();
        fs::write(tree.join("var/media/of/picture"), "first").unwrap();
        symlink("picture", tree.join("var/media/of/link")).unwrap();
        fs::write(tree.join("db.sqlite3"), "rows").unwrap();
        fs::write(tree.join("main"), "code").unwrap();

        let mut brought = BTreeSet::new();
        let paths = ["var/media", "db.sqlite3"].map(PathBuf::from);
        let linked = link_shared(&tree, &shared, &paths, |paths| {
            assert!(paths.iter().all(|path| path.exists()), "none of it was moved yet");
            brought.extend(paths.iter().map(|path| path.strip_prefix(&tree).unwrap().to_path_buf()));
            Ok(())
        });
        let content = ["db.sqlite3", "var/media", "var/media/of", "var/media/of/picture"].map(PathBuf::from);
        assert_eq!(brought, content.into());

        let entries = digest::entries(&tree).unwrap();
        let brought = beside_the_record(&revision, &entries, &linked.unwrap());
        let way = [".", "apps", "apps/shop", "apps/shop/revisions", "apps/shop/shared", "apps/shop/shared/var"];
        for path in way.map(|path| dir.path().join("state").join(path)) {
            assert!(brought.contains(&path), "{} is missing", path.display());
        }
        for path in ["", "main", "var"].map(|path| tree.join(path)) {
            assert!(brought.contains(&path), "{} is missing", path.display());
        }
        to_disk(&brought, &Cancel::new()).unwrap();
    }

    #[test]
    fn a_shared_path_cannot_lead_out() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir(&tree).unwrap();
        symlink(dir.path(), tree.join("out")).unwrap();
        for path in ["../x", "/etc", "", "out/x"] {
            let problem = link_shared(&tree, &dir.path().join("shared"), &[path.into()], |_| Ok(())).unwrap_err();
            assert_eq!(problem.code, "SHARED-INVALID", "{path}");
        }
    }
}
