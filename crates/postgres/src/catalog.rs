//! Reads the schema as the database has it.

use std::collections::BTreeMap;

use switchover_migration::catalog::{
    Catalog, ConstraintType, Dependant, Index, Partition, PartitionKey, PartitionKind, Statistics, Table, TableColumn,
    TableConstraint,
};
use switchover_migration::{Ident, QualifiedName};
use tokio_postgres::{Client, Row};

use crate::migrator::MigrateError;
use crate::tree::tree;

const TABLES: &str = "
SELECT class.oid, class.relname, class.relkind = 'p',
       nullif(class.reltuples, -1)::int8,
       class.relrowsecurity
  FROM pg_catalog.pg_class AS class JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
 WHERE namespace.nspname = $1 AND class.relkind IN ('r', 'p') AND NOT class.relispartition";

const OTHER_NAMES: &str = "
SELECT class.relname FROM pg_catalog.pg_class AS class
  JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
 WHERE namespace.nspname = $1 AND (class.relkind NOT IN ('r', 'p') OR class.relispartition)";

const COLUMNS: &str = "
SELECT attribute.attname, pg_catalog.format_type(attribute.atttypid, attribute.atttypmod), NOT attribute.attnotnull,
       pg_catalog.pg_get_expr(value.adbin, value.adrelid), attribute.attidentity <> '' OR attribute.attgenerated <> '',
       pg_catalog.col_description(attribute.attrelid, attribute.attnum), attribute.attgenerated <> '',
       nullif(attribute.attstattarget, -1)::int4, pg_catalog.array_to_string(attribute.attoptions, ', '),
       attribute.attacl IS NOT NULL,
       (SELECT ARRAY[namespace.nspname::text, sequence.relname::text] FROM pg_catalog.pg_depend AS depend
          JOIN pg_catalog.pg_class AS sequence ON sequence.oid = depend.objid AND sequence.relkind = 'S'
          JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = sequence.relnamespace
         WHERE depend.classid = 'pg_catalog.pg_class'::regclass AND depend.refclassid = 'pg_catalog.pg_class'::regclass
           AND depend.refobjid = attribute.attrelid AND depend.refobjsubid = attribute.attnum AND depend.deptype = 'a' LIMIT 1)
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
                         AND depend.refobjid = index.indrelid AND depend.refobjsubid = attribute.attnum))),
       index.indisreplident OR EXISTS (WITH RECURSIVE parts (oid) AS (
             SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = index.indexrelid
              UNION ALL SELECT inhrelid FROM pg_catalog.pg_inherits JOIN parts ON inhparent = parts.oid)
         SELECT FROM parts JOIN pg_catalog.pg_index AS part ON part.indexrelid = parts.oid AND part.indisreplident),
       pg_catalog.obj_description(index.indexrelid, 'pg_class')
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
       ARRAY(SELECT attribute.attname::text
               FROM unnest(CASE WHEN constr.conrelid = $1 THEN constr.conkey ELSE constr.confkey END) WITH ORDINALITY AS key(number, place)
               JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = $1 AND attribute.attnum = key.number
              ORDER BY key.place),
       constr.contype::text, pg_catalog.pg_get_expr(constr.conbin, constr.conrelid), constr.convalidated,
       pg_catalog.obj_description(constr.oid, 'pg_constraint'),
       ARRAY(SELECT attribute.attname::text FROM pg_catalog.pg_attribute AS attribute
              WHERE attribute.attrelid = $1 AND constr.conrelid = constr.confrelid AND attribute.attnum = ANY (constr.confkey))
  FROM pg_catalog.pg_constraint AS constr
 WHERE (constr.conrelid = $1 OR constr.confrelid = $1) AND constr.contype IN ('c', 'f', 'p', 'u', 'x') AND constr.conparentid = 0
 ORDER BY constr.conname";

/// Views, rules, policies, triggers, publications' column lists, functions with a parsed body and generated columns on a column.
const DEPENDANTS: &str = "
SELECT DISTINCT attribute.attname::text,
       pg_catalog.pg_describe_object(depend.classid, depend.objid, 0)
  FROM pg_catalog.pg_depend AS depend
  JOIN pg_catalog.pg_attribute AS attribute
    ON attribute.attrelid = depend.refobjid AND attribute.attnum = depend.refobjsubid
 WHERE depend.refclassid = 'pg_catalog.pg_class'::regclass AND depend.refobjid = $1 AND depend.refobjsubid > 0
   AND NOT attribute.attisdropped AND depend.deptype IN ('n', 'a')
   AND (depend.classid = 'pg_catalog.pg_statistic_ext'::regclass
        AND EXISTS (SELECT FROM pg_catalog.pg_statistic_ext AS of WHERE of.oid = depend.objid AND of.stxexprs IS NOT NULL)
        OR depend.classid IN ('pg_catalog.pg_rewrite'::regclass, 'pg_catalog.pg_policy'::regclass, 'pg_catalog.pg_trigger'::regclass,
                          'pg_catalog.pg_publication_rel'::regclass, 'pg_catalog.pg_proc'::regclass))
