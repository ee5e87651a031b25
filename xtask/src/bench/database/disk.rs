//! How long the disk itself takes to write a page, beside what is measured on it.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::bench::{BenchError, Tried};

/// Between two pages that are written.
const EVERY: Duration = Duration::from_millis(20);
/// A page of the database's log.
const PAGE: [u8; 8192] = [0; 8192];

/// Someone who writes and syncs one page of a file again and again.
pub(super) struct Disk {
    is_over: Arc<AtomicBool>,
    longest: Option<JoinHandle<std::io::Result<Duration>>>,
}

impl Disk {
    /// Begins, with a file in `directory` that has no name.
    pub(super) fn watch(directory: &Path) -> Result<Self, BenchError> {
        let file = tempfile::tempfile_in(directory).tried(directory.display().to_string())?;
        let is_over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_over);
        let longest = std::thread::spawn(move || {
            let mut longest = Duration::ZERO;
            while !told.load(Ordering::Relaxed) {
                let begun = Instant::now();
                write(&file)?;
                longest = longest.max(begun.elapsed());
                std::thread::sleep(EVERY);
            }
            Ok(longest)
        });
        Ok(Self { is_over, longest: Some(longest) })
    }

    /// The longest time that a page took.
    pub(super) fn ended(mut self) -> Result<Duration, BenchError> {
        self.is_over.store(true, Ordering::Relaxed);
        let longest = self.longest.take().and_then(|longest| longest.join().ok());
        longest.unwrap_or_else(|| Err(std::io::Error::other("it ended by itself"))).tried("a page of the disk")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

fn write(mut file: &File) -> std::io::Result<()> {
    file.rewind()?;
    file.write_all(&PAGE)?;
    file.sync_data()
}
