//! Reads the schema as the database has it.

use std::collections::BTreeMap;

use switchover_migration::Ident;
use switchover_migration::catalog::{Catalog, Dependant, Index, Table, TableColumn, TableConstraint};
use tokio_postgres::{Client, Row};

use crate::migrator::MigrateError;

const TABLES: &str = "
SELECT class.oid, class.relname, class.relkind = 'p', greatest(class.reltuples, 0)::int8
  FROM pg_catalog.pg_class AS class JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
 WHERE namespace.nspname = $1 AND class.relkind IN ('r', 'p') AND NOT class.relispartition";

const OTHER_NAMES: &str = "
SELECT class.relname FROM pg_catalog.pg_class AS class
  JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
 WHERE namespace.nspname = $1 AND (class.relkind NOT IN ('r', 'p') OR class.relispartition)";

const COLUMNS: &str = "
SELECT attribute.attname, pg_catalog.format_type(attribute.atttypid, attribute.atttypmod), NOT attribute.attnotnull,
       pg_catalog.pg_get_expr(value.adbin, value.adrelid), attribute.attidentity <> '' OR attribute.attgenerated <> '',
       pg_catalog.col_description(attribute.attrelid, attribute.attnum)
  FROM pg_catalog.pg_attribute AS attribute
  LEFT JOIN pg_catalog.pg_attrdef AS value ON value.adrelid = attribute.attrelid AND value.adnum = attribute.attnum
 WHERE attribute.attrelid = $1 AND attribute.attnum > 0 AND NOT attribute.attisdropped ORDER BY attribute.attnum";

/// The columns of keys, expressions and predicate: what the index depends on, its keys in order first.
const INDEXES: &str = "
SELECT class.relname, pg_catalog.pg_get_indexdef(index.indexrelid), index.indisvalid,
       EXISTS (SELECT FROM pg_catalog.pg_constraint AS owner WHERE owner.conindid = index.indexrelid AND owner.conrelid = index.indrelid AND owner.contype IN ('p', 'u', 'x')),
       ARRAY(SELECT DISTINCT attribute.attname::text FROM pg_catalog.pg_attribute AS attribute
              WHERE attribute.attrelid = index.indrelid AND attribute.attnum > 0
                AND (attribute.attnum = ANY (index.indkey) OR EXISTS (SELECT FROM pg_catalog.pg_depend AS depend
                       WHERE depend.classid = 'pg_catalog.pg_class'::regclass AND depend.objid = index.indexrelid
                         AND depend.refobjid = index.indrelid AND depend.refobjsubid = attribute.attnum)))
  FROM pg_catalog.pg_index AS index JOIN pg_catalog.pg_class AS class ON class.oid = index.indexrelid
 WHERE index.indrelid = $1 ORDER BY class.relname";

const PRIMARY_KEY: &str = "
SELECT attribute.attname FROM pg_catalog.pg_index AS index, unnest(index.indkey::int2[]) WITH ORDINALITY AS key(number, place)
  JOIN pg_catalog.pg_attribute AS attribute ON attribute.attnum = key.number
 WHERE index.indrelid = $1 AND index.indisprimary AND attribute.attrelid = index.indrelid
   AND key.place <= index.indnkeyatts ORDER BY key.place";

const CONSTRAINTS: &str = "
SELECT constr.conname, pg_catalog.pg_get_constraintdef(constr.oid),
       CASE WHEN constr.conrelid <> $1 THEN (SELECT relname FROM pg_catalog.pg_class WHERE oid = constr.conrelid) END,
       ARRAY(SELECT attname::text FROM pg_catalog.pg_attribute AS attribute WHERE attribute.attrelid = $1
              AND attribute.attnum = ANY (CASE WHEN constr.conrelid = $1 THEN constr.conkey ELSE constr.confkey END))
  FROM pg_catalog.pg_constraint AS constr
 WHERE (constr.conrelid = $1 OR constr.confrelid = $1) AND constr.contype IN ('c', 'f', 'p', 'u', 'x')
 ORDER BY constr.conname";

/// Views, policies, triggers, publications' column lists, generated columns and statistics on a column.
const DEPENDANTS: &str = "
SELECT DISTINCT attribute.attname::text,
       pg_catalog.pg_describe_object(depend.classid, depend.objid, 0)
  FROM pg_catalog.pg_depend AS depend
  JOIN pg_catalog.pg_attribute AS attribute
    ON attribute.attrelid = depend.refobjid AND attribute.attnum = depend.refobjsubid
 WHERE depend.refclassid = 'pg_catalog.pg_class'::regclass AND depend.refobjid = $1 AND depend.refobjsubid > 0
   AND NOT attribute.attisdropped AND depend.deptype IN ('n', 'a')
   AND depend.classid IN ('pg_catalog.pg_rewrite'::regclass, 'pg_catalog.pg_policy'::regclass, 'pg_catalog.pg_trigger'::regclass,
                          'pg_catalog.pg_publication_rel'::regclass, 'pg_catalog.pg_statistic_ext'::regclass)