UNION
SELECT source.attname::text, 'generated column ' || made.attname
  FROM pg_catalog.pg_attrdef AS value
  JOIN pg_catalog.pg_depend AS depend ON depend.classid = 'pg_catalog.pg_attrdef'::regclass AND depend.objid = value.oid
  JOIN pg_catalog.pg_attribute AS made ON made.attrelid = value.adrelid AND made.attnum = value.adnum
  JOIN pg_catalog.pg_attribute AS source ON source.attrelid = depend.refobjid AND source.attnum = depend.refobjsubid
 WHERE value.adrelid = $1 AND made.attgenerated <> '' AND depend.refobjid = $1 AND source.attnum <> made.attnum";

const STATISTICS: &str = "
SELECT namespace.nspname, statistics.stxname,
       ARRAY(SELECT attribute.attname::text FROM unnest(statistics.stxkeys::int2[]) WITH ORDINALITY AS key(number, place)
               JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = $1 AND attribute.attnum = key.number
              ORDER BY key.place),
       (SELECT string_agg(CASE kind WHEN 'd' THEN 'ndistinct' WHEN 'f' THEN 'dependencies' WHEN 'm' THEN 'mcv' END, ', ')
          FROM unnest(statistics.stxkind) AS kind),
       statistics.stxexprs IS NOT NULL
  FROM pg_catalog.pg_statistic_ext AS statistics
  JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = statistics.stxnamespace
 WHERE statistics.stxrelid = $1 ORDER BY statistics.stxname";

const PARTITIONS: &str = tree!(
    "$1::oid",
    "
SELECT namespace.nspname, class.relname, class.relkind::text, class.oid
  FROM tree JOIN pg_catalog.pg_class AS class ON class.oid = tree.oid AND class.relispartition
  JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
 WHERE tree.level > 0 ORDER BY tree.level, namespace.nspname, class.relname"
);

/// What partitions have of their own, and not from their table: it would stay with a column that is replaced.
const OF_PARTITIONS: &str = tree!(
    "$1::oid",
    ", parts (oid) AS (SELECT oid FROM tree WHERE level > 0),
own (relation, number, what, rule) AS (
    SELECT constr.conrelid, key.number, 'constraint ' || constr.conname, true
      FROM pg_catalog.pg_constraint AS constr, unnest(constr.conkey) AS key(number)
     WHERE constr.conrelid IN (SELECT oid FROM parts) AND constr.conparentid = 0 AND constr.coninhcount = 0 AND constr.contype <> 'n'
    UNION ALL
    SELECT constr.confrelid, key.number, 'foreign key ' || constr.conname || ' of ' || constr.conrelid::pg_catalog.regclass, false
      FROM pg_catalog.pg_constraint AS constr, unnest(constr.confkey) AS key(number)
     WHERE constr.confrelid IN (SELECT oid FROM parts) AND constr.conparentid = 0
    UNION ALL
    SELECT index.indrelid, depend.refobjsubid, CASE WHEN index.indisreplident THEN 'replica identity ' ELSE 'index ' END || class.relname, false
      FROM pg_catalog.pg_index AS index JOIN pg_catalog.pg_class AS class ON class.oid = index.indexrelid
      JOIN pg_catalog.pg_depend AS depend ON depend.classid = 'pg_catalog.pg_class'::regclass AND depend.objid = index.indexrelid
           AND depend.refobjid = index.indrelid AND depend.refobjsubid > 0
     WHERE index.indrelid IN (SELECT oid FROM parts) AND (index.indisreplident OR NOT EXISTS
           (SELECT FROM pg_catalog.pg_inherits WHERE inhrelid = index.indexrelid))
       AND NOT pg_catalog.starts_with(class.relname::text, '_switchover_')
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conindid = index.indexrelid AND contype IN ('p', 'u', 'x'))
    UNION ALL
    SELECT depend.refobjid, depend.refobjsubid, pg_catalog.pg_describe_object(depend.classid, depend.objid, 0), false
      FROM pg_catalog.pg_depend AS depend
     WHERE depend.refclassid = 'pg_catalog.pg_class'::regclass AND depend.refobjid IN (SELECT oid FROM parts) AND depend.refobjsubid > 0
       AND depend.deptype IN ('n', 'a')
       AND (depend.classid IN ('pg_catalog.pg_rewrite'::regclass, 'pg_catalog.pg_policy'::regclass, 'pg_catalog.pg_publication_rel'::regclass,
                               'pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_statistic_ext'::regclass)
            OR depend.classid = 'pg_catalog.pg_trigger'::regclass
               AND EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE oid = depend.objid AND tgparentid = 0))
    UNION ALL
    SELECT part.attrelid, part.attnum, 'a default or NOT NULL of its own', false
      FROM pg_catalog.pg_attribute AS part
      JOIN pg_catalog.pg_attribute AS whole ON whole.attrelid = $1 AND whole.attname = part.attname AND whole.attnum > 0
      LEFT JOIN pg_catalog.pg_attrdef AS own ON own.adrelid = part.attrelid AND own.adnum = part.attnum
      LEFT JOIN pg_catalog.pg_attrdef AS given ON given.adrelid = whole.attrelid AND given.adnum = whole.attnum
     WHERE part.attrelid IN (SELECT oid FROM parts) AND (part.attnotnull <> whole.attnotnull
           OR pg_catalog.pg_get_expr(own.adbin, own.adrelid) IS DISTINCT FROM pg_catalog.pg_get_expr(given.adbin, given.adrelid)))
