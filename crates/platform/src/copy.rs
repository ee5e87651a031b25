//! Copies the files of an app or artifact into a revision's directory.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::SeekFrom;
use rustix::io::Errno;

use crate::headroom;

/// Why files could not be brought to a revision's directory.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CopyError {
    /// The content itself is not acceptable.
    #[error("{0}")]
    Refused(String),
    /// The disk has no room for it.
    #[error("{0}")]
    NoRoom(switchover_model::Problem),
    /// Nobody needs it any more.
    #[error("it was cancelled")]
    Cancelled,
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl CopyError {
    /// As what a file operation failed with.
    pub(crate) fn into_io(self) -> io::Error {
        match self {
            Self::Io(error) => error,
            Self::Refused(_) | Self::NoRoom(_) | Self::Cancelled => io::Error::other(self.to_string()),
        }
    }
}

/// Tells work on another thread that nobody waits for it any more.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cancel(Arc<AtomicBool>);

impl Cancel {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn check(&self) -> Result<(), CopyError> {
        if self.0.load(Ordering::Relaxed) { Err(CopyError::Cancelled) } else { Ok(()) }
    }
}

/// What is never copied, wherever it lies.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LeftOut<'a> {
    /// The state directory, by its real path.
    pub(crate) state: Option<&'a Path>,
    /// The secrets: they are sealed beside the tree, which anybody may read.
    pub(crate) secrets: Option<&'a TheFile>,
}

/// One file, known by what it is and by where it is: an editor may put another one in its place meanwhile.
#[derive(Debug)]
pub(crate) struct TheFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl TheFile {
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        let path = path.canonicalize()?;
        let metadata = fs::metadata(&path)?;
        Ok(Self { path, device: metadata.dev(), inode: metadata.ino() })
    }

    fn is(&self, path: &Path, metadata: &fs::Metadata) -> bool {
        (metadata.dev(), metadata.ino()) == (self.device, self.inode)
            || (path.file_name() == self.path.file_name() && path.canonicalize().is_ok_and(|path| path == self.path))
    }
}

/// Files from this size on are copied only when the disk has room for them and its reserve.
const LARGE_FILE_BYTES: u64 = 1024 * 1024;

/// The most that is copied or read between two looks whether anybody still needs it.
pub(crate) const PIECE_BYTES: usize = 8 * 1024 * 1024;

/// What `st_blocks` counts, by inode(7).
const BLOCK_BYTES: u64 = 512;

/// One read where the kernel cannot copy by itself.
const READ_BYTES: usize = 256 * 1024;

/// Whether a file of `bytes` fits on the disk of `directory`.
pub(crate) fn make_room(directory: &Path, bytes: u64) -> Result<(), CopyError> {
    match (bytes >= LARGE_FILE_BYTES).then(|| headroom::disk(directory, bytes)).flatten() {
        Some(problem) => Err(CopyError::NoRoom(problem)),
        None => Ok(()),
    }
}

/// Copies `paths` of `from`; one that is not there (deleted, but still tracked) is left out.
pub(crate) fn copy_paths(
    from: &Path,
    paths: &BTreeSet<PathBuf>,
    to: &Path,
    left_out: LeftOut<'_>,
    cancel: &Cancel,
) -> Result<(), CopyError> {
    for path in paths {
        if !path.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(CopyError::Refused(format!("\"{}\" leads out of the directory", path.display())));
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(to.join(parent))?;
        }
        let copied = match fs::symlink_metadata(from.join(path)) {
            Ok(metadata) if metadata.is_dir() => copy_tree(&from.join(path), &to.join(path), left_out, cancel),
            Ok(metadata) => copy_one(&from.join(path), &metadata, &to.join(path), left_out, cancel),
            Err(error) => Err(error.into()),
        };
        match copied {
            Err(CopyError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(()) => {}
            Err(error) => return Err(named(error, path)),
        }
    }
    Ok(())
}

/// Copies everything under `from` but `.git` and what is `left_out`; sockets, pipes and devices neither.
pub(crate) fn copy_tree(from: &Path, to: &Path, left_out: LeftOut<'_>, cancel: &Cancel) -> Result<(), CopyError> {
    fs::create_dir_all(to)?;
    let mut unvisited = vec![PathBuf::new()];
    while let Some(directory) = unvisited.pop() {
        for item in fs::read_dir(from.join(&directory))? {
            let item = item?;
            let path = directory.join(item.file_name());
            let full = from.join(&path);
            if item.file_name() == ".git"
                || left_out.state.is_some_and(|state| full.canonicalize().is_ok_and(|it| it == state))
            {
                continue;
            }
            let metadata = item.metadata()?;
            if metadata.is_dir() {
                fs::create_dir(to.join(&path))?;
                unvisited.push(path);
            } else {
                copy_one(&full, &metadata, &to.join(&path), left_out, cancel).map_err(|error| named(error, &path))?;
            }
        }
    }
    Ok(())
}

fn copy_one(
    from: &Path,
    metadata: &fs::Metadata,
    to: &Path,
    left_out: LeftOut<'_>,
    cancel: &Cancel,
) -> Result<(), CopyError> {
    cancel.check()?;
    if metadata.is_file() && left_out.secrets.is_some_and(|secrets| secrets.is(from, metadata)) {
        return Ok(());
    }
    if metadata.is_symlink() {
        symlink(fs::read_link(from)?, to)?;
    } else if metadata.is_file() {
        if let Some(parent) = to.parent() {
            make_room(parent, metadata.len().min(metadata.blocks() * BLOCK_BYTES))?;
        }
        copy_file(from, to, cancel)?;
        let is_executable = metadata.permissions().mode() & 0o111 != 0;
        fs::set_permissions(to, fs::Permissions::from_mode(if is_executable { 0o755 } else { 0o644 }))?;
    }
    Ok(())
}

