//! Clients of both versions through a whole change and back: how long each answer took, and whether any was wrong.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use switchover_testkit::postgres::{ClientReport, Clients, Load, Side};

use super::bed::Bed;
use super::operations::Operation;
use crate::bench::bar::Bar;
use crate::bench::{BenchError, Measured};

/// How many seconds' worth of operations the clients do between two phases.
const BETWEEN: u64 = 2;
/// The longest that all phases of one operation may take.
const LASTS: Duration = Duration::from_secs(3600);

/// What became of one operation at one rate.
struct Passed {
    expand: Duration,
    report: ClientReport,
}

pub(super) async fn measure(bed: &Bed, operations: &[Operation], rates: &[u32]) -> Result<Measured, BenchError> {
    let mut text = format!(
        "{} users and {} orders; eight clients, at first on the old version, then on both, through expand, undo, expand and contract, \
         each with its statements prepared; every answer is checked and every write read back through every version in use.\n\n\
         | operation | clients' operations a second | first expand | longest answer | p99 | errors | differing |\n|---|---|---|---|---|---|---|\n",
        bed.rows,
        bed.rows / 5
    );
    let mut bars = Vec::new();
    for rate in rates {
        let (mut longest, mut harmed) = (0.0_f64, 0);
        for operation in operations {
            let Passed { expand, report } = through(bed, operation, *rate).await?;
            let stall = report.longest.as_secs_f64() * 1000.0;
            (longest, harmed) = (longest.max(stall), harmed + report.error_count + report.difference_count);
            let line = format!(
                "| {} | {rate} | {:.1} s | {stall:.0} ms | {:.1} ms | {} | {} |",
                operation.name,
                expand.as_secs_f64(),
                report.percentile_99.as_secs_f64() * 1000.0,
                report.error_count,
                report.difference_count
            );
            println!("{line}");
            let first = report.errors.first().map(|error| &error.message);
            first.into_iter().for_each(|message| println!("  {message}"));
            report.slowest.iter().take(3).for_each(|stall| println!("  {stall:?}"));
            let _ = writeln!(text, "{line}");
        }
        bars.push(Bar {
            what: "longest answer to a client in any operation",
            measured: longest,
            most: 100.0,
            unit: " ms",
        });
        bars.push(Bar {
            what: "errors and differing rows in all operations",
            measured: harmed as f64,
            most: 0.0,
            unit: "",
        });
    }
    Ok(Measured { text, bars })
}

async fn through(bed: &Bed, operation: &Operation, rate: u32) -> Result<Passed, BenchError> {
    let url = bed.copy().await?;
    let rows = if operation.on_orders { bed.rows / 5 } else { bed.rows };
    let load = Load {
        seeded: 0..i64::try_from(rows).unwrap_or(i64::MAX),
        operations_per_second: rate,
        most_operations: u64::MAX,
        lasts_at_most: LASTS,
        ..Load::new(&url, operation.old.clone(), operation.new.clone())
    };
    let clients = Clients::start(load, &[Side::Old]);
    let a_while = BETWEEN * u64::from(rate);
    let run = async |arguments: &[&str]| bed.command(&url, &operation.migration, arguments).await.map(|_| ());
    clients.work(a_while).await;
    let begun = Instant::now();
    run(&["expand", "01_change.yaml"]).await?;
    let expand = begun.elapsed();
    clients.admit(Side::New);
    clients.work(a_while).await;
    clients.retire(Side::New).await;
    run(&["undo"]).await?;
    clients.work(a_while).await;
    run(&["expand", "01_change.yaml"]).await?;
    clients.admit(Side::New);
    clients.work(a_while).await;
    clients.retire(Side::Old).await;
    run(&["contract", "--force"]).await?;
    clients.work(a_while).await;
    Ok(Passed { expand, report: clients.finish().await })
}