UNION
SELECT source.attname::text, 'generated column ' || made.attname
  FROM pg_catalog.pg_attrdef AS value
  JOIN pg_catalog.pg_depend AS depend ON depend.classid = 'pg_catalog.pg_attrdef'::regclass AND depend.objid = value.oid
  JOIN pg_catalog.pg_attribute AS made ON made.attrelid = value.adrelid AND made.attnum = value.adnum
  JOIN pg_catalog.pg_attribute AS source ON source.attrelid = depend.refobjid AND source.attnum = depend.refobjsubid
 WHERE value.adrelid = $1 AND made.attgenerated <> '' AND depend.refobjid = $1 AND source.attnum <> made.attnum";

/// Whether a rewrite rule is of one of our own versions' views, which follow their columns by themselves.
fn is_of_version(what: &str, versions: &[Ident]) -> bool {
    versions.iter().any(|version| {
        let name = version.as_str();
        what.contains(&format!("on view {name}."))
            || what.contains(&format!("on view \"{}\".", name.replace('"', "\"\"")))
    })
}

/// The schema now. `versions` are the schemas of our own versions.
pub(crate) async fn read(client: &Client, schema: &Ident, versions: &[Ident]) -> Result<Catalog, MigrateError> {
    let names = client.query(OTHER_NAMES, &[&schema.as_str()]).await?;
    let other_names = names.iter().map(|row| ident(row, 0)).collect::<Result<Vec<_>, _>>()?;
    let mut tables = BTreeMap::new();
    for row in client.query(TABLES, &[&schema.as_str()]).await? {
        let oid: u32 = row.get(0);
        let rows: i64 = row.get(3);
        let table = Table {
            columns: columns(client, oid).await?,
            primary_key: key(client, oid).await?,
            indexes: indexes(client, oid).await?,
            constraints: constraints(client, oid).await?,
            dependants: dependants(client, oid, versions).await?,
            rows: u64::try_from(rows).unwrap_or(0),
            partitioned: row.get(2),
        };
        tables.insert(ident(&row, 1)?, table);
    }
    Ok(Catalog { schema: schema.clone(), tables, other_names })
}

fn ident(row: &Row, column: usize) -> Result<Ident, MigrateError> {
    let name: String = row.get(column);
    Ident::new(name).map_err(|error| MigrateError::Unexpected(error.to_string()))
}

fn idents(names: Vec<String>) -> Result<Vec<Ident>, MigrateError> {
    names
        .into_iter()
        .map(|name| Ident::new(name).map_err(|error| MigrateError::Unexpected(error.to_string())))
        .collect()
}

async fn columns(client: &Client, oid: u32) -> Result<Vec<TableColumn>, MigrateError> {
    let rows = client.query(COLUMNS, &[&oid]).await?;
    let column = |row: &Row| {
        Ok(TableColumn {
            name: ident(row, 0)?,
            data_type: row.get(1),
            nullable: row.get(2),
            default: row.get(3),
            generated: row.get(4),
            comment: row.get(5),
        })
    };
    rows.iter().map(column).collect()
}

async fn key(client: &Client, oid: u32) -> Result<Vec<Ident>, MigrateError> {
    client.query(PRIMARY_KEY, &[&oid]).await?.iter().map(|row| ident(row, 0)).collect()
}

async fn indexes(client: &Client, oid: u32) -> Result<Vec<Index>, MigrateError> {
    let rows = client.query(INDEXES, &[&oid]).await?;
    let index = |row: &Row| {
        Ok(Index {
            name: ident(row, 0)?,
            columns: idents(row.get(4))?,
            definition: row.get(1),
            valid: row.get(2),
            of_constraint: row.get(3),
        })
    };
    rows.iter().map(index).collect()
}

async fn constraints(client: &Client, oid: u32) -> Result<Vec<TableConstraint>, MigrateError> {
    let rows = client.query(CONSTRAINTS, &[&oid]).await?;
    let constraint = |row: &Row| {
        let of_table: Option<String> = row.get(2);
        Ok(TableConstraint {
            name: ident(row, 0)?,
            columns: idents(row.get(3))?,
            definition: row.get(1),
            of_table: idents(of_table.into_iter().collect())?.pop(),
        })
    };
    rows.iter().map(constraint).collect()
}

async fn dependants(client: &Client, oid: u32, versions: &[Ident]) -> Result<Vec<Dependant>, MigrateError> {
    let mut found = Vec::new();
    for row in client.query(DEPENDANTS, &[&oid]).await? {
        let what: String = row.get(1);
        let is_ours = what.contains("switchover") && what.starts_with("trigger") || is_of_version(&what, versions);
        if !is_ours {
            found.push(Dependant { column: ident(&row, 0)?, what });
        }
    }
    Ok(found)
}
