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
    /// Time that passed in a test alone.
    skipped: Cell<Duration>,
}

#[derive(Debug, Default)]
struct Seats {
    taken: Vec<Option<Rc<SeatState>>>,
    free: Vec<usize>,
}

#[derive(Debug)]
struct SeatState {
    deadline_ms: Cell<u64>,
    waker: RefCell<Option<Waker>>,
}

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
            skipped: Cell::default(),
        }
    }

    /// Milliseconds since the lane began, as of the last tick.
    pub(super) fn now_ms(&self) -> u64 {
        self.now_ms.get()
    }

    /// A seat for a connection; `None` when all are taken.
    pub(super) fn sit(self: &Rc<Self>) -> Option<Seat> {
        let state = Rc::new(SeatState { deadline_ms: Cell::new(u64::MAX), waker: RefCell::new(None) });
        let mut seats = self.seats.borrow_mut();
        if seats.taken.len() - seats.free.len() >= self.seats_max {
            return None;
        }
        let at = seats.free.pop().unwrap_or_else(|| {
            seats.taken.push(None);
            seats.taken.len() - 1
        });
        seats.taken[at] = Some(Rc::clone(&state));
        Some(Seat { roster: Rc::clone(self), state, at })
    }

    pub(super) fn taken(&self) -> usize {
        let seats = self.seats.borrow();
        seats.taken.len() - seats.free.len()
    }

    /// Moves the clock and wakes whoever is over the deadline.
    pub(super) fn tick(&self) {
        let passed = self.began.elapsed() + self.skipped.get();
        let now = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
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
        self.roster.now_ms() >= self.state.deadline_ms.get()
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
        let mut seats = self.roster.seats.borrow_mut();
        seats.taken[self.at] = None;
        seats.free.push(self.at);
    }
}
