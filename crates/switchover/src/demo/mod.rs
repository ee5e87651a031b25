//! `switchover demo`: a whole life of releases in a temporary directory, watched by users who notice everything.
//!
//! Begin reading at `story`; `house` is the daemon and the app's directory, `users` the load, `picture` the switches.

mod house;
mod picture;
mod story;
mod users;

pub(crate) use story::tell;
