//! The output of an app's instances, for people: the last lines, and what follows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use switchover_model::answer::{LogLine, LogNews, LogPlace};
use switchover_model::{AppName, InstanceId, ProcessName, Slot};
use tokio::sync::mpsc;

use crate::instance::InstanceSpec;
use crate::layout::InstanceDir;
use crate::output;
use crate::process_platform::{ProcessPlatform, Shared, lock};

/// Lines that wait for a slow reader; the log itself waits on disk meanwhile.
const LINES_AHEAD: usize = 1024;

/// The most lines of the past that are given for each instance.
pub const MOST_LINES: usize = 10_000;

/// Time between two looks for new output.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The most new output of one instance that is taken at once; then the follower is told how far it has come.
const TAKEN_AT_ONCE: u64 = 64 * 1024;

/// Which lines are wanted.
#[derive(Debug, Clone)]
pub struct LogQuery {
    /// Of this app.
    pub app: AppName,
    /// Of this slot alone.
    pub slot: Option<Slot>,
    /// Of this process type alone.
    pub process: Option<ProcessName>,
    /// Of this instance alone, whether it has ended or not.
    pub instance: Option<InstanceId>,
    /// Also of instances that have ended, while others run.
    pub all: bool,
    /// How many lines of the past, for each instance; at most [`MOST_LINES`].
    pub lines: usize,
    /// Whether to go on with what comes, until the receiver is dropped.
    pub follow: bool,
    /// Where an earlier follower of the same query had come to: each log goes on from there, that of an instance which is
    /// not named from its begin. Empty for the first.
    pub after: Vec<LogPlace>,
}

/// Where reading an instance's log has come to.
struct Place {
    file: u64,
    offset: u64,
    /// The begin of a line whose end was not seen yet, where that is (file and byte), and what is kept of it.
    line: (u64, u64),
    partial: Vec<u8>,
}

impl ProcessPlatform {
    /// The lines that `query` asks for, instance by instance. Of instances that have ended, whose logs are kept for a
    /// while: when `query` asks for them, or when there are no others. The receiver ends after the past, or with `follow` when
    /// it is dropped; a follower is also told each place that it has come to. A line is at most [`crate::LINE_BYTES`] long and
    /// without control characters.
    #[must_use]
    pub fn logs(&self, query: LogQuery) -> mpsc::Receiver<LogNews> {
        let (sender, receiver) = mpsc::channel(LINES_AHEAD);
        let shared = std::sync::Arc::clone(&self.shared);
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            // It ends when nobody listens any more.
            let _ = send(&shared, &query, &sender).await;
        });
        receiver
    }
}

impl ProcessPlatform {
    /// The instances of `app` whose output is there, those that have ended too, oldest first, each with its process type.
    #[must_use]
    pub fn logged(&self, app: &AppName) -> Vec<(InstanceId, ProcessName)> {
        let every = LogQuery {
            app: app.clone(),
            slot: None,
            process: None,
            instance: None,
            all: true,
            lines: 0,
            follow: false,
            after: Vec::new(),
        };
        let (_, found) = self.shared.logged(&every);
        found.into_iter().map(|(_, spec)| (spec.id, spec.process)).collect()
    }
}

async fn send(shared: &Shared, query: &LogQuery, sender: &mpsc::Sender<LogNews>) -> Result<(), NobodyListens> {
    let known = |after: &LogPlace| (after.instance.clone(), Place::at(after.file, after.offset));
    let mut places: BTreeMap<InstanceId, Place> = query.after.iter().map(known).collect();
    if places.is_empty() {
        send_past(shared, query, sender, &mut places).await?;
    }
    if !query.follow {
        return Ok(());
    }
    loop {
        let (running, logged) = shared.logged(query);
        let gone: Vec<_> = places.keys().filter(|id| logged.iter().all(|(_, spec)| spec.id != **id)).cloned().collect();
        for gone in gone {
            places.remove(&gone);
            sender.send(LogNews::Gone { gone }).await.map_err(|_| NobodyListens)?;
        }
        let mut came = false;
        for (dir, spec) in logged {
            // One that ends while it is followed is read to its end.
            if !(running.contains(&spec.id) || places.contains_key(&spec.id)) {
                continue;
            }
            let place = places.entry(spec.id.clone()).or_insert_with(|| Place::at(0, 0));
            let mut lines = Vec::new();
            if let Err(error) = place.advance(&dir.log(), &mut lines) {
                tracing::debug!(instance = %spec.id, %error, "its log cannot be read now");
            }
            if lines.is_empty() {
                continue;
            }
            came = true;
            for line in lines {
                send_line(sender, &spec, line).await?;
            }
            send_place(sender, &spec, place).await?;
        }
        if !came {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = sender.closed() => return Err(NobodyListens),
            }
        }
    }
}

/// The last lines of what is there, and where the rest will follow.
async fn send_past(
    shared: &Shared,
    query: &LogQuery,
    sender: &mpsc::Sender<LogNews>,
    places: &mut BTreeMap<InstanceId, Place>,
) -> Result<(), NobodyListens> {
    let (running, mut wanted) = shared.logged(query);
    if !(query.all || query.instance.is_some() || running.is_empty()) {
        wanted.retain(|(_, spec)| running.contains(&spec.id));
    }
    for (dir, spec) in wanted {
        // The place first: what is printed meanwhile is shown twice rather than not at all.
        let place = Place::end_of(&dir.log());
        for line in output::last_lines(&dir.log(), query.lines.min(MOST_LINES)).unwrap_or_default() {
            send_line(sender, &spec, line).await?;
        }
        if query.follow {
            send_place(sender, &spec, &place).await?;
        }
        places.insert(spec.id, place);
    }
    Ok(())
}

/// The receiver is gone.
struct NobodyListens;

