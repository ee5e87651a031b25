//! A real PostgreSQL for tests, on a unix socket in a temporary directory, and what looks at it from outside.
//!
//! [`Server`] starts, kills and starts again; [`dump`] tells a database's whole catalog as text, so that two can be
//! compared; [`Session`] is one connection; [`Clients`] are applications of an old and a new version that use one
//! table all the time and know what was acknowledged to them.
//!
//! A test begins with `let Some(server) = Server::shared(Major::V15) else { return };`. There is no server only where
//! [`BEDS`] says so; where one is wanted and missing, the test fails.

mod clients;
mod dump;
mod installation;
mod pooler;
mod processes;
mod server;
mod session;
mod standby;

pub use clients::{
    Application, ClientError, ClientReport, Clients, Difference, Load, Operation, Preparing, Side, Stall, Write,
};
pub use dump::dump;
pub use installation::{BEDS, Major, beds};
pub use pooler::Pooler;
pub use server::{Durability, Server};
pub use session::Session;
