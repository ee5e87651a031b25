//! What a tree of files is, as one number: paths, executable bits, contents and targets of links. Times, owners and the
//! order of directories do not count.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use switchover_model::revision::Digest;

use crate::copy::{Cancel, CopyError};

/// Digest of everything under `tree`.
pub(crate) fn digest(tree: &Path, cancel: &Cancel) -> Result<Digest, CopyError> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    for entry in entries(tree)? {
        let bytes = entry.path.as_os_str().as_bytes();
        let full = tree.join(&entry.path);
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
        match entry.kind {
            Kind::Directory => hash.update(b"d"),
            Kind::Link => {
                let target = fs::read_link(&full)?;
                hash.update(b"l");
                hash.update((target.as_os_str().len() as u64).to_le_bytes());
                hash.update(target.as_os_str().as_bytes());
            }
            Kind::File { is_executable } => {
                hash.update(if is_executable { b"x" } else { b"f" });
                let mut file = File::open(&full)?;
                let mut length: u64 = 0;
                loop {
                    cancel.check()?;
                    let read = file.read(&mut buffer)?;
                    if read == 0 {
                        break;
                    }
                    length += read as u64;
                    hash.update(&buffer[..read]);
                }
                // After the content, so that nothing has to be believed before it was read.
                hash.update(length.to_le_bytes());
            }
        }
    }
    Ok(Digest(hex::encode(hash.finalize())))
}

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    Link,
    File { is_executable: bool },
}

/// One path of a tree.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Relative to the tree.
    pub(crate) path: PathBuf,
    pub(crate) kind: Kind,
    /// Everything that changes when somebody touches it, as one line.
    pub(crate) trace: String,
}

/// Everything under `tree`, sorted by path. Links are not followed.
///
/// Errors: a path that is neither file, directory nor link.
pub(crate) fn entries(tree: &Path) -> io::Result<Vec<Entry>> {
    let mut found = Vec::new();
    let mut unvisited = vec![PathBuf::new()];
    while let Some(directory) = unvisited.pop() {
        for item in fs::read_dir(tree.join(&directory))? {
            let item = item?;
            let path = directory.join(item.file_name());
            let metadata = item.metadata()?;
            let kind = if metadata.is_dir() {
                unvisited.push(path.clone());
                Kind::Directory
            } else if metadata.is_symlink() {
                Kind::Link
            } else if metadata.is_file() {
                Kind::File { is_executable: metadata.permissions().mode() & 0o111 != 0 }
            } else {
                return Err(io::Error::other(format!("{} is neither a file nor a directory", path.display())));
            };
            let trace = format!(
                "{:o} {} {} {}.{:09} {}.{:09}",
                metadata.mode(),
                metadata.ino(),
                metadata.size(),
                metadata.mtime(),
                metadata.mtime_nsec(),
                metadata.ctime(),
                metadata.ctime_nsec()
            );
            found.push(Entry { path, kind, trace });
        }
    }
    found.sort_by(|one, other| one.path.as_os_str().cmp(other.path.as_os_str()));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree_of(files: &[(&str, &str, u32)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, content, mode) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
        }
        dir
    }

    fn digest_of(tree: &tempfile::TempDir) -> Digest {
        digest(tree.path(), &Cancel::new()).unwrap()
    }

    #[test]
    fn the_same_files_have_the_same_digest_wherever_and_whenever_they_were_made() {
        let one = tree_of(&[("a", "1", 0o644), ("b/c", "2", 0o755)]);
        let other = tree_of(&[("b/c", "2", 0o700), ("a", "1", 0o600)]);
        assert_eq!(digest_of(&one), digest_of(&other));
    }

    #[test]
    fn every_difference_that_matters_changes_the_digest() {
        let trees = [
            tree_of(&[("a", "1", 0o644), ("b", "", 0o644)]),
            tree_of(&[("a", "1", 0o755), ("b", "", 0o644)]),
            tree_of(&[("a", "2", 0o644), ("b", "", 0o644)]),
            tree_of(&[("a", "", 0o644), ("b", "1", 0o644)]),
            tree_of(&[("a", "1", 0o644), ("b/c", "", 0o644)]),
            tree_of(&[("a", "1", 0o644)]),
        ];
        std::os::unix::fs::symlink("a", trees[5].path().join("b")).unwrap();
        let mut digests: Vec<_> = trees.iter().map(digest_of).collect();
        fs::remove_file(trees[5].path().join("b")).unwrap();
        std::os::unix::fs::symlink("c", trees[5].path().join("b")).unwrap();
        digests.push(digest_of(&trees[5]));
        let count = digests.len();
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), count);
    }
}
