//! What is noted of steps, in the transaction that does them where they are one: a run that was broken off goes on by it.

use switchover_migration::plan::{STATEMENT, Step};
use switchover_migration::{Ident, IndexBuild, Literal, QualifiedName};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::migrator::MigrateError;

/// Which phase of which migration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) schema: &'a Ident,
    pub(crate) number: u32,
    pub(crate) phase: &'a str,
}

/// Whether a step is done.
pub(crate) async fn is_done(client: &Client, place: Place<'_>, step: &Step) -> Result<bool, MigrateError> {
    is_noted(client, place, &step.name).await
}

async fn is_noted(client: &Client, place: Place<'_>, name: &str) -> Result<bool, MigrateError> {
    let number = i32::try_from(place.number).unwrap_or(i32::MAX);
    let row = client
        .query_one(
            "SELECT EXISTS (SELECT FROM switchover.step WHERE schema = $1 AND number = $2 AND phase = $3 AND name = $4)",
            &[&place.schema.as_str(), &number, &place.phase, &name],
        )
        .await?;
    Ok(row.get(0))
}

/// Notes that some of a step may be done from here on: it is no single transaction.
pub(crate) async fn begin(client: &Client, place: Place<'_>, step: &Step) -> Result<(), MigrateError> {
    client.batch_execute(&noted(place, &begun(step))).await?;
    Ok(())
}

/// What that note is called.
fn begun(step: &Step) -> String {
    format!("begun: {}", step.name)
}

/// Whether some of a step may be done.
pub(crate) async fn has_begun(client: &Client, place: Place<'_>, step: &Step) -> Result<bool, MigrateError> {
    Ok(is_done(client, place, step).await? || is_noted(client, place, &begun(step)).await?)
}

/// What a note is called that says that an index of this name is ours from then on.
fn index_note(index: &QualifiedName) -> String {
    format!("begun: index {index}")
}

/// Whether an index of this name was begun in the phase: before that it is the user's own.
pub(crate) async fn has_begun_index(
    client: &Client,
    place: Place<'_>,
    index: &QualifiedName,
) -> Result<bool, MigrateError> {
    is_noted(client, place, &index_note(index)).await
}

/// Notes that an index of this name is ours from here on.
///
/// Errors: a complete one is there already, which no constraint of the plan has made.
pub(crate) async fn begin_index(
    client: &Client,
    place: Place<'_>,
    step: &str,
    build: &IndexBuild,
) -> Result<(), MigrateError> {
    let index = &build.index;
    if has_begun_index(client, place, index).await? {
        return Ok(());
    }
    let complete = "
        SELECT FROM pg_catalog.pg_index AS index WHERE indexrelid = pg_catalog.to_regclass($1::text) AND indisvalid
           AND NOT ($2 AND EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conindid = index.indexrelid))";
    if client.query_opt(complete, &[&index.to_string(), &build.partitioned]).await?.is_some() {
        let means = "the name is taken, by an index that was there before";
        return Err(MigrateError::of_index(step, &index.to_string(), means, SqlState::DUPLICATE_TABLE));
    }
    client.batch_execute(&noted(place, &index_note(index))).await?;
    Ok(())
}

/// Whether statements of the user's own are done in the phase.
pub(crate) async fn has_run_statements(client: &Client, place: Place<'_>) -> Result<bool, MigrateError> {
    let number = i32::try_from(place.number).unwrap_or(i32::MAX);
    let query = "SELECT EXISTS (SELECT FROM switchover.step WHERE schema = $1 AND number = $2 AND phase = $3 AND starts_with(name, $4))";
    Ok(client.query_one(query, &[&place.schema.as_str(), &number, &place.phase, &STATEMENT]).await?.get(0))
}

pub(crate) fn noted(place: Place<'_>, name: &str) -> String {
    format!(
        "INSERT INTO switchover.step (schema, number, phase, name) VALUES ({}, {}, {}, {}) ON CONFLICT DO NOTHING",
        Literal(place.schema.as_str()),
        place.number,
        Literal(place.phase),
        Literal(name)
    )
}

pub(crate) async fn note(client: &Client, place: Place<'_>, step: &Step) -> Result<(), MigrateError> {
    client.batch_execute(&noted(place, &step.name)).await?;
    Ok(())
}
