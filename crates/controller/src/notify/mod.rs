//! Telling people: what the journal says has happened goes to servers and commands of the user's, at least once each.
//!
//! One task an app reads the journal on from where it was, puts what is to be told into a queue on disk together with its
//! place in the journal, and empties the queue. A kill at any moment loses nothing: what was not put down is read again,
//! what was put down is delivered, under the same id, until it is taken or given up.

mod deliver;
mod message;
mod queue;
mod sign;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use switchover_fetch::Client;
use switchover_model::{AppName, Problem};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::bounds::{NOTIFY_IDLE, NOTIFY_PAGE, RELOAD};
use crate::clock;
use crate::keeper::stopped;
use crate::shown::Shown;
use crate::world::Parts;

use queue::Queue;

/// What stands in the way of telling people, for the status.
pub(crate) type Troubles = Arc<Mutex<Vec<Problem>>>;

/// The task that tells what happens to one app.
pub(crate) struct Notifier {
    pub(crate) name: AppName,
    pub(crate) parts: Arc<Parts>,
    /// The app, with the last record of its journal.
    pub(crate) shown: watch::Receiver<Shown>,
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) troubles: Troubles,
    /// Why what is to be told can not be written down, as long as it can not.
    pub(crate) unkept: Option<Problem>,
}

impl Notifier {
    /// Until the controller shuts down. What is under way then is delivered again.
    pub(crate) async fn run(mut self) {
        let Some(mut queue) = self.open().await else { return };
        let client = Client::new();
        // One for each who is told, at most: nobody waits for an answer that another one owes.
        let mut tries = FuturesUnordered::new();
        loop {
            // Before the journal is read: what comes while it is read is read the next time.
            let read = !self.is_behind(&queue) || self.read_on(&mut queue).await;
            let kept = self.keep(&mut queue).await;
            for due in queue.due(clock::now()) {
                queue.begin(&due.key);
                tries.push(due.try_once(Arc::clone(&self.parts.builder), client.clone(), self.name.clone()));
            }
            self.show(&queue);
            let pause = queue.pause(clock::now()).unwrap_or(NOTIFY_IDLE);
            let pause = if read && kept { pause } else { pause.min(RELOAD) };
            tokio::select! {
                biased;
                () = stopped(&mut self.stop) => return,
                Some((key, outcome)) = tries.next() => {
                    queue.end(&key, outcome, clock::now());
                }
                changed = self.shown.changed() => if changed.is_err() { return },
                () = sleep(pause) => {}
            }
        }
    }

    /// Whether the journal may say something that was not read. Looks say nothing: they are read with what does, or by the page.
    fn is_behind(&mut self, queue: &Queue) -> bool {
        let shown = self.shown.borrow_and_update();
        let looks = shown.app.sequence.saturating_sub(queue.sequence());
        shown.told_by > queue.sequence() || looks >= NOTIFY_PAGE as u64
    }

    async fn open(&mut self) -> Option<Queue> {
        loop {
            match Queue::open(&self.parts.state, &self.name).await {
                Ok(queue) => return Some(queue),
                Err(error) => self.cannot_keep(&error.to_string()),
            }
            *self.troubles.lock().unwrap_or_else(PoisonError::into_inner) = self.unkept.iter().cloned().collect();
            tokio::select! {
                () = stopped(&mut self.stop) => return None,
                () = sleep(RELOAD) => {}
            }
        }
    }

    /// Reads the journal to its end and puts down what is to be told; false when it can not be read now.
    async fn read_on(&mut self, queue: &mut Queue) -> bool {
        loop {
            let read = self.parts.journal.read(&self.name, queue.sequence(), NOTIFY_PAGE).await;
            let records = match read {
                Ok(records) => records,
                Err(error) => {
                    tracing::warn!(app = %self.name, %error, "the journal can not be read, so nobody is told of what happens");
                    return false;
                }
            };
            for record in &records {
                queue.take(&self.name, record);
            }
            self.keep(queue).await;
            // Whatever was appended since is shown, and calls again.
            if records.len() < NOTIFY_PAGE {
                return true;
            }
        }
    }

    /// Writes the queue down. People are told even where that fails: after a crash what they were told is read again from the
    /// journal and goes out once more, under the same id.
    async fn keep(&mut self, queue: &mut Queue) -> bool {
        match queue.save().await {
            Ok(()) => self.unkept = None,
            Err(error) => self.cannot_keep(&error.to_string()),
        }
        self.unkept.is_none()
    }

    fn show(&self, queue: &Queue) {
        let troubles = self.unkept.iter().cloned().chain(queue.troubles()).collect();
        *self.troubles.lock().unwrap_or_else(PoisonError::into_inner) = troubles;
    }

    fn cannot_keep(&mut self, why: &str) {
        tracing::warn!(app = %self.name, why, "what is to be told can not be kept");
        let cause = format!("What is to be told of {} can not be kept: {why}.", self.name);
        let next = "Check the disk and the permissions of the state directory; it is tried again.";
        self.unkept = Some(Problem::new("NOTIFY-NOT-KEPT", cause, next));
    }
}

/// The pause after so many failures: doubled each time, to a bound.
pub(crate) fn pause_after(failures: u32, first: Duration, longest: Duration) -> Duration {
    let factor = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    first.saturating_mul(factor).min(longest)
}
