//! Indexes and foreign keys of partitioned tables, which the database makes beside running writes for a single partition alone: the
//! table's own is made empty, each partition makes its part, and the table's takes it over (PostgreSQL, 5.12.2.2). A partition
//! that comes meanwhile gets its part from the database.
//!
//! Until it is taken over a part has a name of ours, so that nothing else is ever taken for one.

use switchover_migration::plan::Lock;
use switchover_migration::{Ident, IndexBuild, Literal, QualifiedName, loose_part, loose_prefix, part_name};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::migrator::MigrateError;
use crate::run::{Try, concurrently, locked};
use crate::tree::tree;

/// What the comment of an index begins with that is not complete yet; the statement follows.
const BUILDS: &str = "switchover builds it: ";
/// How often partitions are looked for that came while others got their parts.
const LOOKS: usize = 8;

/// One table of a tree.
struct Member {
    name: QualifiedName,
    is_partitioned: bool,
    part_of: Option<QualifiedName>,
}

/// The constraint of the whole table, as its parts have it.
struct Constraint {
    definition: String,
    kind: &'static str,
    deferral: &'static str,
}

impl Constraint {
    async fn of(client: &Client, index: &QualifiedName) -> Result<Option<Self>, MigrateError> {
        let query = "
            SELECT pg_catalog.pg_get_constraintdef(oid), contype = 'p', condeferrable, condeferred
              FROM pg_catalog.pg_constraint
             WHERE conindid = pg_catalog.to_regclass($1::text) AND contype IN ('p', 'u')";
        let row = client.query_opt(query, &[&index.to_string()]).await?;
        Ok(row.map(|row| Self {
            definition: row.get(0),
            kind: if row.get(1) { "PRIMARY KEY" } else { "UNIQUE" },
            deferral: match (row.get(2), row.get(3)) {
                (_, true) => " DEFERRABLE INITIALLY DEFERRED",
                (true, false) => " DEFERRABLE",
                (false, false) => "",
            },
        }))
    }
}

/// Builds what is missing of an index.
///
/// Errors: a partition went meanwhile, so that the database never calls the index complete.
pub(crate) async fn build(client: &mut Client, build: &IndexBuild, tried: &mut Try<'_>) -> Result<(), MigrateError> {
    let constraint = Constraint::of(client, &build.index).await?;
    if constraint.is_none() {
        begin(client, build, tried).await?;
    }
    for member in tree(client, &build.on).await? {
        let Some(above) = &member.part_of else { continue };
        let above = if *above == build.on { Some(build.index.clone()) } else { part_on(client, build, above).await? };
        // One whose parent went is no partition of the table any more.
        let Some(above) = above else { continue };
        if part_on(client, build, &member.name).await?.is_none() {
            part(client, build, &member, &above, constraint.as_ref(), tried).await?;
        }
    }
    if !is_valid(client, &build.index).await? {
        // One of a constraint goes with that; the next try begins with a new one.
        drop_index(client, &build.index, &build.on, tried).await?;
        let means = "a partition went while the index was built, so it is never complete";
        let state = SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE;
        return Err(MigrateError::of_index(&tried.step.name, &build.index.to_string(), means, state));
    }
    if constraint.is_none() {
        client.batch_execute(&format!("COMMENT ON INDEX {} IS NULL", build.index)).await?;
    }
    Ok(())
}

/// Makes the table's own index. One of ours that was begun from the same statement is gone on with, one from another is begun
/// anew.
///
/// Errors: another index has the name.
async fn begin(client: &mut Client, build: &IndexBuild, tried: &mut Try<'_>) -> Result<(), MigrateError> {
    let sql = build.sql_of_parent();
    let begun = format!("{BUILDS}{sql}");
    let query = "
        SELECT index.indrelid = $2::text::regclass, index.indisvalid, pg_catalog.obj_description(index.indexrelid, 'pg_class')
          FROM pg_catalog.pg_index AS index WHERE index.indexrelid = pg_catalog.to_regclass($1::text)";
    let row = client.query_opt(query, &[&build.index.to_string(), &build.on.to_string()]).await?;
    match row.map(|row| (row.get::<_, bool>(0), row.get::<_, bool>(1), row.get::<_, Option<String>>(2))) {
        Some((true, true, _)) => return Ok(()),
        Some((true, false, comment)) if comment.as_ref() == Some(&begun) => return Ok(()),
        Some((true, false, comment)) if comment.as_ref().is_some_and(|comment| comment.starts_with(BUILDS)) => {
            drop_index(client, &build.index, &build.on, tried).await?;
        }
        Some(_) => {
            let (means, state) = ("the name is taken, by another index", SqlState::DUPLICATE_TABLE);
            return Err(MigrateError::of_index(&tried.step.name, &build.index.to_string(), means, state));
        }
        None => {}
    }
    let comment = format!("COMMENT ON INDEX {} IS {}", build.index, Literal(&begun));
    let lock = (Lock::ShareRowExclusive, build.on.clone());
    locked(client, Some(&lock), &[sql, comment], tried).await
}

