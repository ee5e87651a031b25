//! A small file that is overwritten in place: once it is made, writing it needs no new space, so what an instance is can be
//! told on a full disk too. (Not on a file system that copies on write: there it fails like any other write.)
//!
//! It holds two copies of the same size, each with a number and a checksum. A write goes over the older one: whoever reads
//! meanwhile, or after a write that was torn, has the other.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

/// Hex digits of a checksum, and of a number.
const SUM: usize = 64;
const NUMBER: usize = 16;

/// What stands before the content: checksum, number, a space after each.
const HEAD: usize = SUM + 1 + NUMBER + 1;

/// How often a file is read whose copies are both being written while it is read.
const READS: u32 = 5;

/// What a copy is filled up with.
const BLANK: u8 = b' ';

/// Makes the file with room for `room` bytes of content; afterwards it holds nothing. What is there is overwritten.
pub(crate) fn prepare(path: &Path, room: usize) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    // Written, not only allocated: a block that was never written may need more space when it is.
    file.write_all_at(&vec![BLANK; 2 * (HEAD + room)], 0)?;
    file.set_len(2 * (HEAD + room) as u64)
}

/// Writes `value` as JSON over the older copy. A file that is missing or of another size is made first.
///
/// Errors: it takes more than `room` bytes; the file cannot be made or written.
pub(crate) fn write_json<T: Serialize>(path: &Path, room: usize, value: &T) -> io::Result<()> {
    let content = serde_json::to_vec(value).map_err(io::Error::other)?;
    if content.len() > room {
        return Err(io::Error::new(ErrorKind::InvalidInput, format!("{} bytes do not fit", content.len())));
    }
    let size = HEAD + room;
    let copies = match bytes_of(path)? {
        Some(bytes) if bytes.len() == 2 * size => bytes,
        Some(_) | None => {
            prepare(path, room)?;
            vec![BLANK; 2 * size]
        }
    };
    let (older, number) = match newest(&copies) {
        Some((place, number, _)) => (1 - place, number.wrapping_add(1)),
        None => (0, 1),
    };
    let mut copy = vec![BLANK; size];
    let tail = [format!("{number:016x} ").as_bytes(), &content].concat();
    copy[..SUM].copy_from_slice(sum(&tail).as_bytes());
    copy[SUM + 1..SUM + 1 + tail.len()].copy_from_slice(&tail);
    OpenOptions::new().write(true).open(path)?.write_all_at(&copy, (older * size) as u64)
}

/// The value that was written last; nothing when there is no file or none was written yet.
///
/// Errors: the file holds something, but no whole copy.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    for _ in 0..READS {
        let Some(copies) = bytes_of(path)? else { return Ok(None) };
        if let Some((_, _, content)) = newest(&copies) {
            return serde_json::from_slice(content).map(Some).map_err(io::Error::other);
        }
        if copies.iter().all(|byte| *byte == BLANK) {
            return Ok(None);
        }
    }
    Err(io::Error::new(ErrorKind::InvalidData, format!("{} holds nothing whole", path.display())))
}

fn bytes_of(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(mut file) => file.read_to_end(&mut bytes)?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(Some(bytes))
}

/// The newest whole copy: its place, its number and its content.
fn newest(copies: &[u8]) -> Option<(usize, u64, &[u8])> {
    let halves = copies.split_at(copies.len() / 2);
    let whole = [halves.0, halves.1].into_iter().enumerate().filter_map(|(place, copy)| {
        let (stored, tail) = copy.split_at_checked(SUM)?;
        let tail = tail.get(1..)?.trim_ascii_end();
        let number = u64::from_str_radix(str::from_utf8(tail.get(..NUMBER)?).ok()?, 16).ok()?;
        (sum(tail).as_bytes() == stored).then(|| Some((place, number, tail.get(NUMBER + 1..)?)))?
    });
    whole.max_by_key(|(_, number, _)| *number)
}

fn sum(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    const ROOM: usize = 4096;

    #[test]
    fn it_is_written_again_and_again_without_another_file_or_more_blocks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("status");
        prepare(&path, ROOM).unwrap();
        assert_eq!(read_json::<String>(&path).unwrap(), None);
        let made = fs::metadata(&path).unwrap();
        for text in ["one", "", "three \u{e9} ", &"x".repeat(ROOM - 2)] {
            write_json(&path, ROOM, &text).unwrap();
            assert_eq!(read_json::<String>(&path).unwrap().as_deref(), Some(text));
        }
        let written = fs::metadata(&path).unwrap();
        assert_eq!((written.ino(), written.len(), written.blocks()), (made.ino(), made.len(), made.blocks()));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(write_json(&path, ROOM, &"x".repeat(ROOM)).is_err(), "it does not fit");
        assert_eq!(read_json::<String>(&dir.path().join("none")).unwrap(), None);
    }

    #[test]
    fn after_a_torn_write_the_copy_before_it_is_read_and_the_next_write_holds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("status");
        for number in 0..3 {
            write_json(&path, ROOM, &number).unwrap();
        }
        // The third write went over the first copy: half of it did not arrive.
        let mut torn = fs::read(&path).unwrap();
        torn[SUM + 4..HEAD + 1].fill(b'#');
        fs::write(&path, &torn).unwrap();
        assert_eq!(read_json::<u32>(&path).unwrap(), Some(1));
        write_json(&path, ROOM, &7).unwrap();
        assert_eq!(read_json::<u32>(&path).unwrap(), Some(7));
        fs::write(&path, "#".repeat(2 * (HEAD + ROOM))).unwrap();
        assert_eq!(read_json::<u32>(&path).unwrap_err().kind(), ErrorKind::InvalidData);
    }

    #[test]
    fn a_reader_never_sees_anything_but_a_whole_value() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("status");
        write_json(&path, ROOM, &vec![0_u32; 500]).unwrap();
        let writer = std::thread::spawn({
            let path = path.clone();
            move || (1..400_u32).try_for_each(|number| write_json(&path, ROOM, &vec![number; 500]))
        });
        let mut last = 0;
        while !writer.is_finished() {
            let seen: Vec<u32> = read_json(&path).unwrap().unwrap();
            assert!(seen.iter().all(|number| *number == seen[0]) && seen[0] >= last, "{last}, then {seen:?}");
            last = seen[0];
        }
        writer.join().unwrap().unwrap();
    }
}