SELECT DISTINCT attribute.attname::text, own.what || ' of partition ' || own.relation::pg_catalog.regclass, own.rule
  FROM own JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = own.relation AND attribute.attnum = own.number
 WHERE attribute.attnum > 0 ORDER BY 2, 1"
);

const RELATIVES: &str = "
SELECT class.oid::pg_catalog.regclass::text FROM pg_catalog.pg_inherits AS inherits
  JOIN pg_catalog.pg_class AS class
    ON class.oid = CASE WHEN inherits.inhparent = $1 THEN inherits.inhrelid ELSE inherits.inhparent END
 WHERE (inherits.inhparent = $1 OR inherits.inhrelid = $1) AND NOT class.relispartition ORDER BY 1";

/// Whether an expression is part of the key, and the key's columns. Those of an expression count, too: the column needs the
/// table as long as that is there (`pg_depend`, type `i`), and not the other way round.
const PARTITION_KEY: &str = "
SELECT partitioned.partexprs IS NOT NULL,
       ARRAY(SELECT attribute.attname::text FROM pg_catalog.pg_attribute AS attribute
              WHERE attribute.attrelid = partitioned.partrelid AND attribute.attnum > 0
                AND (attribute.attnum = ANY (partitioned.partattrs::int2[]) OR EXISTS (SELECT FROM pg_catalog.pg_depend AS depend
                      WHERE depend.classid = 'pg_catalog.pg_class'::regclass AND depend.objid = attribute.attrelid AND depend.objsubid = attribute.attnum
                        AND depend.refclassid = 'pg_catalog.pg_class'::regclass AND depend.refobjid = attribute.attrelid
                        AND depend.refobjsubid = 0 AND depend.deptype = 'i'))
              ORDER BY attribute.attnum)
  FROM pg_catalog.pg_partitioned_table AS partitioned WHERE partitioned.partrelid = $1";

/// The rows of all partitions, as far as they were analysed.
const ROWS_OF_PARTITIONS: &str = tree!(
    "$1::oid",
    "SELECT sum(nullif(class.reltuples, -1))::int8 FROM tree JOIN pg_catalog.pg_class AS class ON class.oid = tree.oid AND class.relkind = 'r'"
);

/// Triggers fire in the order of their names, byte by byte.
const TRIGGERS_AROUND: &str = tree!(
    "$1::oid",
    "
SELECT DISTINCT tgname FROM pg_catalog.pg_trigger
 WHERE tgrelid IN (SELECT oid FROM tree) AND NOT tgisinternal AND tgtype & 3 = 3 AND tgname NOT IN ('!switchover', '~switchover')
   AND (tgname::text COLLATE \"C\" < '!switchover' OR tgname::text COLLATE \"C\" > '~switchover') ORDER BY tgname"
);

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
        let mut rows: Option<i64> = row.get(3);
        let partitioned = row.get(2);
        let mut dependants = dependants(client, oid, versions).await?;
        let (mut partitions, mut partitioned_by) = (Vec::new(), PartitionKey::default());
        if partitioned {
            dependants.extend(of_partitions(client, oid).await?);
            partitions = self::partitions(client, oid).await?;
            partitioned_by = partition_key(client, oid).await?;
            rows = client.query_one(ROWS_OF_PARTITIONS, &[&oid]).await?.get(0);
        }
        let table = Table {
            columns: columns(client, oid).await?,
            primary_key: columns_of(client, PRIMARY_KEY, oid).await?,
            indexes: indexes(client, oid).await?,
            constraints: constraints(client, oid).await?,
            dependants,
            rows: rows.and_then(|rows| u64::try_from(rows).ok()),
            partitioned,
            row_security: row.get(4),
            statistics: statistics(client, oid).await?,
            partitions,
            partitioned_by,
            relatives: client.query(RELATIVES, &[&oid]).await?.iter().map(|row| row.get(0)).collect(),
            triggers_around: client.query(TRIGGERS_AROUND, &[&oid]).await?.iter().map(|row| row.get(0)).collect(),
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
            computed: row.get(6),
            comment: row.get(5),
            statistics_target: row.get(7),
            options: row.get(8),
            granted: row.get(9),
            sequence: sequence(row.get(10))?,
        })
    };
    rows.iter().map(column).collect()
}

