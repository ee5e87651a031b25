//! Unpacks an artifact that somebody else has packed: nothing in it may lead out of the revision's directory.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use tar::EntryType;

use crate::copy::{self, Cancel, CopyError};

/// The most bytes an archive may unpack to.
pub const UNPACKED_BYTES: u64 = 16 * 1024 * 1024 * 1024;

/// The most entries of an archive.
const ENTRIES: u64 = 1_000_000;

/// Unpacks the `.tar`, `.tar.gz` or `.tgz` at `archive` into the empty directory `tree`.
///
/// Guarantees: writes inside `tree` alone; links are made last, so that nothing is written through one. Set-user-id bits,
/// owners and times are not taken over.
pub(crate) fn unpack(archive: &Path, tree: &Path, cancel: &Cancel) -> Result<(), CopyError> {
    let file = File::open(archive)?;
    let reader: Box<dyn Read> = if archive.extension().is_some_and(|extension| extension == "tar") {
        Box::new(file)
    } else {
        Box::new(flate2::read::MultiGzDecoder::new(io::BufReader::new(file)))
    };
    let mut links = BTreeMap::new();
    let (mut bytes, mut count) = (0_u64, 0_u64);
    for entry in tar::Archive::new(reader).entries()? {
        cancel.check()?;
        let mut entry = entry?;
        count += 1;
        bytes = bytes.saturating_add(entry.size());
        if count > ENTRIES || bytes > UNPACKED_BYTES {
            return Err(CopyError::Refused(format!("it holds more than {ENTRIES} entries or {UNPACKED_BYTES} bytes")));
        }
        let path = inside(&entry.path()?)?;
        match entry.header().entry_type() {
            EntryType::Directory => make_parents(tree, &path.join("x"), &links)?,
            EntryType::Regular | EntryType::Continuous => {
                copy::make_room(tree, entry.size())?;
                make_parents(tree, &path, &links)?;
                let is_executable = entry.header().mode()? & 0o111 != 0;
                let mode = if is_executable { 0o755 } else { 0o644 };
                let full = tree.join(&path);
                links.remove(&path);
                clear_name(&full)?;
                let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&full)?;
                copy::pour(&mut entry, &mut file, cancel)?;
            }
            EntryType::Symlink => {
                let target = entry.link_name()?.ok_or_else(|| refused(&path, "is a link to nothing"))?.into_owned();
                if path.as_os_str().is_empty() || !stays_inside(&path, &target) {
                    return Err(refused(&path, "is a link that leads out of the revision's directory"));
                }
                make_parents(tree, &path, &links)?;
                links.insert(path, target);
            }
            EntryType::Link => {
                let target = entry.link_name()?.ok_or_else(|| refused(&path, "is a link to nothing"))?;
                let target = inside(&target)?;
                make_parents(tree, &path, &links)?;
                if !fs::symlink_metadata(tree.join(&target)).is_ok_and(|metadata| metadata.is_file()) {
                    return Err(refused(&path, "is a hard link to something that is no file before it in the archive"));
                }
                clear_name(&tree.join(&path))?;
                fs::hard_link(tree.join(&target), tree.join(&path))?;
            }
            EntryType::XGlobalHeader => {}
            _ => return Err(refused(&path, "is neither a file, a directory nor a link")),
        }
    }
    make_links(tree, &links)
}

/// Takes away a file that an earlier entry of the same name has made.
fn clear_name(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn refused(path: &Path, why: &str) -> CopyError {
    CopyError::Refused(format!("\"{}\" in it {why}", crate::output::presentable(path.as_os_str().as_encoded_bytes())))
}

/// A path of the archive, relative and without `.` and `..`.
fn inside(path: &Path) -> Result<PathBuf, CopyError> {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => clean.push(part),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(refused(path, "leads out of the revision's directory"));
            }
        }
    }
    Ok(clean)
}

/// Makes the directories above `path`, none of which may be a link of the archive.
fn make_parents(tree: &Path, path: &Path, links: &BTreeMap<PathBuf, PathBuf>) -> Result<(), CopyError> {
    let Some(parent) = path.parent() else { return Ok(()) };
    if parent.ancestors().any(|ancestor| links.contains_key(ancestor)) {
        return Err(refused(path, "lies under a link"));
    }
    fs::create_dir_all(tree.join(parent))?;
    Ok(())
}

