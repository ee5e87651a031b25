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
}

impl Notifier {
    /// Until the controller shuts down.
    pub(crate) async fn run(mut self) {
        let Some(mut queue) = self.open().await else { return };
        let client = Client::new();
        loop {
            // Before the journal is read: what comes while it is read is read the next time.
            let last = self.shown.borrow_and_update().app.sequence;
            let read = last <= queue.sequence() || self.read_on(&mut queue).await;
            let told = if read { self.deliver(&mut queue, &client).await } else { false };
            self.show(&queue);
            if told {
                continue;
            }
            let pause = if read { queue.pause(clock::now()).unwrap_or(NOTIFY_IDLE) } else { RELOAD };
            tokio::select! {
                biased;
                () = stopped(&mut self.stop) => return,
                changed = self.shown.changed() => if changed.is_err() { return },
                () = sleep(pause) => {}
            }
        }
    }

    async fn open(&mut self) -> Option<Queue> {
        loop {
            match Queue::open(&self.parts.state, &self.name).await {
                Ok(queue) => return Some(queue),
                Err(error) => self.cannot_keep(&error.to_string()),
            }
            tokio::select! {
                () = stopped(&mut self.stop) => return None,
                () = sleep(RELOAD) => {}
            }
        }
    }

    /// Reads the journal to its end and puts down what is to be told; false when that can not be done now.
    async fn read_on(&self, queue: &mut Queue) -> bool {
        loop {
            let read = self.parts.journal.read(&self.name, queue.sequence(), NOTIFY_PAGE).await;
            let records = match read {
                Ok(records) => records,
                Err(error) => {
                    tracing::warn!(app = %self.name, %error, "the journal can not be read, so nobody is told of what happens");
                    return false;
                }
            };
            if records.is_empty() {
                return true;
            }
            for record in &records {
                queue.take(&self.name, record);
            }
            if let Err(error) = queue.save().await {
                self.cannot_keep(&error.to_string());
                return false;
            }
        }
    }

    /// Tries everything that is due once; whether something was taken or given up.
    async fn deliver(&mut self, queue: &mut Queue, client: &Client) -> bool {
        let due = queue.due(clock::now());
        if due.is_empty() {
            return false;
        }
        let tried = deliver::all(&due, &self.parts.builder, client, &self.name);
        let outcomes = tokio::select! {
            biased;
            // What was under way is delivered again.
            () = stopped(&mut self.stop) => return false,
            outcomes = tried => outcomes,
        };
        let now = clock::now();
        let mut told = false;
        for (delivery, outcome) in due.iter().zip(outcomes) {
            told |= queue.end(&delivery.key, outcome, now);
        }
        if let Err(error) = queue.save().await {
            // It goes out again, under the same id.
            self.cannot_keep(&error.to_string());
        }
        told
    }

    fn show(&self, queue: &Queue) {
        *self.troubles.lock().unwrap_or_else(PoisonError::into_inner) = queue.troubles();
    }

    fn cannot_keep(&self, why: &str) {
        tracing::warn!(app = %self.name, why, "what is to be told can not be kept");
        let cause = format!("What is to be told of {} can not be kept: {why}.", self.name);
        let next = "Check the disk and the permissions of the state directory; it is tried again.";
        let problem = Problem::new("NOTIFY-NOT-KEPT", cause, next);
        *self.troubles.lock().unwrap_or_else(PoisonError::into_inner) = vec![problem];
    }
}

/// The pause after so many failures: doubled each time, to a bound.
pub(crate) fn pause_after(failures: u32, first: Duration, longest: Duration) -> Duration {
    let factor = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    first.saturating_mul(factor).min(longest)
}