async fn columns_of(client: &Client, query: &str, oid: u32) -> Result<Vec<Ident>, MigrateError> {
    client.query(query, &[&oid]).await?.iter().map(|row| ident(row, 0)).collect()
}

fn qualified(row: &Row, column: usize) -> Result<QualifiedName, MigrateError> {
    Ok(QualifiedName::new(&ident(row, column)?, &ident(row, column + 1)?))
}

async fn partition_key(client: &Client, oid: u32) -> Result<PartitionKey, MigrateError> {
    let row = client.query_one(PARTITION_KEY, &[&oid]).await?;
    Ok(PartitionKey { in_expression: row.get(0), columns: idents(row.get(1))? })
}

async fn partitions(client: &Client, oid: u32) -> Result<Vec<Partition>, MigrateError> {
    let mut partitions = Vec::new();
    for row in client.query(PARTITIONS, &[&oid]).await? {
        let (kind, partitioned_by) = match row.get(2) {
            "p" => (PartitionKind::Partitioned, Some(partition_key(client, row.get(3)).await?)),
            "f" => (PartitionKind::Foreign, None),
            _ => (PartitionKind::Table, None),
        };
        partitions.push(Partition { name: qualified(&row, 0)?, kind, partitioned_by });
    }
    Ok(partitions)
}

async fn statistics(client: &Client, oid: u32) -> Result<Vec<Statistics>, MigrateError> {
    let rows = client.query(STATISTICS, &[&oid]).await?;
    let statistics = |row: &Row| {
        let kinds: Option<String> = row.get(3);
        Ok(Statistics {
            name: qualified(row, 0)?,
            columns: idents(row.get(2))?,
            kinds: kinds.unwrap_or_default(),
            of_expressions: row.get(4),
        })
    };
    rows.iter().map(statistics).collect()
}

fn sequence(name: Option<Vec<String>>) -> Result<Option<QualifiedName>, MigrateError> {
    let names = idents(name.unwrap_or_default())?;
    let [schema, name] = &names[..] else { return Ok(None) };
    Ok(Some(QualifiedName::new(schema, name)))
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
            replica_identity: row.get(5),
            comment: row.get(6),
        })
    };
    rows.iter().map(index).collect()
}

async fn constraints(client: &Client, oid: u32) -> Result<Vec<TableConstraint>, MigrateError> {
    let rows = client.query(CONSTRAINTS, &[&oid]).await?;
    let constraint = |row: &Row| {
        let of_table: Option<String> = row.get(2);
        let kind: String = row.get(4);
        Ok(TableConstraint {
            name: ident(row, 0)?,
            kind: match kind.as_str() {
                "c" => ConstraintType::Check,
                "f" => ConstraintType::ForeignKey,
                "p" => ConstraintType::PrimaryKey,
                "u" => ConstraintType::Unique,
                "x" => ConstraintType::Exclude,
                other => return Err(MigrateError::Unexpected(format!("a constraint of the type {other}"))),
            },
            condition: row.get(5),
            validated: row.get(6),
            comment: row.get(7),
            referred: idents(row.get(8))?,
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
            found.push(Dependant { column: ident(&row, 0)?, what, is_rule_of_partition: false });
        }
    }
    Ok(found)
}

/// What its partitions have of their own.
async fn of_partitions(client: &Client, oid: u32) -> Result<Vec<Dependant>, MigrateError> {
    let rows = client.query(OF_PARTITIONS, &[&oid]).await?;
    let dependant =
        |row: &Row| Ok(Dependant { column: ident(row, 0)?, what: row.get(1), is_rule_of_partition: row.get(2) });
    rows.iter().map(dependant).collect()
}
