//! Users at work beside a test, on a thread of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use switchover_testkit::load::{self, Plan, Report};

/// How often the count is brought up to date.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Users at work; they leave when they are asked to.
pub struct Crowd {
    answered: Arc<AtomicU64>,
    leave: Arc<AtomicBool>,
    thread: JoinHandle<Report>,
}

impl Crowd {
    /// Sets the users of `plan` to work.
    pub fn gather(plan: Plan) -> Self {
        let (answered, leave) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, asked) = (Arc::clone(&answered), Arc::clone(&leave));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let running = load::start(plan);
                while !asked.load(Ordering::Relaxed) {
                    count.store(running.snapshot().answered, Ordering::Relaxed);
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                running.stop().await
            })
        });
        Self { answered, leave, thread }
    }

    /// Requests answered so far.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Lets everyone finish what they do, and gives the account of it.
    #[track_caller]
    pub fn leave(self) -> Report {
        self.leave.store(true, Ordering::Relaxed);
        self.thread.join().expect("the users' account")
    }
}
