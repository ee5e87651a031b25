//! The memory that counters live in: a file mapped into memory, so that they outlive the process that counts.
//!
//! Layout, all words of 64 bits in the machine's order: a header of [`HEADER_WORDS`], then records of [`RECORD_WORDS`].
//! A record is a key word (0: free), its app's name in five words, and [`COUNTERS`] counters. Only one lane writes.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::{MmapMut, MmapOptions};

const MAGIC: u64 = u64::from_le_bytes(*b"swledger");
const FORMAT: u64 = 1;
/// Words before the first record: magic, format, and the fold that is under way.
const HEADER_WORDS: usize = 8;
/// The header's word that names the record to free and the one that takes its counts, while they are being folded.
const FOLD_WORD: usize = 2;
const NAME_WORDS: usize = 5;
/// Counters of one record.
pub(crate) const COUNTERS: usize = 42;
const RECORD_WORDS: usize = 1 + NAME_WORDS + COUNTERS;
/// Records of one lane; when they are used up, an app's oldest revisions are counted together.
pub(crate) const RECORDS_MAX: usize = 2048;
/// The record that a fold is prepared in; never a key's own.
const SCRATCH: usize = RECORDS_MAX;
const FILE_WORDS: usize = HEADER_WORDS + (RECORDS_MAX + 1) * RECORD_WORDS;
const FILE_BYTES: usize = FILE_WORDS * 8;

/// A lane's counters as one block of memory.
#[derive(Debug)]
pub(crate) struct LedgerFile {
    mapping: MmapMut,
    is_persistent: bool,
}

/// A record's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place(usize);

/// A record's first word and name, as they lie in the file.
pub(crate) type RawKey = [u64; 1 + NAME_WORDS];

