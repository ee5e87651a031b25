//! Rows that are brought in step, beside one plain `UPDATE` of the same rows.

use std::fmt::Write as _;
use std::time::Instant;

use switchover_testkit::postgres::Session;

use super::bed::{Bed, asked, position};
use super::operations::SPLIT;
use crate::bench::bar::Bar;
use crate::bench::statistics::median;
use crate::bench::{BenchError, Measured};

/// How often each is measured, in turns.
const ROUNDS: usize = 3;
/// What begins and what follows the step that is measured.
const STEP: &str = "bring the rows of \"users\" in step";
/// What a person would write by hand.
const BY_HAND: (&str, &str) = (
    "ALTER TABLE users ADD COLUMN first text, ADD COLUMN last text",
    "UPDATE users SET first = split_part(name, ' ', 1), last = split_part(name, ' ', 2)",
);

/// Seconds, bytes of the log, and bytes that the table and its indexes grew by.
struct Taken {
    seconds: f64,
    log: f64,
    grown: f64,
}

pub(super) async fn measure(bed: &Bed) -> Result<Measured, BenchError> {
    let (mut plain, mut ours) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // Who comes first changes, so that neither always has the quieter disk.
        if round % 2 == 0 {
            plain.push(by_hand(bed).await?);
            ours.push(by_tool(bed).await?);
        } else {
            ours.push(by_tool(bed).await?);
            plain.push(by_hand(bed).await?);
        }
    }
    let rows = bed.rows as f64;
    let of = |all: &[Taken], value: fn(&Taken) -> f64| median(&all.iter().map(value).collect::<Vec<_>>());
    let (plain_seconds, seconds) = (of(&plain, |one| one.seconds), of(&ours, |one| one.seconds));
    let mut text = format!(
        "A column split in two, {} rows with a primary key and one more index; PostgreSQL 15 with its own `fsync`, `autovacuum = off`, \
         {ROUNDS} times each in turns, after a checkpoint; medians.\n\n\
         | | seconds | rows a second | bytes of WAL a row | grown by |\n|---|---|---|---|---|\n",
        bed.rows
    );
    for (what, all) in [("one plain `UPDATE`", &plain), ("`switchover db expand`, its backfill", &ours)] {
        let (taken, log, grown) = (of(all, |one| one.seconds), of(all, |one| one.log), of(all, |one| one.grown));
        let _ =
            writeln!(text, "| {what} | {taken:.1} | {:.0} | {:.0} | {:.0} MB |", rows / taken, log / rows, grown / 1e6);
    }
    let ratio = plain_seconds / seconds;
    let _ =
        writeln!(text, "\nRate of the backfill, times that of the plain `UPDATE`: {ratio:.2} (bar: at least 0.7).\n");
    let bars = vec![
        Bar {
            what: "time of a backfill, times that of a plain UPDATE (its rate at least 0.7)",
            measured: 1.0 / ratio,
            most: 1.0 / 0.7,
            unit: "",
        },
        Bar {
            what: "log of a backfill, per row",
            measured: of(&ours, |one| one.log) / rows,
            most: 520.0,
            unit: " bytes",
        },
    ];
    Ok(Measured { text, bars })
}

async fn size(session: &Session) -> Result<f64, BenchError> {
    let size = asked(session, "SELECT pg_total_relation_size('users')").await?;
    size.parse().map_err(|_| BenchError::Unexpected(format!("no size: {size}")))
}

async fn by_hand(bed: &Bed) -> Result<Taken, BenchError> {
    let session = Session::open(&bed.copy().await?).await;
    asked(&session, BY_HAND.0).await?;
    let (before, size_before, begun) = (position(&session).await?, size(&session).await?, Instant::now());
    asked(&session, BY_HAND.1).await?;
    let seconds = begun.elapsed().as_secs_f64();
    Ok(Taken { seconds, log: position(&session).await? - before, grown: size(&session).await? - size_before })
}

async fn by_tool(bed: &Bed) -> Result<Taken, BenchError> {
    let url = bed.copy().await?;
    let session = Session::open(&url).await;
    let size_before = size(&session).await?;
    let told = bed.command(&url, SPLIT, &["expand", "01_change.yaml"]).await?;
    let begun = told.iter().position(|told| told.line == STEP);
    let ended = begun.and_then(|begun| told[begun + 1..].iter().find(|told| !told.line.starts_with(' ')));
    let (Some(begun), Some(ended)) = (begun.map(|begun| &told[begun]), ended) else {
        let lines: Vec<&str> = told.iter().map(|told| told.line.as_str()).collect();
        return Err(BenchError::Unexpected(format!("no step `{STEP}`, only: {}", lines.join("; "))));
    };
    let seconds = ended.at.duration_since(begun.at).as_secs_f64();
    Ok(Taken { seconds, log: ended.log - begun.log, grown: size(&session).await? - size_before })
}
