//! What is drawn on a terminal.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod house;

use std::io::Read as _;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use house::{House, signal};

const LONG: &str = "[release]\nbake = \"1h\"\nkeep_warm = \"1h\"";

/// A terminal of 40 lines and 100 columns, and what was written to it so far.
struct Terminal {
    screen: Arc<Mutex<String>>,
    other: Option<OwnedFd>,
}

impl Terminal {
    #[expect(unsafe_code, reason = "a terminal has no safe way to be opened in the standard library")]
    fn open() -> Self {
        let (mut ours, mut theirs) = (-1, -1);
        let size = libc::winsize { ws_row: 40, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: both descriptors are written before it returns 0; name and settings may be null (openpty(3)).
        let (ours, theirs) = unsafe {
            let opened =
                libc::openpty(&raw mut ours, &raw mut theirs, std::ptr::null_mut(), std::ptr::null(), &raw const size);
            assert_eq!(opened, 0, "{}", std::io::Error::last_os_error());
            (OwnedFd::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs))
        };
        let screen = Arc::new(Mutex::new(String::new()));
        let written = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut ours = std::fs::File::from(ours);
            let mut bytes = [0; 4096];
            // It ends with an error when nobody has the other end any more.
            while let Ok(read @ 1..) = ours.read(&mut bytes) {
                written.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..read]));
            }
        });
        Self { screen, other: Some(theirs) }
    }

    /// The end that a command writes to; once.
    fn stdout(&mut self) -> Stdio {
        Stdio::from(self.other.take().unwrap())
    }

    fn shows(&self, text: &str) -> bool {
        self.screen.lock().unwrap().contains(text)
    }

    fn clear(&self) {
        self.screen.lock().unwrap().clear();
    }
}

#[test]
fn a_watched_status_is_drawn_anew_when_something_changes_until_ctrl_c() {
    let house = House::start();
    house.sample("", LONG);
    house.cli(&["deploy", "--wait"]).ended(0);
    let mut terminal = Terminal::open();
    let mut watching = house.command(&["status", "--watch"]).stdout(terminal.stdout()).spawn().unwrap();
    house.wait_for("it is drawn", |_| terminal.shows("blue: live") && terminal.shows("r1"));
    assert!(terminal.shows("╭─ "), "boxes on a terminal");
    terminal.clear();
    house.write("VERSION", "v2");
    house.cli(&["deploy", "--wait"]).ended(0);
    house.wait_for("the switch is drawn", |_| terminal.shows("green: live") && terminal.shows("release 2"));
    assert!(terminal.shows("\u{1b}["), "it is drawn over what was there");
    signal(watching.id(), libc::SIGINT);
    assert_eq!(watching.wait().unwrap().code(), Some(0));
}

#[test]
fn the_last_frame_of_a_wait_stands_still() {
    let house = House::start();
    house.sample("", LONG);
    let mut terminal = Terminal::open();
    let mut deploy = house.command(&["deploy", "--wait"]).stdout(terminal.stdout()).spawn().unwrap();
    assert_eq!(deploy.wait().unwrap().code(), Some(0));
    house.wait_for("the end is drawn", |_| terminal.shows("release 1 of shop switched"));
    let screen = terminal.screen.lock().unwrap().clone();
    let last = &screen[screen.rfind("release 1: r1").unwrap()..];
    assert!(last.contains("▸ bake") && last.contains("nothing to verify"), "{last}");
    assert!(!last.contains(['⠋', '⠙', '⠸', '⠴', '⠦', '⠧', '⠇', '⠏']), "{last}");
}

#[test]
fn traffic_on_a_terminal_is_drawn_anew_each_second_until_ctrl_c() {
    let house = House::start();
    house.sample("", LONG);
    house.cli(&["deploy", "--wait"]).ended(0);
    let mut terminal = Terminal::open();
    let mut watching = house.command(&["traffic"]).stdout(terminal.stdout()).spawn().unwrap();
    house.wait_for("a frame without a request is drawn", |_| terminal.shows("accepted 0,"));
    for _ in 0..7 {
        house.get("/").unwrap();
    }
    house.wait_for("what came is drawn", |_| terminal.shows("accepted 7, answered 7 (5xx 0)"));
    assert!(terminal.shows("r1        blue  100 %"), "{}", terminal.screen.lock().unwrap());
    assert!(terminal.shows("\u{1b}["), "it is drawn over what was there");
    signal(watching.id(), libc::SIGINT);
    assert_eq!(watching.wait().unwrap().code(), Some(0));
}

#[test]
fn an_error_on_a_terminal_is_broken_between_words() {
    let house = House::closed();
    let mut terminal = Terminal::open();
    let mut status = house.command(&["status", "--app", "shop"]).stderr(terminal.stdout()).spawn().unwrap();
    assert_eq!(status.wait().unwrap().code(), Some(6));
    house.wait_for("the next step is shown", |_| terminal.shows("--state."));
    let screen = terminal.screen.lock().unwrap().clone();
    let lines: Vec<&str> = screen.lines().map(str::trim_end).collect();
    assert!(lines.len() > 2, "it is longer than a line: {lines:?}");
    let quoted = |line: &str| line.contains('`');
    assert!(lines.iter().all(|line| line.chars().count() <= 100 || quoted(line)), "{lines:?}");
}
