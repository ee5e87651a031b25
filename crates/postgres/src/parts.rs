//! Indexes of partitioned tables, which the database builds beside running writes for a single partition alone: the table's index
//! is made empty, each partition builds its part, and the index takes it over; it is complete with the last one (PostgreSQL,
//! 5.12.2.2). A partition that comes meanwhile gets its part from the database.

use switchover_migration::plan::Lock;
use switchover_migration::{Ident, IndexBuild, QualifiedName};
use tokio_postgres::Client;

use crate::migrator::MigrateError;
use crate::run::{Try, concurrently, locked};

/// The tables of a partitioned one, itself among them, each after the one that it is part of.
const TREE: &str = "
SELECT namespace.nspname, class.relname, class.relkind = 'p', above.nspname, parent.relname
  FROM pg_catalog.pg_partition_tree($1::text::regclass) AS part
  JOIN pg_catalog.pg_class AS class ON class.oid = part.relid
  JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
  LEFT JOIN pg_catalog.pg_class AS parent ON parent.oid = part.parentrelid AND part.level > 0
  LEFT JOIN pg_catalog.pg_namespace AS above ON above.oid = parent.relnamespace
 ORDER BY part.level, namespace.nspname, class.relname";

/// The part of index $1 that table $2 has.
const PART: &str = "
SELECT namespace.nspname, class.relname FROM pg_catalog.pg_inherits AS inherits
  JOIN pg_catalog.pg_index AS index ON index.indexrelid = inherits.inhrelid AND index.indrelid = $2::text::regclass
  JOIN pg_catalog.pg_class AS class ON class.oid = index.indexrelid
  JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
 WHERE inherits.inhparent = $1::text::regclass";

/// The constraint that has an index: what `ADD CONSTRAINT` takes for it.
const CONSTRAINT: &str = "
SELECT pg_catalog.pg_get_constraintdef(oid), CASE contype WHEN 'p' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END
    || CASE WHEN condeferrable THEN ' USING INDEX %1$s DEFERRABLE' ELSE ' USING INDEX %1$s' END
    || CASE WHEN condeferred THEN ' INITIALLY DEFERRED' ELSE '' END
  FROM pg_catalog.pg_constraint
 WHERE conindid = pg_catalog.to_regclass($1::text) AND contype IN ('p', 'u') AND conrelid =
       (SELECT indrelid FROM pg_catalog.pg_index WHERE indexrelid = conindid)";

/// One table of a tree.
struct Member {
    name: QualifiedName,
    is_partitioned: bool,
    part_of: Option<QualifiedName>,
}

/// The constraint of the whole table, as its parts have it.
struct Constraint {
    definition: String,
    using_index: String,
}

impl Constraint {
    async fn of(client: &Client, index: &QualifiedName) -> Result<Option<Self>, MigrateError> {
        let row = client.query_opt(CONSTRAINT, &[&index.to_string()]).await?;
        Ok(row.map(|row| Self { definition: row.get(0), using_index: row.get(1) }))
    }
}

/// Builds what is missing of an index.
pub(crate) async fn build(client: &mut Client, build: &IndexBuild, tried: &mut Try<'_>) -> Result<(), MigrateError> {
    if !exists(client, &build.index).await? {
        let lock = (Lock::ShareRowExclusive, build.on.clone());
        locked(client, Some(&lock), &[build.sql_of_parent()], tried).await?;
    }
    let constraint = Constraint::of(client, &build.index).await?;
    for member in tree(client, &build.on).await? {
        let Some(above) = &member.part_of else { continue };
        let above = if *above == build.on { build.index.clone() } else { index_of(client, build, above).await? };
        if part_of(client, &above, &member.name).await?.is_some() {
            continue;
        }
        let part = build.part(&member.name);
        let (lock, statements) = if member.is_partitioned {
            let make = constraint.as_ref().map_or_else(
                || part.sql_of_parent(),
                |whole| format!("ALTER TABLE ONLY {} ADD CONSTRAINT {} {}", part.on, part.index.name, whole.definition),
            );
            (Lock::AccessExclusive, vec![make])
        } else {
            concurrently(client, &part).await?;
            let made = constraint.as_ref().map(|whole| {
                let using = whole.using_index.replace("%1$s", &part.index.name.to_string());
                format!("ALTER TABLE {} ADD CONSTRAINT {} {using}", part.on, part.index.name)
            });
            let lock = if made.is_some() { Lock::AccessExclusive } else { Lock::ShareUpdateExclusive };
            (lock, made.into_iter().collect())
        };
        let attach = format!("ALTER INDEX {above} ATTACH PARTITION {}", part.index);
        let statements: Vec<String> = statements.into_iter().chain([attach]).collect();
        locked(client, Some(&(lock, part.on.clone())), &statements, tried).await?;
    }
    Ok(())
}