impl LedgerFile {
    /// Opens a predecessor's file or makes a new one. A file that is none of ours, or cut short, is kept aside under
    /// another name; without room on disk the counters live in this process alone.
    pub(crate) fn open(path: &Path) -> Self {
        match Self::open_or_create(path) {
            Ok(file) => file,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "counters do not outlive this process");
                let mapping = MmapMut::map_anon(FILE_BYTES).expect("the kernel has a few hundred KiB for counters");
                let file = Self { mapping, is_persistent: false };
                file.begin();
                file
            }
        }
    }

    /// The file of another router that lives and counts in it; nothing when it is none of ours.
    pub(crate) fn of_another(path: &Path) -> io::Result<Option<Self>> {
        let existing = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Self::map(&existing)?.filter(Self::is_ours))
    }

    fn open_or_create(path: &Path) -> io::Result<Self> {
        match OpenOptions::new().read(true).write(true).open(path) {
            Ok(existing) => {
                if let Some(file) = Self::map(&existing)?.filter(Self::is_ours) {
                    file.end_fold();
                    return Ok(file);
                }
                let mut aside = path.as_os_str().to_owned();
                aside.push(".unreadable");
                tracing::warn!(path = %path.display(), "counters of a predecessor can not be read and are put aside");
                std::fs::rename(path, PathBuf::from(aside))?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".new");
        let temporary = PathBuf::from(temporary);
        let new = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        // Room is taken now: a page that the disk has no room for later would end the process.
        rustix::fs::fallocate(&new, rustix::fs::FallocateFlags::empty(), 0, FILE_BYTES as u64)?;
        let file = Self::map(&new)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        file.begin();
        std::fs::rename(&temporary, path)?;
        Ok(file)
    }

    fn map(file: &File) -> io::Result<Option<Self>> {
        if file.metadata()?.len() != FILE_BYTES as u64 {
            return Ok(None);
        }
        #[expect(unsafe_code, reason = "a file can be mapped in no other way")]
        // SAFETY: the file has its full length and is never cut by us; it lies in a directory of ours alone (0700), one
        // lane holds its lock and alone writes to it, and every access to the memory is atomic.
        let mapping = unsafe { MmapOptions::new().len(FILE_BYTES).map_mut(file)? };
        Ok(Some(Self { mapping, is_persistent: true }))
    }

    fn words(&self) -> &[AtomicU64] {
        #[expect(
            unsafe_code,
            reason = "the mapping is bytes, the counters are words that are read and written at once"
        )]
        // SAFETY: a mapping begins at a page's begin, so it is aligned for words; it is `FILE_BYTES` long, which is a
        // multiple of eight; it lives as long as `self`; nothing makes a `&mut` to it; every bit pattern is a valid word.
        unsafe {
            std::slice::from_raw_parts(self.mapping.as_ptr().cast::<AtomicU64>(), FILE_WORDS)
        }
    }

    fn begin(&self) {
        self.words()[1].store(FORMAT, Ordering::Relaxed);
        self.words()[0].store(MAGIC, Ordering::Release);
    }

    fn is_ours(&self) -> bool {
        self.words()[0].load(Ordering::Relaxed) == MAGIC && self.words()[1].load(Ordering::Relaxed) == FORMAT
    }

    /// Whether the counters outlive this process.
    pub(crate) fn is_persistent(&self) -> bool {
        self.is_persistent
    }

    fn record(&self, at: usize) -> &[AtomicU64] {
        let begin = HEADER_WORDS + at * RECORD_WORDS;
        &self.words()[begin..begin + RECORD_WORDS]
    }

    /// The records in use.
    pub(crate) fn used(&self) -> impl Iterator<Item = (Place, RawKey)> + '_ {
        (0..RECORDS_MAX).filter_map(|at| {
            let record = self.record(at);
            (record[0].load(Ordering::Acquire) != 0)
                .then(|| (Place(at), std::array::from_fn(|word| record[word].load(Ordering::Relaxed))))
        })
    }

    /// Takes a free record for `key`, its counters at zero; nothing when all are in use.
    pub(crate) fn take(&self, key: &RawKey) -> Option<Place> {
        let at = (0..RECORDS_MAX).find(|at| self.record(*at)[0].load(Ordering::Relaxed) == 0)?;
        let record = self.record(at);
        for counter in &record[1 + NAME_WORDS..] {
            counter.store(0, Ordering::Relaxed);
        }
        for (word, value) in record.iter().zip(key).skip(1) {
            word.store(*value, Ordering::Relaxed);
        }
        // The key comes last: a process that dies in between leaves a free record.
        record[0].store(key[0], Ordering::Release);
        Some(Place(at))
    }

    /// A counter's value.
    pub(crate) fn read(&self, place: Place, counter: usize) -> u64 {
        self.record(place.0)[1 + NAME_WORDS + counter].load(Ordering::Relaxed)
    }

    /// Sets a counter. Only the lane that owns the file does.
    pub(crate) fn write(&self, place: Place, counter: usize, value: u64) {
        self.record(place.0)[1 + NAME_WORDS + counter].store(value, Ordering::Relaxed);
    }

    /// Adds one to a counter: a plain load and store, because nobody else writes.
    pub(crate) fn count(&self, place: Place, counter: usize) {
        let word = &self.record(place.0)[1 + NAME_WORDS + counter];
        word.store(word.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// Gives `from`'s counts to `into` and frees `from`. `merge` makes one counter of two.
    ///
    /// Guarantees: killed at any moment, the next [`open`](Self::open) finds the counts once.
    pub(crate) fn fold(&self, from: Place, into: Place, merge: impl Fn(usize, u64, u64) -> u64) {
        let scratch = self.record(SCRATCH);
        for counter in 0..COUNTERS {
            let value = merge(counter, self.read(from, counter), self.read(into, counter));
            scratch[1 + NAME_WORDS + counter].store(value, Ordering::Relaxed);
        }
        let pair = 1 << 63 | (from.0 as u64) << 32 | into.0 as u64;
        self.words()[FOLD_WORD].store(pair, Ordering::Release);
        self.end_fold();
    }

    /// Carries out the fold that the header names, if any.
    fn end_fold(&self) {
        let pair = self.words()[FOLD_WORD].load(Ordering::Acquire);
        let place = |half: u64| usize::try_from(half & 0x7fff_ffff).ok().filter(|at| *at < RECORDS_MAX);
        if let (true, Some(from), Some(into)) = (pair >> 63 == 1, place(pair >> 32), place(pair)) {
            for counter in 0..COUNTERS {
                let value = self.record(SCRATCH)[1 + NAME_WORDS + counter].load(Ordering::Relaxed);
                self.write(Place(into), counter, value);
            }
            self.record(from)[0].store(0, Ordering::Release);
        }
        self.words()[FOLD_WORD].store(0, Ordering::Release);
    }
}
