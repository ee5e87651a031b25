//! The thread that owns the file: callers are asynchronous, SQLite blocks.

use std::path::Path;
use std::thread::JoinHandle;

use async_trait::async_trait;
use switchover_model::AppName;
use switchover_model::record::{Draft, Record};
use tokio::sync::{mpsc, oneshot};

use crate::chain::Verified;
use crate::journal::{AppendError, Journal, ReadError, Snapshot};
use crate::reserve::RESERVE_BYTES;
use crate::store::Store;
use crate::tables::OpenError;

/// How many requests wait for the thread before callers wait too.
const QUEUE: usize = 64;

type Work = Box<dyn FnOnce(&mut Store) + Send>;

/// The journal in `STATE/journal.sqlite`, held by this process as long as the value lives.
#[derive(Debug)]
pub struct SqliteJournal {
    queue: Option<mpsc::Sender<Work>>,
    thread: Option<JoinHandle<()>>,
}

impl SqliteJournal {
    /// Takes the state directory (made with mode 0700 where it is missing) and opens its journal. Blocks shortly.
    pub fn open(directory: &Path) -> Result<Self, OpenError> {
        Self::open_with_reserve(directory, RESERVE_BYTES)
    }

    /// The same with another size of the disk reserve, in bytes.
    pub fn open_with_reserve(directory: &Path, reserve_bytes: u64) -> Result<Self, OpenError> {
        let mut store = Store::open(directory, reserve_bytes)?;
        let (queue, mut work) = mpsc::channel::<Work>(QUEUE);
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || {
                while let Some(work) = work.blocking_recv() {
                    work(&mut store);
                }
            })
            .map_err(|error| OpenError::Failed { path: directory.to_owned(), why: error.to_string() })?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Has the thread do `work`; nothing when it is gone. What was queued is done even when the caller stops waiting.
    async fn ask<T: Send + 'static>(&self, work: impl FnOnce(&mut Store) -> T + Send + 'static) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let work: Work = Box::new(move |store| {
            // A caller that no longer waits does not need the answer.
            let _ = answer.send(work(store));
        });
        self.queue.as_ref()?.send(work).await.ok()?;
        answered.await.ok()
    }
}

impl Drop for SqliteJournal {
    /// Waits for what is queued, so that the lock is free when this returns.
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the journal's thread panicked");
        }
    }
}

#[async_trait]
impl Journal for SqliteJournal {
    async fn append(
        &self,
        app: &AppName,
        expected_sequence: u64,
        drafts: &[Draft],
    ) -> Result<Vec<Record>, AppendError> {
        let (app, drafts) = (app.clone(), drafts.to_vec());
        self.ask(move |store| store.append(&app, expected_sequence, &drafts)).await.unwrap_or(Err(AppendError::Closed))
    }

    async fn read(&self, app: &AppName, after_sequence: u64, limit: usize) -> Result<Vec<Record>, ReadError> {
        let (app, limit) = (app.clone(), limit as u64);
        self.ask(move |store| store.read(&app, after_sequence, limit)).await.unwrap_or(Err(ReadError::Closed))
    }

    async fn give_space(&self) -> bool {
        self.ask(|store| store.give_space()).await.unwrap_or(false)
    }

    async fn apps(&self) -> Result<Vec<AppName>, ReadError> {
        self.ask(|store| store.apps()).await.unwrap_or(Err(ReadError::Closed))
    }

    async fn store_snapshot(&self, app: &AppName, snapshot: Snapshot) -> Result<(), AppendError> {
        let app = app.clone();
        self.ask(move |store| store.store_snapshot(&app, &snapshot)).await.unwrap_or(Err(AppendError::Closed))
    }

    async fn snapshot(&self, app: &AppName, program: &str) -> Result<Option<Snapshot>, ReadError> {
        let (app, program) = (app.clone(), program.to_owned());
        self.ask(move |store| store.snapshot(&app, &program)).await.unwrap_or(Err(ReadError::Closed))
    }

    async fn verify(&self, app: &AppName) -> Result<Verified, ReadError> {
        let app = app.clone();
        self.ask(move |store| store.verify(&app)).await.unwrap_or(Err(ReadError::Closed))
    }
}