/// Copies a file's content as it is when this begins; its holes stay holes.
fn copy_file(from: &Path, to: &Path, cancel: &Cancel) -> Result<(), CopyError> {
    let source = File::open(from)?;
    let target = File::create(to)?;
    let length = source.metadata()?.len();
    let mut at = 0;
    while let Some((begin, end)) = data_from(&source, at, length)? {
        copy_range(&source, &target, begin, end, cancel)?;
        at = end;
    }
    Ok(target.set_len(length)?)
}

/// The first part at or after `at` that is no hole.
fn data_from(file: &File, at: u64, length: u64) -> io::Result<Option<(u64, u64)>> {
    if at >= length {
        return Ok(None);
    }
    let begin = match rustix::fs::seek(file, SeekFrom::Data(at)) {
        Ok(begin) => begin,
        Err(Errno::NXIO) => return Ok(None),
        // This file system knows no holes.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Some((at, length))),
        Err(error) => return Err(error.into()),
    };
    let end = rustix::fs::seek(file, SeekFrom::Hole(begin))?;
    Ok((begin < length).then_some((begin, end.min(length))))
}

/// Copies from `begin` to `end`, or to where the file ends by now.
fn copy_range(source: &File, target: &File, begin: u64, end: u64, cancel: &Cancel) -> Result<(), CopyError> {
    let mut at = begin;
    while at < end {
        cancel.check()?;
        let piece = usize::try_from(end - at).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        let (mut from, mut to) = (at, at);
        match rustix::fs::copy_file_range(source, Some(&mut from), target, Some(&mut to), piece) {
            Ok(0) => return Ok(()),
            Ok(copied) => at += copied as u64,
            Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP | Errno::PERM) => {
                return read_range(source, target, at, end, cancel);
            }
            Err(error) => return Err(io::Error::from(error).into()),
        }
    }
    Ok(())
}

fn read_range(source: &File, target: &File, begin: u64, end: u64, cancel: &Cancel) -> Result<(), CopyError> {
    let mut buffer = vec![0; READ_BYTES];
    let mut at = begin;
    while at < end {
        cancel.check()?;
        let most = usize::try_from(end - at).unwrap_or(READ_BYTES).min(READ_BYTES);
        let read = source.read_at(&mut buffer[..most], at)?;
        if read == 0 {
            return Ok(());
        }
        target.write_all_at(&buffer[..read], at)?;
        at += read as u64;
    }
    Ok(())
}

/// Writes all that `source` has into `target`.
pub(crate) fn pour(source: &mut impl Read, target: &mut impl Write, cancel: &Cancel) -> Result<(), CopyError> {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        cancel.check()?;
        match source.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => target.write_all(&buffer[..read])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn named(error: CopyError, path: &Path) -> CopyError {
    match error {
        CopyError::Io(error) => CopyError::Io(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
        CopyError::Refused(_) | CopyError::NoRoom(_) | CopyError::Cancelled => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_copied_with_its_holes() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to, read) = (dir.path().join("from"), dir.path().join("to"), dir.path().join("read"));
        let file = File::create(&from).unwrap();
        for (at, content) in [(0, &b"first"[..]), (300 << 20, &[7; 100_000]), (600 << 20, b"last")] {
            file.write_all_at(content, at).unwrap();
        }
        file.set_len(900 << 20).unwrap();
        fs::write(&to, "longer than nothing").unwrap();
        copy_file(&from, &to, &Cancel::new()).unwrap();
        let metadata = fs::metadata(&to).unwrap();
        assert_eq!(metadata.len(), 900 << 20);
        assert!(metadata.blocks() * BLOCK_BYTES < 10 << 20, "{} blocks", metadata.blocks());
        let mut content = vec![0; 100_010];
        let copy = File::open(&to).unwrap();
        copy.read_exact_at(&mut content, (300 << 20) - 5).unwrap();
        assert!(content[..5] == [0; 5] && content[5..100_005] == [7; 100_000] && content[100_005..] == [0; 5]);
        copy.read_exact_at(&mut content[..4], 600 << 20).unwrap();
        assert_eq!(&content[..4], b"last");
        // The same where the kernel does not copy by itself.
        read_range(&file_of(&from), &File::create(&read).unwrap(), 0, 5, &Cancel::new()).unwrap();
        assert_eq!(fs::read(&read).unwrap(), b"first");
        fs::write(&from, "").unwrap();
        copy_file(&from, &to, &Cancel::new()).unwrap();
        assert_eq!(fs::metadata(&to).unwrap().len(), 0);
    }

    fn file_of(path: &Path) -> File {
        File::open(path).unwrap()
    }

    #[test]
    fn a_large_file_is_no_longer_copied_poured_or_digested_when_it_is_cancelled() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir(&tree).unwrap();
        let file = File::create(tree.join("large")).unwrap();
        file.write_all_at(b"end", 200 << 20).unwrap();
        let cancel = Cancel::new();
        cancel.cancel();
        let target = dir.path().join("target");
        for ended in [
            copy_file(&tree.join("large"), &target, &cancel),
            read_range(&file_of(&tree.join("large")), &File::create(&target).unwrap(), 0, 200 << 20, &cancel),
            pour(&mut io::repeat(1), &mut io::sink(), &cancel),
            crate::digest::digest(&tree, &cancel).map(drop),
        ] {
            assert!(matches!(ended, Err(CopyError::Cancelled)), "{ended:?}");
        }
    }
}