/// Whether the link `path` -> `target` stays inside, as far as the names tell.
fn stays_inside(path: &Path, target: &Path) -> bool {
    let mut depth = path.components().count().saturating_sub(1);
    for part in target.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir => match depth.checked_sub(1) {
                Some(up) => depth = up,
                None => return false,
            },
            Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    true
}

/// Makes the links and looks where each really leads: names alone do not tell when links lead through links.
fn make_links(tree: &Path, links: &BTreeMap<PathBuf, PathBuf>) -> Result<(), CopyError> {
    for (path, target) in links {
        clear_name(&tree.join(path))?;
        symlink(target, tree.join(path))?;
    }
    let real_tree = tree.canonicalize()?;
    for (path, target) in links {
        let leads_out = match tree.join(path).canonicalize() {
            Ok(real) => !real.starts_with(&real_tree),
            // It leads to nothing. What is made there later is made inside, unless the way goes up through other links.
            Err(_) => target.components().any(|part| part == Component::ParentDir) && links.len() > 1,
        };
        if leads_out {
            return Err(refused(path, "is a link that leads out of the revision's directory, or to nothing"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    enum Item<'a> {
        File(&'a str, &'a str, u32),
        Link(&'a str, &'a str),
        Kind(&'a str, EntryType),
    }

    /// Unpacks an archive of `items`; paths are written as they are, however bad.
    fn unpacked(items: &[Item<'_>]) -> Result<tempfile::TempDir, String> {
        let dir = tempfile::tempdir().unwrap();
        let mut builder = tar::Builder::new(Vec::new());
        for item in items {
            let mut header = tar::Header::new_gnu();
            let (path, content) = match item {
                Item::File(path, content, mode) => {
                    header.set_entry_type(EntryType::Regular);
                    header.set_mode(*mode);
                    (path, *content)
                }
                Item::Link(path, target) => {
                    header.set_entry_type(EntryType::Symlink);
                    header.as_gnu_mut().unwrap().linkname[..target.len()].copy_from_slice(target.as_bytes());
                    (path, "")
                }
                Item::Kind(path, kind) => {
                    header.set_entry_type(*kind);
                    (path, "")
                }
            };
            header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_size(content.len() as u64);
            header.set_cksum();
            builder.append(&header, content.as_bytes()).unwrap();
        }
        let archive = dir.path().join("app.tar");
        fs::write(&archive, builder.into_inner().unwrap()).unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir(&tree).unwrap();
        match unpack(&archive, &tree, &Cancel::new()) {
            Ok(()) => Ok(dir),
            Err(error) => {
                let mut outside: Vec<_> =
                    fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
                outside.sort();
                assert_eq!(outside, ["app.tar", "tree"], "nothing was written outside");
                Err(error.to_string())
            }
        }
    }

    #[test]
    fn files_links_and_executable_bits_are_unpacked() {
        use std::os::unix::fs::PermissionsExt;
        let items = [Item::File("./bin/app", "run", 0o4755), Item::Link("app", "bin/app"), Item::File("a", "b", 0o600)];
        let dir = unpacked(&items).unwrap();
        let tree = dir.path().join("tree");
        assert_eq!(fs::read_to_string(tree.join("app")).unwrap(), "run");
        assert_eq!(fs::metadata(tree.join("bin/app")).unwrap().permissions().mode() & 0o7777, 0o755);
        assert_eq!(fs::metadata(tree.join("a")).unwrap().permissions().mode() & 0o111, 0);
    }

    #[test]
    fn nothing_of_an_archive_leads_out() {
        let elsewhere = tempfile::tempdir().unwrap();
        let outside = elsewhere.path().join("evil");
        let outside_name = outside.to_str().unwrap();
        let cases: &[&[Item<'_>]] = &[
            &[Item::File("../evil", "x", 0o644)],
            &[Item::File("a/../../evil", "x", 0o644)],
            &[Item::File(outside_name, "x", 0o644)],
            &[Item::Link("link", "/etc/passwd")],
            &[Item::Link("link", "../evil")],
            &[Item::Link("a", "."), Item::File("a/evil", "x", 0o644)],
            &[Item::Link("x/y", ".."), Item::Link("z", "x/y/../../app.tar")],
            &[Item::Kind("null", EntryType::Char)],
            &[Item::Kind("pipe", EntryType::Fifo)],
        ];
        for (number, items) in cases.iter().enumerate() {
            assert!(unpacked(items).is_err(), "case {number}");
        }
        assert!(!outside.exists());
    }
}
