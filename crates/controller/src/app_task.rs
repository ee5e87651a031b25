//! The task of one app: waits for whatever comes first, and gives it to the app's turns.

use std::sync::Arc;

use switchover_model::answer::CommandAnswer;
use switchover_model::record::{Actor, IdempotencyKey};
use switchover_model::release::Command;
use switchover_model::{AppName, Problem};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};
use tokio::time::sleep;

use crate::bounds::{RELOAD, TURNS_IN_A_ROW};
use crate::keeper::stopped;
use crate::shown::Publisher;
use crate::turn::{Turned, Turner};
use crate::world::Parts;

/// A command on its way to its app.
pub(crate) struct Ask {
    pub(crate) command: Command,
    pub(crate) key: IdempotencyKey,
    pub(crate) actor: Actor,
    pub(crate) answer: oneshot::Sender<Result<CommandAnswer, Problem>>,
    /// The turn to bring hosts, held until the command is admitted or refused.
    pub(crate) hosts_turn: Option<OwnedSemaphorePermit>,
}

/// What an app's task is given.
pub(crate) struct AppTask {
    pub(crate) name: AppName,
    pub(crate) parts: Arc<Parts>,
    pub(crate) asks: mpsc::Receiver<Ask>,
    pub(crate) shown: Publisher,
    pub(crate) stop: watch::Receiver<bool>,
}

/// What came first.
enum Call {
    Stop,
    Ask(Box<Ask>),
    Ended,
    Look,
}

impl AppTask {
    /// Until the controller shuts down.
    pub(crate) async fn run(mut self) {
        let Some(mut turner) = self.load().await else { return };
        let mut changed = self.parts.changed.clone();
        self.settle(&mut turner).await;
        loop {
            let pause = turner.pause();
            let call = tokio::select! {
                biased;
                () = stopped(&mut self.stop) => Call::Stop,
                ask = self.asks.recv() => ask.map_or(Call::Stop, |ask| Call::Ask(Box::new(ask))),
                drafts = turner.attempts.ended() => {
                    turner.note_end(drafts);
                    Call::Ended
                }
                () = next_change(&mut changed) => Call::Look,
                () = sleep(pause) => Call::Look,
            };
            match call {
                Call::Stop => break,
                Call::Ask(ask) => {
                    let Ask { command, key, actor, answer, hosts_turn } = *ask;
                    // Whoever asked may be gone; the command holds all the same.
                    let reply = move |answered| {
                        drop(answer.send(answered));
                        // What was admitted is shown by now: the next one sees these hosts.
                        drop(hosts_turn);
                    };
                    if turner.command(command, key, actor, reply).await == Turned::Moving {
                        self.settle(&mut turner).await;
                    }
                }
                Call::Ended | Call::Look => self.settle(&mut turner).await,
            }
        }
        turner.shut_down().await;
    }

    /// Turns until nothing moves, or somebody calls.
    async fn settle(&mut self, turner: &mut Turner) {
        for _ in 0..TURNS_IN_A_ROW {
            if turner.look_and_turn().await == Turned::AtRest || !self.asks.is_empty() || *self.stop.borrow() {
                return;
            }
        }
        tracing::warn!(app = %self.name, "the app does not come to rest; going on at the usual beat");
    }

    /// Reads the journal, again and again when it can not be read; commands are refused with the reason meanwhile.
    async fn load(&mut self) -> Option<Turner> {
        loop {
            match Turner::load(&self.name, Arc::clone(&self.parts), self.shown.clone()).await {
                Ok(turner) => return Some(turner),
                Err(problem) => {
                    tracing::error!(app = %self.name, %problem, "the app can not be looked after");
                    self.shown.show_problem(problem.clone());
                    self.refuse_for_a_while(&problem).await?;
                }
            }
        }
    }

    /// Nothing when the controller shuts down.
    async fn refuse_for_a_while(&mut self, problem: &Problem) -> Option<()> {
        let over = sleep(RELOAD);
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = stopped(&mut self.stop) => return None,
                () = &mut over => return Some(()),
                ask = self.asks.recv() => drop(ask?.answer.send(Err(problem.clone()))),
            }
        }
    }
}

/// The next change of the platform; never, when it does not tell.
async fn next_change(changed: &mut Option<watch::Receiver<u64>>) {
    if let Some(receiver) = changed
        && receiver.changed().await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}