/// Makes the part that one partition has of an index, and has it taken over.
async fn part(
    client: &mut Client,
    build: &IndexBuild,
    member: &Member,
    above: &QualifiedName,
    constraint: Option<&Constraint>,
    tried: &mut Try<'_>,
) -> Result<(), MigrateError> {
    let part = build.part(&member.name);
    let plain = QualifiedName::new(&member.name.schema, &part_name(&member.name.name, &build.index.name));
    let is_free = "SELECT pg_catalog.to_regclass($1::text) IS NULL";
    let is_free: bool = client.query_one(is_free, &[&plain.to_string()]).await?.get(0);
    let called = if is_free { &plain.name } else { &part.index.name };
    let attached = QualifiedName::new(&plain.schema, called);
    let (on, index) = (&part.on, &part.index.name);
    let mut statements = Vec::new();
    match (constraint, member.is_partitioned) {
        (None, true) => statements.push(part.sql_of_parent()),
        (Some(whole), true) => {
            statements.push(format!("ALTER TABLE ONLY {on} ADD CONSTRAINT {called} {}", whole.definition));
        }
        (None, false) => concurrently(client, &part).await?,
        (Some(Constraint { kind, deferral, .. }), false) => {
            concurrently(client, &part).await?;
            statements.push(format!("ALTER TABLE {on} ADD CONSTRAINT {called} {kind} USING INDEX {index}{deferral}"));
        }
    }
    if constraint.is_none() && called != index {
        statements.push(format!("ALTER INDEX {} RENAME TO {called}", part.index));
    }
    statements.push(format!("ALTER INDEX {above} ATTACH PARTITION {attached}"));
    let lock = match (constraint, member.is_partitioned) {
        (Some(_), _) => Lock::AccessExclusive,
        (None, true) => Lock::ShareRowExclusive,
        (None, false) => Lock::ShareUpdateExclusive,
    };
    locked(client, Some(&(lock, on.clone())), &statements, tried).await
}

/// Takes an index away, with the parts that it has not taken over yet. One that a constraint has goes with that.
pub(crate) async fn drop_index(
    client: &mut Client,
    index: &QualifiedName,
    on: &QualifiedName,
    tried: &mut Try<'_>,
) -> Result<(), MigrateError> {
    let loose = tree!(
        "$1::text::regclass::oid",
        "SELECT namespace.nspname, class.relname
           FROM tree JOIN pg_catalog.pg_index AS index ON index.indrelid = tree.oid
           JOIN pg_catalog.pg_class AS class ON class.oid = index.indexrelid AND pg_catalog.starts_with(class.relname::text, $2)
           JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
          WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhrelid = index.indexrelid)"
    );
    for row in client.query(loose, &[&on.to_string(), &loose_prefix()]).await? {
        let part = qualified(row.get(0), row.get(1))?;
        client.batch_execute(&format!("DROP INDEX CONCURRENTLY IF EXISTS {part}")).await?;
    }
    let is_of_it = "
        SELECT FROM pg_catalog.pg_index WHERE indexrelid = pg_catalog.to_regclass($1::text) AND indrelid = $2::text::regclass";
    let is_there = client.query_opt(is_of_it, &[&index.to_string(), &on.to_string()]).await?.is_some();
    if !is_there || Constraint::of(client, index).await?.is_some() {
        return Ok(());
    }
    let lock = (Lock::AccessExclusive, on.clone());
    locked(client, Some(&lock), &[format!("DROP INDEX IF EXISTS {index}")], tried).await
}

