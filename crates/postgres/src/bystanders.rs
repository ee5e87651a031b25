//! What is the user's own beside what a migration makes: it is never taken along, so it is told before a phase begins that could
//! not end because of it.

use std::collections::BTreeSet;

use switchover_migration::Ident;
use switchover_model::Problem;
use tokio_postgres::Client;

use crate::migrator::MigrateError;

/// Refuses to take versions away that something of the user's own stands on, or lies in.
pub(crate) async fn refuse_on_versions(client: &Client, base: &Ident, versions: &[Ident]) -> Result<(), MigrateError> {
    let mut problems = Vec::new();
    for version in versions {
        for what in in_the_way(client, base, version).await? {
            let cause = format!("{what} lies in version {version} or stands on it, and would go with it.");
            let next = format!(
                "Have it stand on the base schema {base} or elsewhere, or drop it; then give the command again."
            );
            problems.push(Problem::new("VERSION-STOOD-ON", cause, next));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(MigrateError::Refused(problems)) }
}

/// What lies in the schema of a version, or stands on its views, and is not ours; the first twenty.
pub(crate) async fn in_the_way(client: &Client, base: &Ident, version: &Ident) -> Result<Vec<String>, MigrateError> {
    let rows = client.query("SELECT switchover.not_ours($1, $2)", &[&base.as_str(), &version.as_str()]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Refuses to change tables whose rows are values of a column elsewhere: the database gives them no column with a default.
pub(crate) async fn refuse_row_types(
    client: &Client,
    schema: &Ident,
    tables: &BTreeSet<&Ident>,
) -> Result<(), MigrateError> {
    let names: Vec<&str> = tables.iter().map(|table| table.as_str()).collect();
    let query = "
        SELECT quote_ident(class.relname), attribute.attname::text, other.oid::regclass::text
          FROM pg_catalog.pg_class AS class
          JOIN pg_catalog.pg_type AS type ON type.oid = class.reltype
          JOIN pg_catalog.pg_attribute AS attribute ON attribute.atttypid IN (type.oid, type.typarray) AND NOT attribute.attisdropped
          JOIN pg_catalog.pg_class AS other ON other.oid = attribute.attrelid AND other.relkind IN ('r', 'p', 'm')
         WHERE class.relnamespace = $1::text::regnamespace AND class.relname = ANY ($2) ORDER BY 1, 3, 2 LIMIT 20";
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
    if problems.is_empty() { Ok(()) } else { Err(MigrateError::Refused(problems)) }
}