async fn send_line(sender: &mpsc::Sender<LogNews>, spec: &InstanceSpec, line: String) -> Result<(), NobodyListens> {
    let line = LogLine { instance: spec.id.clone(), slot: spec.slot, process: spec.process.clone(), line };
    sender.send(LogNews::Line(line)).await.map_err(|_| NobodyListens)
}

async fn send_place(sender: &mpsc::Sender<LogNews>, spec: &InstanceSpec, at: &Place) -> Result<(), NobodyListens> {
    let (file, offset) = at.line;
    let place = LogPlace { instance: spec.id.clone(), file, offset };
    sender.send(LogNews::Place(place)).await.map_err(|_| NobodyListens)
}

impl Place {
    fn at(file: u64, offset: u64) -> Self {
        Self { file, offset, line: (file, offset), partial: Vec::new() }
    }

    fn end_of(log: &Path) -> Self {
        fs::metadata(log).map_or_else(|_| Self::at(0, 0), |metadata| Self::at(identity(&metadata), metadata.len()))
    }

    /// The whole lines that have come since, across a turn of the files.
    fn advance(&mut self, log: &Path, lines: &mut Vec<String>) -> io::Result<()> {
        let newest = fs::metadata(log)?;
        if identity(&newest) != self.file {
            let older = output::older(log);
            if let Ok(metadata) = fs::metadata(&older) {
                if identity(&metadata) != self.file {
                    // More than two files were filled meanwhile: what is left of them begins here.
                    self.enter(identity(&metadata));
                }
                self.take(&older, lines)?;
                if metadata.len() > self.offset {
                    // More of it at the next look.
                    return Ok(());
                }
            }
            self.enter(identity(&newest));
        } else if newest.len() < self.offset {
            // Somebody has emptied it.
            self.enter(self.file);
        }
        self.take(log, lines)
    }

    /// Goes on at the begin of a file.
    fn enter(&mut self, file: u64) {
        (self.file, self.offset) = (file, 0);
        if self.partial.is_empty() {
            self.line = (file, 0);
        }
    }

    fn take(&mut self, path: &Path, lines: &mut Vec<String>) -> io::Result<()> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut bytes = Vec::new();
        let begin = self.offset;
        self.offset += file.take(TAKEN_AT_ONCE).read_to_end(&mut bytes)? as u64;
        let mut rest = bytes.as_slice();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, tail) = rest.split_at(end);
            self.hold(line);
            lines.push(output::presentable(&std::mem::take(&mut self.partial)));
            rest = &tail[1..];
            self.line = (self.file, begin + (bytes.len() - rest.len()) as u64);
        }
        self.hold(rest);
        Ok(())
    }

    fn hold(&mut self, part: &[u8]) {
        let room = (output::LINE_BYTES + 1).saturating_sub(self.partial.len());
        self.partial.extend_from_slice(&part[..part.len().min(room)]);
    }
}

/// What tells a file from those before and after it. The number of its inode alone is given to the next file.
fn identity(metadata: &fs::Metadata) -> u64 {
    let born = metadata.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    metadata.ino() ^ u64::try_from(born.as_nanos()).unwrap_or_default()
}

impl Shared {
    /// The instances whose logs a query is about, oldest first; and which of them have not ended.
    fn logged(&self, query: &LogQuery) -> (BTreeSet<InstanceId>, Vec<(InstanceDir, InstanceSpec)>) {
        let mut running = BTreeSet::new();
        let mut found = Vec::new();
        for (has_ended, directory) in
            [(true, self.layout.ended(&query.app)), (false, self.layout.instances(&query.app))]
        {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                let dir = InstanceDir { root: entry.path() };
                let Ok(Some(spec)) = dir.read_spec() else { continue };
                if query.slot.is_none_or(|slot| slot == spec.slot)
                    && query.process.as_ref().is_none_or(|process| *process == spec.process)
                    && query.instance.as_ref().is_none_or(|instance| *instance == spec.id)
                {
                    if !has_ended {
                        running.insert(spec.id.clone());
                    }
                    found.push((dir, spec));
                }
            }
        }
        found.sort_by_key(|(_, spec)| (spec.created_at, spec.place));
        (running, found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(log: &Path, text: &str) {
        fs::rename(log, output::older(log)).unwrap();
        fs::write(log, text).unwrap();
    }

    fn read(place: &mut Place, log: &Path) -> Vec<String> {
        let mut lines = Vec::new();
        place.advance(log, &mut lines).unwrap();
        lines
    }

    #[test]
    fn a_place_is_kept_across_one_turn_and_after_more_what_is_left_is_told_from_its_begin() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        fs::write(&log, "one\ntwo\nthr").unwrap();
        let mut place = Place::at(0, 0);
        assert_eq!(read(&mut place, &log), ["one", "two"]);
        let kept = place.line;
        assert_eq!(kept.1, 8);
        let append = |text: &str| {
            let mut file = fs::OpenOptions::new().append(true).open(&log).unwrap();
            io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        };
        append("ee\n");
        turn(&log, "four\n");
        assert_eq!(read(&mut place, &log), ["three", "four"]);
        assert_eq!(
            read(&mut Place::at(kept.0, kept.1), &log),
            ["three", "four"],
            "the place of a line that was not whole"
        );

        // The next files may have the numbers of those that are gone.
        for text in ["five\n", "six and more\n", "seven\n"] {
            turn(&log, text);
        }
        assert_eq!(read(&mut place, &log), ["six and more", "seven"]);
        assert_eq!(read(&mut place, &log), Vec::<String>::new());
        fs::OpenOptions::new().write(true).truncate(true).open(&log).unwrap();
        append("8\n");
        assert_eq!(read(&mut place, &log), ["8"], "it was emptied");
    }
}
