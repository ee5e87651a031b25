//! The switch: a table is laid ready in every lane, then one number that all of them read is flipped.
//!
//! A lane reads the number once a request. Two lanes read the same memory, and that memory's changes have one order; so a
//! client that got an answer by the new number can not find the old one anywhere after.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The one thing that lanes share: which generation is in force.
#[derive(Debug, Clone, Default)]
pub(crate) struct Generation(Arc<AtomicU64>);

impl Generation {
    /// The number in force.
    pub(crate) fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Puts `number` in force, in every lane at once.
    ///
    /// Assumes: every lane said that it has it ready.
    pub(crate) fn flip(&self, number: u64) {
        self.0.store(number, Ordering::SeqCst);
    }
}

/// Something that has its generation's number.
pub(crate) trait Numbered {
    /// The number.
    fn number(&self) -> u64;
}

/// A lane's present table and the one that lies ready.
#[derive(Debug)]
pub(crate) struct Held<T> {
    generation: Generation,
    tables: RefCell<Tables<T>>,
}

#[derive(Debug)]
struct Tables<T> {
    current: Rc<T>,
    ready: Option<Rc<T>>,
}

impl<T: Numbered> Held<T> {
    /// Holds `first`, whose number is in force.
    pub(crate) fn new(generation: Generation, first: Rc<T>) -> Self {
        Self { generation, tables: RefCell::new(Tables { current: first, ready: None }) }
    }

    /// Lays `next` ready. A table that lay ready and is not in force (a switch that was given up) is dropped.
    pub(crate) fn make_ready(&self, next: Rc<T>) {
        let _ = self.current();
        self.tables.borrow_mut().ready = Some(next);
    }

    /// The table in force now: reads the number once.
    pub(crate) fn current(&self) -> Rc<T> {
        let number = self.generation.now();
        let mut tables = self.tables.borrow_mut();
        if tables.current.number() != number
            && tables.ready.as_ref().is_some_and(|ready| ready.number() == number)
            && let Some(ready) = tables.ready.take()
        {
            tables.current = ready;
        }
        Rc::clone(&tables.current)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::sync::{Barrier, mpsc};

    use super::*;

    struct Table(u64);
    impl Numbered for Table {
        fn number(&self) -> u64 {
            self.0
        }
    }

    enum Command {
        Ready(u64, mpsc::Sender<()>),
        Ask(mpsc::Sender<u64>),
    }

    /// Lanes as threads, clients that ask one lane after the other, a switch that never rests.
    #[test]
    fn no_client_ever_sees_new_then_old() {
        const LANES: usize = 4;
        const CLIENTS: usize = 4;
        const FLIPS: u64 = 2_000;
        let generation = Generation::default();
        let over = AtomicBool::new(false);
        let start = Barrier::new(CLIENTS + 1);
        std::thread::scope(|scope| {
            let mut lanes = Vec::new();
            for _ in 0..LANES {
                let (sender, commands) = mpsc::channel();
                let generation = generation.clone();
                scope.spawn(move || {
                    let held = Held::new(generation, Rc::new(Table(0)));
                    for command in commands {
                        match command {
                            Command::Ready(number, done) => {
                                held.make_ready(Rc::new(Table(number)));
                                done.send(()).unwrap();
                            }
                            Command::Ask(answer) => answer.send(held.current().0).unwrap(),
                        }
                    }
                });
                lanes.push(sender);
            }
            let mut clients = Vec::new();
            for client in 0..CLIENTS {
                let (lanes, over, start) = (lanes.clone(), &over, &start);
                clients.push(scope.spawn(move || {
                    let (mut last, mut changes, mut turn) = (0, 0_u64, client);
                    start.wait();
                    while !over.load(Ordering::Relaxed) {
                        let (answer, answered) = mpsc::channel();
                        turn += 1 + client % 3;
                        lanes[turn % LANES].send(Command::Ask(answer)).unwrap();
                        let seen = answered.recv().unwrap();
                        assert!(seen >= last, "client {client} saw {last}, then {seen}");
                        changes += u64::from(seen != last);
                        last = seen;
                    }
                    changes
                }));
            }
            start.wait();
            for number in 1..=FLIPS {
                let (done, acknowledged) = mpsc::channel();
                for lane in &lanes {
                    lane.send(Command::Ready(number, done.clone())).unwrap();
                }
                for _ in 0..LANES {
                    acknowledged.recv().unwrap();
                }
                generation.flip(number);
            }
            over.store(true, Ordering::Relaxed);
            drop(lanes);
            let seen: u64 = clients.into_iter().map(|client| client.join().unwrap()).sum();
            assert!(seen > FLIPS / 4, "the clients saw {seen} changes only: nothing was tested");
        });
    }

    #[test]
    fn a_switch_that_was_given_up_never_comes_into_force() {
        let generation = Generation::default();
        let held = Held::new(generation.clone(), Rc::new(Table(0)));
        held.make_ready(Rc::new(Table(1)));
        held.make_ready(Rc::new(Table(2)));
        assert_eq!(held.current().0, 0);
        generation.flip(2);
        assert_eq!(held.current().0, 2);
    }
}