/// Makes a foreign key of a partitioned table.
pub(crate) async fn foreign_key(
    client: &mut Client,
    on: &QualifiedName,
    name: &Ident,
    clause: &str,
    tried: &mut Try<'_>,
) -> Result<(), MigrateError> {
    let mut parts = Vec::new();
    for _ in 0..LOOKS {
        let known = parts.len();
        for member in tree(client, on).await?.into_iter().filter(|member| !member.is_partitioned) {
            if parts.contains(&member.name) {
                continue;
            }
            let (table, part) = (&member.name, loose_part(&member.name.name, name));
            let state = constraint_state(client, table, &part).await?;
            if state.is_none() && constraint_state(client, on, name).await?.is_none() {
                let add = format!("ALTER TABLE {table} ADD CONSTRAINT {part} {clause} NOT VALID");
                locked(client, Some(&(Lock::ShareRowExclusive, table.clone())), &[add], tried).await?;
            }
            if constraint_state(client, table, &part).await? == Some(false) {
                let validate = format!("ALTER TABLE {table} VALIDATE CONSTRAINT {part}");
                locked(client, Some(&(Lock::ShareUpdateExclusive, table.clone())), &[validate], tried).await?;
            }
            parts.push(member.name);
        }
        if parts.len() == known {
            break;
        }
    }
    if constraint_state(client, on, name).await?.is_some() {
        return Ok(());
    }
    let mut statements = vec![format!("ALTER TABLE {on} ADD CONSTRAINT {name} {clause}")];
    for table in &parts {
        let (part, plain) = (loose_part(&table.name, name), part_name(&table.name, name));
        if constraint_state(client, table, &plain).await?.is_none() {
            statements.push(format!("ALTER TABLE {table} RENAME CONSTRAINT {part} TO {plain}"));
        }
    }
    locked(client, Some(&(Lock::ShareRowExclusive, on.clone())), &statements, tried).await
}

/// Whether a constraint holds for all rows; nothing where there is none of this name.
async fn constraint_state(client: &Client, on: &QualifiedName, name: &Ident) -> Result<Option<bool>, MigrateError> {
    let query =
        "SELECT convalidated FROM pg_catalog.pg_constraint WHERE conrelid = $1::text::regclass AND conname = $2";
    Ok(client.query_opt(query, &[&on.to_string(), &name.as_str()]).await?.map(|row| row.get(0)))
}

async fn is_valid(client: &Client, index: &QualifiedName) -> Result<bool, MigrateError> {
    let query = "SELECT indisvalid FROM pg_catalog.pg_index WHERE indexrelid = pg_catalog.to_regclass($1::text)";
    Ok(client.query_opt(query, &[&index.to_string()]).await?.is_some_and(|row| row.get(0)))
}

async fn tree(client: &Client, on: &QualifiedName) -> Result<Vec<Member>, MigrateError> {
    let query = tree!(
        "$1::text::regclass::oid",
        "SELECT namespace.nspname, class.relname, class.relkind = 'p', above.nspname, parent.relname
           FROM tree JOIN pg_catalog.pg_class AS class ON class.oid = tree.oid
           JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
           LEFT JOIN pg_catalog.pg_class AS parent ON parent.oid = tree.parent
           LEFT JOIN pg_catalog.pg_namespace AS above ON above.oid = parent.relnamespace
          ORDER BY tree.level, namespace.nspname, class.relname"
    );
    let mut tree = Vec::new();
    for row in client.query(query, &[&on.to_string()]).await? {
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

/// The part of the index that a partition has; the database may have named it.
async fn part_on(
    client: &Client,
    build: &IndexBuild,
    on: &QualifiedName,
) -> Result<Option<QualifiedName>, MigrateError> {
    let query = tree!(
        "$1::text::regclass::oid",
        "SELECT namespace.nspname, class.relname
           FROM tree JOIN pg_catalog.pg_index AS index ON index.indexrelid = tree.oid AND index.indrelid = $2::text::regclass
           JOIN pg_catalog.pg_class AS class ON class.oid = index.indexrelid
           JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace"
    );
    let row = client.query_opt(query, &[&build.index.to_string(), &on.to_string()]).await?;
    row.map(|row| qualified(row.get(0), row.get(1))).transpose()
}
