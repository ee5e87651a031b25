//! What is the user's own beside what a migration makes: it is never taken along, so it is told before a phase begins that could
//! not end because of it.

use std::collections::BTreeSet;

use switchover_migration::Ident;
use switchover_migration::plan::{Piece, Planned};
use switchover_model::Problem;
use tokio_postgres::Client;

use crate::error::refuse_for;
use crate::migrator::MigrateError;

/// Refuses to take versions away that something of the user's own stands on, or lies in.
pub(crate) async fn refuse_on_versions(client: &Client, base: &Ident, versions: &[Ident]) -> Result<(), MigrateError> {
    let mut problems = Vec::new();
    for version in versions {
        for what in in_the_way(client, version).await? {
            let cause = format!("{what} lies in version {version} or stands on it, and would go with it.");
            let next = format!(
                "Have it stand on the base schema {base} or elsewhere, or drop it; then give the command again."
            );
            problems.push(Problem::new("VERSION-STOOD-ON", cause, next));
        }
    }
    refuse_for(problems)
}

/// Whether a schema is one that we made for a version, as far as its views tell.
pub(crate) async fn is_ours(client: &Client, version: &Ident) -> Result<bool, MigrateError> {
    let noted = "SELECT EXISTS (SELECT FROM switchover.view WHERE version = $1)";
    Ok(client.query_one(noted, &[&version.as_str()]).await?.get(0))
}

/// What lies in the schema of a version, or stands on its views, and is not ours; the first twenty.
async fn in_the_way(client: &Client, version: &Ident) -> Result<Vec<String>, MigrateError> {
    let rows = client.query("SELECT switchover.not_ours($1)", &[&version.as_str()]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Refuses to change tables whose rows are values of a column elsewhere, also within other types: the database gives them no
/// column with a default.
pub(crate) async fn refuse_row_types(client: &Client, schema: &Ident, planned: &Planned) -> Result<(), MigrateError> {
    let by_pieces = planned.pieces.iter().filter_map(|piece| match piece {
        Piece::MadeColumn { table, .. } | Piece::ReplacedColumn { table, .. } | Piece::DroppedColumn { table, .. } => {
            Some(table)
        }
        _ => None,
    });
    let tables: BTreeSet<&str> =
        planned.changes.iter().map(|change| &change.table).chain(by_pieces).map(Ident::as_str).collect();
    let names: Vec<&str> = tables.into_iter().collect();
    let query = "
        WITH RECURSIVE tables (oid, name) AS (
            SELECT class.oid, class.relname::text FROM pg_catalog.pg_class AS class
             WHERE class.relnamespace = $1::text::regnamespace AND class.relname = ANY ($2)
             UNION SELECT inhrelid, tables.name FROM pg_catalog.pg_inherits JOIN tables ON inhparent = tables.oid),
        types (oid, name) AS (
            SELECT type.oid, tables.name FROM pg_catalog.pg_type AS type JOIN tables ON tables.oid = type.typrelid
             UNION
            SELECT within.oid, types.name FROM types JOIN LATERAL (
                SELECT type.typarray FROM pg_catalog.pg_type AS type WHERE type.oid = types.oid AND type.typarray <> 0
                 UNION SELECT domain.oid FROM pg_catalog.pg_type AS domain WHERE domain.typbasetype = types.oid
                 UNION SELECT class.reltype FROM pg_catalog.pg_attribute AS attribute JOIN pg_catalog.pg_class AS class ON class.oid = attribute.attrelid
                        WHERE attribute.atttypid = types.oid AND NOT attribute.attisdropped AND class.relkind = 'c') AS within (oid) ON true)
        SELECT DISTINCT quote_ident(types.name), attribute.attname::text, other.oid::regclass::text
          FROM types JOIN pg_catalog.pg_attribute AS attribute ON attribute.atttypid = types.oid AND NOT attribute.attisdropped
          JOIN pg_catalog.pg_class AS other ON other.oid = attribute.attrelid AND other.relkind IN ('r', 'p', 'm')
         ORDER BY 1, 3, 2 LIMIT 20";
    let rows = client.query(query, &[&schema.to_string(), &names]).await?;
    let problems: Vec<Problem> = rows
        .iter()
        .map(|row| {
            let (table, column, other): (String, String, String) = (row.get(0), row.get(1), row.get(2));
            let cause = format!(
                "column {column} of {other} holds whole rows of {table}, which keeps the database from changing it."
            );
            Problem::new("ROW-TYPE-IN-USE", cause, "Give that column another type first, such as jsonb.")
        })
        .collect();
    refuse_for(problems)
}
