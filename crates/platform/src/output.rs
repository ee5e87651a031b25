//! An app's output on disk: bounded, whatever the app prints, and its last lines for people.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use switchover_model::Problem;

/// How large a log file grows before it becomes the older one of two.
pub const LOG_FILE_BYTES: u64 = 8 * 1024 * 1024;

/// The longest line that is shown; the rest of a longer one is left out.
pub const LINE_BYTES: usize = 4 * 1024;

/// How much of a log's end is read to find its last lines.
const TAIL_BYTES: u64 = 256 * 1024;

/// Where the older part of a log is.
pub(crate) fn older(log: &Path) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

/// A log of at most two files of [`LOG_FILE_BYTES`] each.
#[derive(Debug)]
pub(crate) struct RotatingLog {
    path: PathBuf,
    file: File,
    written: u64,
}

impl RotatingLog {
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
        let written = file.metadata()?.len();
        Ok(Self { path, file, written })
    }

    /// Appends; turns the files over when the newer one is full. A chunk is never larger than a file.
    pub(crate) fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        if self.written + chunk.len() as u64 > LOG_FILE_BYTES {
            match fs::rename(&self.path, older(&self.path)) {
                // Turned over before, and the new file could not be opened.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => *self = Self::open(self.path.clone())?,
            }
        }
        self.file.write_all(chunk)?;
        self.written += chunk.len() as u64;
        Ok(())
    }
}

/// The last `count` lines of a log, oldest first, fit to be shown.
pub(crate) fn last_lines(log: &Path, count: usize) -> io::Result<Vec<String>> {
    let mut bytes = read_end(log, TAIL_BYTES)?;
    if (bytes.len() as u64) < TAIL_BYTES {
        let mut whole = read_end(&older(log), TAIL_BYTES - bytes.len() as u64)?;
        whole.append(&mut bytes);
        bytes = whole;
    }
    let mut last = LastLines::new(count);
    last.push(&bytes);
    Ok(last.finish())
}

fn read_end(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// One line as it may be shown: no control characters (a terminal obeys them), at most [`LINE_BYTES`].
pub(crate) fn presentable(line: &[u8]) -> String {
    let cut = &line[..line.len().min(LINE_BYTES)];
    let mut text: String =
        String::from_utf8_lossy(cut).chars().filter(|letter| *letter == '\t' || !letter.is_control()).collect();
    if cut.len() < line.len() {
        text.push_str(" [...]");
    }
    text
}

/// The last lines of a stream that goes by, in bounded memory.
#[derive(Debug)]
pub(crate) struct LastLines {
    most: usize,
    lines: VecDeque<String>,
    partial: Vec<u8>,
}

impl LastLines {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, lines: VecDeque::new(), partial: Vec::new() }
    }

    /// As many as a problem carries.
    pub(crate) fn for_a_problem() -> Self {
        Self::new(Problem::DETAIL_LINES)
    }

    pub(crate) fn push(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, tail) = rest.split_at(end);
            self.extend(line);
            self.end_line();
            rest = &tail[1..];
        }
        self.extend(rest);
    }

    fn extend(&mut self, part: &[u8]) {
        // One byte more than is shown tells that there was more.
        let room = (LINE_BYTES + 1).saturating_sub(self.partial.len());
        self.partial.extend_from_slice(&part[..part.len().min(room)]);
    }

    fn end_line(&mut self) {
        if self.most == 0 {
            self.partial.clear();
            return;
        }
        if self.lines.len() == self.most {
            self.lines.pop_front();
        }
        let line = self.partial.strip_suffix(b"\r").unwrap_or(&self.partial);
        self.lines.push_back(presentable(line));
        self.partial.clear();
    }

    pub(crate) fn finish(mut self) -> Vec<String> {
        if !self.partial.is_empty() {
            self.end_line();
        }
        self.lines.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_never_grows_beyond_two_files_and_keeps_the_newest() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = RotatingLog::open(path.clone()).unwrap();
        let chunk = [b'x'; 64 * 1024];
        for _ in 0..400 {
            log.write(&chunk).unwrap();
        }
        log.write(b"\nlast\n").unwrap();
        let total = fs::metadata(&path).unwrap().len() + fs::metadata(older(&path)).unwrap().len();
        assert!(total <= 2 * LOG_FILE_BYTES, "{total}");
        assert_eq!(last_lines(&path, 1).unwrap(), ["last"]);
    }

    #[test]
    fn a_log_that_could_not_be_turned_over_is_written_again_as_soon_as_it_can_be() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        fs::create_dir(&home).unwrap();
        let path = home.join("log");
        let mut log = RotatingLog::open(path.clone()).unwrap();
        let chunk = vec![b'x'; usize::try_from(LOG_FILE_BYTES).unwrap()];
        log.write(&chunk).unwrap();
        // Its directory has another name for a while: neither the old file nor a new one is found.
        let away = dir.path().join("away");
        fs::rename(&home, &away).unwrap();
        assert!(log.write(b"lost\n").is_err());
        assert!(log.write(b"lost too\n").is_err());
        fs::rename(&away, &home).unwrap();
        log.write(b"kept\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "kept\n");
        assert_eq!(fs::metadata(older(&path)).unwrap().len(), LOG_FILE_BYTES);
    }

    #[test]
    fn last_lines_reach_back_over_the_turn_of_the_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(older(&path), "one\ntwo\n").unwrap();
        fs::write(&path, "three\r\nfour").unwrap();
        assert_eq!(last_lines(&path, 3).unwrap(), ["two", "three", "four"]);
        assert_eq!(last_lines(&path, 0).unwrap(), [""; 0], "none are asked for");
        assert_eq!(last_lines(&dir.path().join("none"), 3).unwrap(), [""; 0]);
    }

    #[test]
    fn a_line_is_cut_and_cannot_command_a_terminal() {
        assert_eq!(presentable(b"\x1b[2Jgone\x07"), "[2Jgone");
        let mut last = LastLines::new(2);
        for _ in 0..100 {
            last.push(&[b'y'; 1000]);
        }
        let lines = last.finish();
        assert_eq!(lines.len(), 1);
        assert!(lines[0].len() < LINE_BYTES + 10 && lines[0].ends_with("[...]"));
    }
}
