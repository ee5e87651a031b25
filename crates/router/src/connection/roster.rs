//! Who is connected, until when each may wait, and how to wake them: deadlines without a timer per request.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// The lane's coarse clock and the seats of its connections.
///
/// Setting a deadline is one store. The tick looks at every seat and wakes those that are over theirs, so a deadline is
/// kept to the grain of the tick.
#[derive(Debug)]
pub(super) struct Roster {
    began: Instant,
    now_ms: Cell<u64>,
    seats: RefCell<Seats>,
    seats_max: usize,
    waits: Cell<u64>,
    /// Time that passed in a test alone.
    skipped: Cell<Duration>,
}

#[derive(Debug, Default)]
struct Seats {
    taken: Vec<Option<Rc<SeatState>>>,
    free: Vec<usize>,
    /// Those that were told to give way and have not done so yet.
    leaving: usize,
}

#[derive(Debug)]
struct SeatState {
    deadline_ms: Cell<u64>,
    waker: RefCell<Option<Waker>>,
    /// It waits for a request: since when, and which of all such waits that is.
    waits_since: Cell<Option<(u64, u64)>>,
    /// It must end, unless its request has come meanwhile.
    gives_way: Cell<bool>,
}

/// How long a connection may wait for its request before it gives way (milliseconds): one that was just accepted has it on
/// its way.
pub(super) const GIVE_WAY_AFTER_MS: u64 = 300;
/// When seats are short, one in so many is freed at once.
const GIVE_WAY_ONE_IN: usize = 64;

/// The deadline passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimedOut;

impl Roster {
    pub(super) fn new(seats_max: usize) -> Self {
        Self {
            began: Instant::now(),
            now_ms: Cell::new(0),
            seats: RefCell::default(),
            seats_max,
            waits: Cell::new(0),
            skipped: Cell::default(),
        }
    }

    /// Milliseconds since the lane began, as of the last tick.
    pub(super) fn now_ms(&self) -> u64 {
        self.now_ms.get()
    }

    /// The time since the lane began, exactly.
    pub(super) fn exact_now(&self) -> Duration {
        self.began.elapsed() + self.skipped.get()
    }

    /// A seat for a connection; `None` when all are taken by requests. When they are taken by connections that wait for
    /// one, those that have waited longest give way.
    pub(super) fn sit(self: &Rc<Self>) -> Option<Seat> {
        let state = Rc::new(SeatState {
            deadline_ms: Cell::new(u64::MAX),
            waker: RefCell::new(None),
            waits_since: Cell::new(None),
            gives_way: Cell::new(false),
        });
        if self.staying() >= self.seats_max {
            self.make_room();
        }
        if self.staying() >= self.seats_max {
            return None;
        }
        let mut seats = self.seats.borrow_mut();
        let at = seats.free.pop().unwrap_or_else(|| {
            seats.taken.push(None);
            seats.taken.len() - 1
        });
        seats.taken[at] = Some(Rc::clone(&state));
        Some(Seat { roster: Rc::clone(self), state, at })
    }

    fn staying(&self) -> usize {
        self.taken() - self.seats.borrow().leaving
    }

    /// Tells those that have waited longest for a request to give way: one in so many seats, so that it is not looked
    /// for them at each connection that comes.
    pub(super) fn make_room(&self) {
        let mut seats = self.seats.borrow_mut();
        let Seats { taken, leaving, .. } = &mut *seats;
        let since = self.now_ms().saturating_sub(GIVE_WAY_AFTER_MS);
        let waits = |state: &&Rc<SeatState>| {
            state.waits_since.get().is_some_and(|(began, _)| began <= since) && !state.gives_way.get()
        };
        let mut waiting: Vec<_> = taken.iter().flatten().filter(waits).collect();
        let count = waiting.len().min(1 + self.seats_max / GIVE_WAY_ONE_IN);
        if count == 0 {
            return;
        }
        waiting.select_nth_unstable_by_key(count - 1, |state| state.waits_since.get());
        for state in &waiting[..count] {
            state.gives_way.set(true);
            *leaving += 1;
            if let Some(waker) = &*state.waker.borrow() {
                waker.wake_by_ref();
            }
        }
    }

    pub(super) fn taken(&self) -> usize {
        let seats = self.seats.borrow();
        seats.taken.len() - seats.free.len()
    }

    /// Moves the clock and wakes whoever is over the deadline.
    pub(super) fn tick(&self) {
        let now = u64::try_from(self.exact_now().as_millis()).unwrap_or(u64::MAX);
        self.now_ms.set(now);
        self.wake_where(|state| state.deadline_ms.get() <= now);
    }

    #[cfg(test)]
    pub(super) fn skip(&self, time: Duration) {
        self.skipped.set(self.skipped.get() + time);
        self.tick();
    }

    pub(super) fn wake_all(&self) {
        self.wake_where(|_| true);
    }

    fn wake_where(&self, chosen: impl Fn(&SeatState) -> bool) {
        for state in self.seats.borrow().taken.iter().flatten() {
            if chosen(state)
                && let Some(waker) = &*state.waker.borrow()
            {
                waker.wake_by_ref();
            }
        }
    }
}

/// A connection's place in the roster, left when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    roster: Rc<Roster>,
    state: Rc<SeatState>,
    at: usize,
}

impl Seat {
    /// From now on the deadline is `time` away.
    pub(super) fn allow(&self, time: Duration) {
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.state.deadline_ms.set(self.roster.now_ms().saturating_add(ms));
    }

    pub(super) fn is_over(&self) -> bool {
        self.state.gives_way.get() || self.roster.now_ms() >= self.state.deadline_ms.get()
    }

    /// From now on it waits for a request, and gives way when seats are short.
    pub(super) fn begin_waiting(&self) {
        let waits = &self.roster.waits;
        waits.set(waits.get() + 1);
        self.state.waits_since.set(Some((self.roster.now_ms(), waits.get())));
    }

    /// The request is there.
    pub(super) fn end_waiting(&self) {
        self.state.waits_since.set(None);
        self.stay();
    }

    /// It was told to end for another connection.
    pub(super) fn gives_way(&self) -> bool {
        self.state.gives_way.get()
    }

    fn stay(&self) {
        if self.state.gives_way.replace(false) {
            self.roster.seats.borrow_mut().leaving -= 1;
        }
    }

    /// To be called before `Pending` is returned, so that the tick finds the task.
    pub(super) fn remember(&self, cx: &Context<'_>) {
        let mut waker = self.state.waker.borrow_mut();
        match &mut *waker {
            Some(known) if known.will_wake(cx.waker()) => {}
            other => *other = Some(cx.waker().clone()),
        }
    }

    /// Waits for `poll`, not longer than the deadline.
    pub(super) async fn wait<T>(&self, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Result<T, TimedOut> {
        poll_fn(|cx| match poll(cx) {
            Poll::Ready(value) => Poll::Ready(Ok(value)),
            Poll::Pending if self.is_over() => Poll::Ready(Err(TimedOut)),
            Poll::Pending => {
                self.remember(cx);
                Poll::Pending
            }
        })
        .await
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.stay();
        let mut seats = self.roster.seats.borrow_mut();
        seats.taken[self.at] = None;
        seats.free.push(self.at);
    }
}
