//! Clients of both versions through a whole change and back: how long each answer took, and whether any was wrong.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use switchover_testkit::postgres::{ClientReport, Clients, Load, Side};

use super::bed::Bed;
use super::disk::Disk;
use super::operations::Operation;
use crate::bench::bar::Bar;
use crate::bench::{BenchError, Measured};

/// How many seconds' worth of operations the clients do between two phases.
const BETWEEN: u64 = 2;
/// The longest that all phases of one operation may take.
const LASTS: Duration = Duration::from_secs(3600);

/// The longest answer that an operation may cause, in milliseconds.
const BAR: f64 = 100.0;
/// How often an operation is measured while its longest answer is over the bar and the disk itself took at least half as long.
const ROUNDS: usize = 3;

/// What became of one operation at one rate.
struct Passed {
    expand: Duration,
    report: ClientReport,
    /// The longest time that the disk itself took meanwhile.
    disk: Duration,
}

impl Passed {
    fn longest(&self) -> f64 {
        milliseconds(self.report.longest)
    }

    /// Whether the disk, and not the operation, may be the reason.
    fn is_of_the_disk(&self) -> bool {
        self.longest() > BAR && milliseconds(self.disk) * 2.0 >= self.longest()
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

pub(super) async fn measure(bed: &Bed, operations: &[Operation], rates: &[u32]) -> Result<Measured, BenchError> {
    let mut text = format!(
        "{} users and {} orders; eight clients, at first on the old version, then on both, through expand, undo, expand and contract, \
         each with its statements prepared; every answer is checked and every write read back through every version in use. Beside them \
         something writes a page to the same disk and syncs it, again and again: *disk* is its own longest time. An operation is measured again, up to {ROUNDS} times, while its \
         longest answer is over the bar and the disk itself took half of that or more; all are shown, and the last one counts.\n\n\
         | operation | clients' operations a second | first expand | longest answer | disk | p99 | errors | differing |\n|---|---|---|---|---|---|---|---|\n",
        bed.rows,
        bed.rows / 5
    );
    let mut bars = Vec::new();
    for rate in rates {
        let (mut longest, mut harmed) = (0.0_f64, 0);
        for operation in operations {
            let mut rounds = vec![through(bed, operation, *rate).await?];
            while rounds.last().is_some_and(Passed::is_of_the_disk) && rounds.len() < ROUNDS {
                rounds.push(through(bed, operation, *rate).await?);
            }
            let line = told(operation, *rate, &rounds);
            println!("{line}");
            for Passed { report, .. } in &rounds {
                harmed += report.error_count + report.difference_count;
                let first = report.errors.first().map(|error| &error.message);
                first.into_iter().for_each(|message| println!("  {message}"));
                report.slowest.iter().take(3).for_each(|stall| println!("  {stall:?}"));
            }
            longest = rounds.last().map_or(longest, |last| longest.max(last.longest()));
            let _ = writeln!(text, "{line}");
        }
        bars.push(Bar {
            what: "longest answer to a client in any operation",
            measured: longest,
            most: BAR,
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

/// One line of the table.
fn told(operation: &Operation, rate: u32, rounds: &[Passed]) -> String {
    let each = |value: &dyn Fn(&Passed) -> f64| {
        let values: Vec<String> = rounds.iter().map(|round| format!("{:.0}", value(round))).collect();
        values.join(", ")
    };
    let report = &rounds[0].report;
    format!(
        "| {} | {rate} | {:.1} s | {} ms | {} ms | {:.1} ms | {} | {} |",
        operation.name,
        rounds[0].expand.as_secs_f64(),
        each(&Passed::longest),
        each(&|round| milliseconds(round.disk)),
        milliseconds(report.percentile_99),
        rounds.iter().map(|round| round.report.error_count).sum::<u64>(),
        rounds.iter().map(|round| round.report.difference_count).sum::<u64>()
    )
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
    let disk = Disk::watch(bed.directory())?;
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
    Ok(Passed { expand, report: clients.finish().await, disk: disk.ended()? })
}
