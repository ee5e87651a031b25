//! A database's catalog as text, the same for two databases exactly when their schemas are.
//!
//! One line or block an object, sorted by name, without OIDs, physical column numbers (a dropped column leaves no hole)
//! and anything that ages (statistics, sequence values, missing-value defaults). Left out: the system's own schemas and
//! what belongs to an extension, which stands as the extension's name and version.

use tokio_postgres::IsolationLevel;

use super::session::Session;

/// What every section may use: the schemas that are told, and what extensions own.
const OWN: &str = include_str!("own.sql");

/// The sections in the order in which they are told; each selects one column of text.
const SECTIONS: &[(&str, &str)] = &[
    ("database", include_str!("database.sql")),
    ("schemas", include_str!("schemas.sql")),
    ("types", include_str!("type_definitions.sql")),
    ("relations", include_str!("relations.sql")),
    ("columns", include_str!("columns.sql")),
    ("constraints", include_str!("constraints.sql")),
    ("indexes", include_str!("indexes.sql")),
    ("statistics", include_str!("statistics.sql")),
    ("views and rules", include_str!("views.sql")),
    ("sequences", include_str!("sequences.sql")),
    ("functions", include_str!("functions.sql")),
    ("triggers", include_str!("triggers.sql")),
    ("policies", include_str!("policies.sql")),
    ("publications", include_str!("publications.sql")),
];

/// Tells the whole catalog of the database at `url`.
///
/// Guarantees: read only; names are told with their schema whatever the role's `search_path` is.
///
/// # Panics
/// When the database cannot be read.
pub async fn dump(url: &str) -> String {
    let mut session = Session::open(url).await;
    read(&mut session).await.unwrap_or_else(|error| panic!("the catalog of {url} cannot be read: {error:?}"))
}

async fn read(session: &mut Session) -> Result<String, tokio_postgres::Error> {
    let transaction =
        session.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true).start().await?;
    // With an empty path every name in a definition is qualified.
    transaction.batch_execute("SET LOCAL search_path = ''").await?;
    let mut text = String::new();
    for (title, query) in SECTIONS {
        text.push_str(&format!("== {title}\n"));
        let rows = transaction.query(&format!("{OWN}\n{query}"), &[]).await;
        let rows = rows.unwrap_or_else(|error| panic!("{title}: {error:?}"));
        for row in rows {
            text.push_str(row.get(0));
            text.push('\n');
        }
    }
    transaction.rollback().await?;
    Ok(text)
}
