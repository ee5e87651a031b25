//! One lane's thread: accepts connections, carries out what the control thread asks, ends gracefully.

use std::net::TcpListener as StdListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use switchover_model::AppName;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};

use crate::connection::{self, TICK};
use crate::lane::Lane;
use crate::lane_table::LaneTable;
use crate::listener::Listener;
use crate::mirror;
use crate::table::Table;
use crate::wire::LaneSeen;

/// Client connections that one lane serves at once at most; one more is answered with 503.
pub(crate) const CONNECTIONS_MAX: usize = 20_000;
/// Commands that wait for one lane.
pub(crate) const COMMANDS_MAX: usize = 64;
/// Connections accepted in a row before the lane does something else.
const ACCEPTS_IN_A_ROW_MAX: usize = 64;
/// How long a lane waits after an accept that failed for want of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often that is told at most.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// What the control thread asks of a lane.
#[derive(Debug)]
pub(crate) enum LaneCommand {
    /// Lay this table ready.
    Ready(Arc<Table>, oneshot::Sender<()>),
    /// The flip has happened: begin the drains.
    Settle(oneshot::Sender<()>),
    /// Tell what you see: of one app, or of all.
    Look(Option<AppName>, oneshot::Sender<LaneSeen>),
    /// Accept nothing more, finish what is on, at the latest in this time, then say so.
    Stop(Duration, oneshot::Sender<()>),
}

/// Runs a lane until nobody can ask it any more.
///
/// Guarantees: connections that the kernel has accepted for us before the stop are served.
pub(crate) async fn run(
    lane: Rc<Lane>,
    listener: StdListener,
    mut commands: mpsc::Receiver<LaneCommand>,
) -> std::io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let about = Rc::new(Listener::http());
    let mut connections = JoinSet::new();
    let copies = mirror::start(&lane);
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut before = lane.table();
    let mut paused_until = None;
    let mut trouble = Trouble::default();
    let (stop_within, stopped) = loop {
        tokio::select! {
            biased;
            command = commands.recv() => match command {
                Some(LaneCommand::Stop(time, stopped)) => break (time, Some(stopped)),
                Some(command) => obey(&lane, command, &mut before),
                // The control thread is gone: nobody could switch any more.
                None => break (Duration::ZERO, None),
            },
            _ = tick.tick() => lane.tick(),
            accepted = listener.accept(), if paused_until.is_none() => match accepted {
                Ok((stream, peer)) => begin(&lane, &about, &mut connections, stream, peer),
                Err(error) => {
                    paused_until = pause_after(&error, &mut trouble);
                    if paused_until.is_some() {
                        lane.io().make_room();
                    }
                }
            },
            () = tokio::time::sleep_until(paused_until.unwrap_or_else(Instant::now)), if paused_until.is_some() => {
                paused_until = None;
            }
            Some(ended) = connections.join_next(), if !connections.is_empty() => {
                tell_of_panic(&ended);
                for _ in 0..ACCEPTS_IN_A_ROW_MAX {
                    match connections.try_join_next() {
                        Some(ended) => tell_of_panic(&ended),
                        None => break,
                    }
                }
            }
        }
    };
    // Closing the listener resets what waits in its queue, so the queue is emptied first.
    while let Some(Ok((stream, peer))) = accept_now(&listener) {
        begin(&lane, &about, &mut connections, stream, peer);
    }
    drop(listener);
    lane.begin_closing();
    let deadline = Instant::now() + stop_within;
    while !connections.is_empty() {
        tokio::select! {
            biased;
            command = commands.recv() => match command {
                Some(command) => obey(&lane, command, &mut before),
                None => break,
            },
            _ = tick.tick() => lane.tick(),
            Some(ended) = connections.join_next() => tell_of_panic(&ended),
            () = tokio::time::sleep_until(deadline) => break,
        }
    }
    lane.give_up();
    drop((connections, copies));
    if let Some(stopped) = stopped {
        // Whoever waits for this may be gone.
        let _ = stopped.send(());
    }
    // Its counters can be asked for until every lane has stopped.
    while let Some(command) = commands.recv().await {
        obey(&lane, command, &mut before);
    }
    Ok(())
}

fn begin(
    lane: &Rc<Lane>,
    about: &Rc<Listener>,
    connections: &mut JoinSet<()>,
    stream: TcpStream,
    peer: std::net::SocketAddr,
) {
    // Fails only for a connection that is gone already; the byte path sees that too.
    let _ = stream.set_nodelay(true);
    if let Some(serving) = connection::serve(stream, peer, Rc::clone(lane), Rc::clone(about)) {
        connections.spawn_local(serving);
    }
}

/// A failure of this program in one connection ends that one alone; its request is counted as lost (`router-panicked`).
fn tell_of_panic(ended: &Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection ended by a failure of the router; this is a bug");
    }
}

/// A connection that is there already.
fn accept_now(listener: &TcpListener) -> Option<std::io::Result<(TcpStream, std::net::SocketAddr)>> {
    use std::os::fd::AsFd;

    let flags = rustix::net::SocketFlags::NONBLOCK | rustix::net::SocketFlags::CLOEXEC;
    let socket = rustix::net::accept_with(listener.as_fd(), flags).ok()?;
    let stream = std::net::TcpStream::from(socket);
    let peer = stream.peer_addr().ok()?;
    Some(TcpStream::from_std(stream).map(|stream| (stream, peer)))
}

/// Errors of one connection do not matter to the next (`accept(2)`); a want of means is waited out.
fn pause_after(error: &std::io::Error, trouble: &mut Trouble) -> Option<Instant> {
    let of_one_connection = matches!(
        error.kind(),
        std::io::ErrorKind::ConnectionAborted | std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::Interrupted
    );
    if of_one_connection {
        return None;
    }
    let now = Instant::now();
    if let Some(times) = trouble.tell(now) {
        tracing::warn!(%error, times, "connections can not be accepted now");
    }
    Some(now + ACCEPT_PAUSE)
}

/// Accepts that failed: counted, and told once in [`TOLD_EVERY`], so that the log stays readable while it lasts.
#[derive(Debug, Default)]
struct Trouble {
    told: Option<Instant>,
    untold: u64,
}

impl Trouble {
    /// Counts one more; how many are to be told of now, if any.
    fn tell(&mut self, now: Instant) -> Option<u64> {
        self.untold += 1;
        if self.told.is_some_and(|told| now < told + TOLD_EVERY) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

fn obey(lane: &Lane, command: LaneCommand, before: &mut Rc<LaneTable>) {
    // Who asked may have given up: then nobody needs the answer.
    match command {
        LaneCommand::Ready(table, done) => {
            lane.make_ready(table);
            let _ = done.send(());
        }
        LaneCommand::Settle(done) => {
            lane.settle(before);
            *before = lane.table();
            let _ = done.send(());
        }
        LaneCommand::Look(app, answer) => {
            let _ = answer.send(lane.look(app.as_ref()));
        }
        LaneCommand::Stop(_, stopped) => {
            let _ = stopped.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_that_go_on_failing_are_told_once_a_second_with_their_number() {
        let began = Instant::now();
        let mut trouble = Trouble::default();
        let told: Vec<_> = (0..=40).filter_map(|number| trouble.tell(began + ACCEPT_PAUSE * number)).collect();
        assert_eq!(told, [1, 20, 20]);
    }
}
