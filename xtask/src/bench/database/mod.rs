//! Changes of a schema: how fast rows are brought in step beside one plain `UPDATE`, how much of the log that takes, and how
//! long clients of the old and of the new version ever wait for an answer.
//!
//! The command is run as a person runs it. Fewer rows, other rates or single operations are asked for by the environment;
//! what the tables then say of themselves is what was measured.

mod bed;
mod disk;
mod filling;
mod operations;
mod stalls;

use super::{BenchError, Measured};
use bed::Bed;

/// The environment variable for another number of users than [`USERS`]; orders are a fifth of them.
const ROWS: &str = "SWITCHOVER_BENCH_ROWS";
/// How many users there are.
const USERS: u64 = 1_000_000;
/// The environment variable for other rates than [`RATES`], such as `400`.
const RATES_ASKED: &str = "SWITCHOVER_BENCH_RATES";
/// What the clients do, in operations a second.
const RATES: &[u32] = &[400, 1_200];
/// The environment variable for some of the operations, such as `rename,split`; `none` leaves all out.
const OPERATIONS_ASKED: &str = "SWITCHOVER_BENCH_OPERATIONS";

/// Runs the bench and gives its tables.
pub(crate) fn run() -> Result<Measured, BenchError> {
    let rows = number(ROWS)?.unwrap_or(USERS);
    let rates: Vec<u32> = match std::env::var(RATES_ASKED) {
        Ok(asked) => asked
            .split(',')
            .map(|rate| rate.trim().parse().map_err(|_| wrong(RATES_ASKED)))
            .collect::<Result<_, _>>()?,
        Err(_) => RATES.to_vec(),
    };
    let asked = std::env::var(OPERATIONS_ASKED).ok();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| BenchError::Io { what: "a runtime".to_owned(), source })?;
    runtime.block_on(async {
        let bed = Bed::new(rows).await?;
        let mut measured = filling::measure(&bed).await?;
        let is_asked = |name: &str| asked.as_deref().is_none_or(|asked| asked.split(',').any(|one| one.trim() == name));
        let operations: Vec<_> = operations::all().into_iter().filter(|operation| is_asked(operation.name)).collect();
        if !operations.is_empty() {
            let stalls = stalls::measure(&bed, &operations, &rates).await?;
            measured.text.push_str(&stalls.text);
            measured.bars.extend(stalls.bars);
        }
        Ok(measured)
    })
}

fn number(variable: &str) -> Result<Option<u64>, BenchError> {
    std::env::var(variable).ok().map(|value| value.parse().map_err(|_| wrong(variable))).transpose()
}

fn wrong(variable: &str) -> BenchError {
    BenchError::Unexpected(format!("{variable} is no number"))
}
