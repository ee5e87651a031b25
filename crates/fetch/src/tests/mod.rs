//! Requests over real sockets, against other sides that behave in every way but the right one.

mod bounds;
mod other_side;
mod secrets;
mod tls;
mod whole;