/// Takes an index away, with the parts that it has not taken over yet. One that a constraint has goes with that.
pub(crate) async fn drop_index(
    client: &mut Client,
    index: &QualifiedName,
    on: &QualifiedName,
    tried: &mut Try<'_>,
) -> Result<(), MigrateError> {
    let build =
        IndexBuild { index: index.clone(), on: on.clone(), partitioned: true, unique: false, rest: String::new() };
    for member in tree(client, on).await?.iter().filter(|member| !member.is_partitioned) {
        let part = build.part(&member.name).index;
        let is_loose = "
            SELECT FROM pg_catalog.pg_index AS index WHERE index.indexrelid = pg_catalog.to_regclass($1::text)
               AND index.indrelid = $2::text::regclass
               AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhrelid = index.indexrelid)";
        if client.query_opt(is_loose, &[&part.to_string(), &member.name.to_string()]).await?.is_some() {
            client.batch_execute(&format!("DROP INDEX CONCURRENTLY IF EXISTS {part}")).await?;
        }
    }
    if Constraint::of(client, index).await?.is_some() {
        return Ok(());
    }
    let lock = (Lock::AccessExclusive, on.clone());
    locked(client, Some(&lock), &[format!("DROP INDEX IF EXISTS {index}")], tried).await
}

async fn exists(client: &Client, index: &QualifiedName) -> Result<bool, MigrateError> {
    let there = "SELECT pg_catalog.to_regclass($1::text) IS NOT NULL";
    Ok(client.query_one(there, &[&index.to_string()]).await?.get(0))
}

async fn tree(client: &Client, on: &QualifiedName) -> Result<Vec<Member>, MigrateError> {
    let mut tree = Vec::new();
    for row in client.query(TREE, &[&on.to_string()]).await? {
        let above: Option<String> = row.get(3);
        tree.push(Member {
            name: qualified(row.get(0), row.get(1))?,
            is_partitioned: row.get(2),
            part_of: above.map(|schema| qualified(schema, row.get(4))).transpose()?,
        });
    }
    Ok(tree)
}

fn qualified(schema: String, name: String) -> Result<QualifiedName, MigrateError> {
    let ident = |name| Ident::new(name).map_err(|error| MigrateError::Unexpected(error.to_string()));
    Ok(QualifiedName { schema: ident(schema)?, name: ident(name)? })
}

async fn part_of(
    client: &Client,
    whole: &QualifiedName,
    on: &QualifiedName,
) -> Result<Option<QualifiedName>, MigrateError> {
    let row = client.query_opt(PART, &[&whole.to_string(), &on.to_string()]).await?;
    row.map(|row| qualified(row.get(0), row.get(1))).transpose()
}

/// What a partition that is partitioned itself calls its part, which the database may have named.
async fn index_of(client: &Client, build: &IndexBuild, on: &QualifiedName) -> Result<QualifiedName, MigrateError> {
    let named = "
        SELECT namespace.nspname, class.relname
          FROM pg_catalog.pg_partition_tree($1::text::regclass) AS part
          JOIN pg_catalog.pg_index AS index ON index.indexrelid = part.relid AND index.indrelid = $2::text::regclass
          JOIN pg_catalog.pg_class AS class ON class.oid = index.indexrelid
          JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace";
    let row = client.query_opt(named, &[&build.index.to_string(), &on.to_string()]).await?;
    let Some(row) = row else {
        return Err(MigrateError::Unexpected(format!("{on} has no part of index {} yet", build.index)));
    };
    qualified(row.get(0), row.get(1))
}
