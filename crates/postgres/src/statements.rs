//! The app's own statements, as the database counts them.

use tokio_postgres::Client;

use crate::migrator::MigrateError;

/// The most statements that are looked at; `pg_stat_statements` keeps 5,000 unless it is told otherwise.
const MOST: i64 = 20_000;

/// The statements of this database that `pg_stat_statements` knows, each once; nothing where it is not there.
pub(crate) async fn read(client: &Client) -> Result<Option<Vec<String>>, MigrateError> {
    let place = "SELECT quote_ident(namespace.nspname) FROM pg_catalog.pg_extension AS extension \
                 JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = extension.extnamespace \
                 WHERE extension.extname = 'pg_stat_statements'";
    let Some(row) = client.query_opt(place, &[]).await? else { return Ok(None) };
    let schema: String = row.get(0);
    let query = format!(
        "SELECT DISTINCT query FROM {schema}.pg_stat_statements \
         WHERE dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) \
         AND query IS NOT NULL ORDER BY query LIMIT $1"
    );
    Ok(Some(client.query(&query, &[&MOST]).await?.iter().map(|row| row.get(0)).collect()))
}
