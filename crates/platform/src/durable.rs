//! Files that are whole or not there, and directories that go away even when they are sealed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The largest file of ours that is read into memory at once.
const RECORD_BYTES: u64 = 32 * 1024 * 1024;

/// Whether a file must outlive a power cut, or only the process that wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Synced to disk before it gets its name.
    AcrossPowerCuts,
    /// Worth nothing after a reboot anyway.
    WhileBooted,
}

/// Writes `content` under `path` so that a reader sees the old content or the new one, never a part. Mode 0600.
pub(crate) fn write_atomic(path: &Path, content: &[u8], keep: Keep) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    let draft = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(content)?;
    if keep == Keep::AcrossPowerCuts {
        file.sync_all()?;
    }
    fs::rename(&draft, path)?;
    if keep == Keep::AcrossPowerCuts
        && let Some(parent) = path.parent()
    {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

/// [`write_atomic`] of a value as JSON.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T, keep: Keep) -> io::Result<()> {
    let content = serde_json::to_vec_pretty(value).map_err(io::Error::other)?;
    write_atomic(path, &content, keep)
}

/// Reads a value written by [`write_json`]; nothing when there is no such file.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut content = Vec::new();
    file.take(RECORD_BYTES).read_to_end(&mut content)?;
    serde_json::from_slice(&content).map(Some).map_err(io::Error::other)
}

/// Makes a directory and its parents, each 0700.
pub(crate) fn make_private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Removes whatever is at `path`, also when its directories are read-only; nothing there is fine. Symbolic links are
/// removed, never followed.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    let kind = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !kind.is_dir() {
        return fs::remove_file(path);
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(path)? {
        remove_tree(&entry?.path())?;
    }
    fs::remove_dir(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_directory_goes_away_and_what_its_links_lead_to_stays() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir_all(tree.join("sub")).unwrap();
        fs::write(dir.path().join("outside"), "stays").unwrap();
        std::os::unix::fs::symlink(dir.path().join("outside"), tree.join("sub/link")).unwrap();
        fs::set_permissions(tree.join("sub"), fs::Permissions::from_mode(0o500)).unwrap();
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
        assert_eq!(fs::read_to_string(dir.path().join("outside")).unwrap(), "stays");
        remove_tree(&tree).unwrap();
    }
}
