//! A version's schema made anew from what is there: after the user's own statements, which make and take away what no plan
//! knows of.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Piece, Planned};
use crate::catalog::Catalog;
use crate::change::drop_version;
use crate::version::{OURS, Version, VersionColumn, VersionTable, is_ours};
use crate::{Ident, Literal};

/// What older versions still have and the version does not show.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Hidden {
    /// Whole tables.
    pub tables: BTreeSet<Ident>,
    /// Columns by their table.
    pub columns: BTreeMap<Ident, BTreeSet<Ident>>,
}

/// A version that is in use while another one is contracted, in the names before that.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Its schema.
    pub schema: Ident,
    /// What it shows, and whatever else is there and not hidden.
    pub version: Version,
    /// What it does not show.
    pub hidden: Hidden,
}

/// What the versions of `expanded` migrations show, oldest first.
#[must_use]
pub fn standing(catalog: &Catalog, expanded: &[(&Ident, &Planned)]) -> Vec<Standing> {
    let one = |(place, (schema, planned)): (usize, &(&Ident, &Planned))| {
        // What the next one stands on is all of it, with what its own statements made.
        let known = expanded.get(place + 1).map(|(_, next)| &next.before);
        let version = known.unwrap_or(&planned.version).clone();
        let of_sql = planned.pieces.iter().find_map(|piece| {
            let Piece::Sql { hidden, .. } = piece else { return None };
            Some(hidden.clone()).filter(|_| known.is_none())
        });
        let hidden = of_sql.unwrap_or_else(|| hidden(catalog, &version));
        Standing { schema: (*schema).clone(), version, hidden }
    };
    expanded.iter().enumerate().map(one).collect()
}

/// The version with tables and columns that came since it was planned; what `pieces` hide stays hidden.
#[must_use]
pub fn with_what_came<'a>(version: &Version, catalog: &Catalog, pieces: impl Iterator<Item = &'a Piece>) -> Version {
    let mut hidden = Hidden::default();
    for piece in pieces {
        match piece {
            Piece::DroppedTable { table } => {
                hidden.tables.insert(table.clone());
            }
            Piece::DroppedColumn { table, column } | Piece::ReplacedColumn { table, old: column, .. } => {
                hidden.columns.entry(table.clone()).or_default().insert(column.clone());
            }
            _ => {}
        }
    }
    let mut version = version.clone();
    for (name, table) in catalog.tables.iter().filter(|(name, _)| !is_ours(name) && !hidden.tables.contains(name)) {
        let is_taken = version.tables.contains_key(name);
        let seen = version.tables.values_mut().find(|seen| seen.physical == *name);
        let columns: Vec<VersionColumn> = table
            .columns
            .iter()
            .filter(|column| !is_ours(&column.name))
            .filter(|column| hidden.columns.get(name).is_none_or(|hidden| !hidden.contains(&column.name)))
            .map(|column| VersionColumn {
                name: column.name.clone(),
                physical: column.name.clone(),
                default: None,
                comment: column.comment.clone(),
            })
            .collect();
        match seen {
            Some(seen) => {
                let is_seen = |column: &VersionColumn| {
                    seen.columns.iter().any(|known| known.physical == column.physical || known.name == column.name)
                };
                let came: Vec<VersionColumn> = columns.into_iter().filter(|column| !is_seen(column)).collect();
                seen.columns.extend(came);
            }
            None if !is_taken => {
                version
                    .tables
                    .insert(name.clone(), VersionTable { physical: name.clone(), columns, hidden: Vec::new() });
            }
            None => {}
        }
    }
    version
}

/// What is there now and the version does not show.
pub(super) fn hidden(catalog: &Catalog, version: &Version) -> Hidden {
    let mut hidden = Hidden::default();
    for (name, table) in catalog.tables.iter().filter(|(name, _)| !is_ours(name)) {
        let Some(seen) = version.tables.values().find(|seen| seen.physical == *name) else {
            hidden.tables.insert(name.clone());
            continue;
        };
        let unseen = table.columns.iter().map(|column| &column.name).filter(|column| !is_ours(column));
        let unseen: BTreeSet<Ident> =
            unseen.filter(|column| seen.columns.iter().all(|known| known.physical != **column)).cloned().collect();
        if !unseen.is_empty() {
            hidden.columns.insert(name.clone(), unseen);
        }
    }
    hidden
}

/// Makes the version's schema anew from what is there.
pub(super) fn version_again(base: &Ident, schema: &Ident, version: &Version, hidden: &Hidden) -> Vec<String> {
    let seen = version.tables.iter().map(|(name, table)| (name.as_str().to_owned(), shown(name, table)));
    let seen = serde_json::Value::Object(seen.collect()).to_string();
    let unseen = serde_json::to_string(hidden).expect("names can be written as JSON");
    let values =
        [seen.as_str(), unseen.as_str(), base.as_str(), schema.as_str()].map(|value| Literal(value).to_string());
    let [seen, unseen, from, to] = &values;
    let body = format!(
        "DECLARE\n    seen CONSTANT jsonb := {seen};\n    hidden CONSTANT jsonb := {unseen};\n    \
         base CONSTANT text := {from};\n    target CONSTANT text := {to};{MAKE_VERSION}"
    );
    vec![
        drop_version(schema),
        format!("CREATE SCHEMA {schema}"),
        format!("SELECT switchover.same_schema_rights({}, {})", Literal(base.as_str()), Literal(schema.as_str())),
        format!("DO {}", Literal(&body)),
    ]
}

/// A table as [`MAKE_VERSION`] takes it.
fn shown(name: &Ident, table: &VersionTable) -> serde_json::Value {
    let hidden = table.hidden.iter().map(|hidden| {
        let name = hidden.physical.prefixed(OURS);
        serde_json::json!({ "physical": hidden.physical, "name": name, "default": hidden.default })
    });
    serde_json::json!({
        "physical": table.physical,
        "columns": table.columns,
        "between": name.prefixed(OURS),
        "hidden": hidden.collect::<Vec<_>>(),
    })
}

/// One view a table; see `version::view`, whose work it does for tables that are not known when it is planned.
const MAKE_VERSION: &str = "
    one record;
    given record;
    columns jsonb;
    past jsonb;
    list text;
    source text;
    target_view text;
    invoker boolean;
    granted boolean;
BEGIN
    FOR one IN
        SELECT coalesce(known.key, class.relname::text) AS name, class.relname::text AS physical, class.oid,
               class.relrowsecurity AS secured, known.value ->> 'between' AS between,
               coalesce(known.value -> 'columns', '[]') AS columns, coalesce(known.value -> 'hidden', '[]') AS past
          FROM pg_catalog.pg_class AS class
          JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
          LEFT JOIN jsonb_each(seen) AS known ON known.value ->> 'physical' = class.relname
         WHERE namespace.nspname = base AND class.relkind IN ('r', 'p') AND NOT class.relispartition
           AND (known.key IS NOT NULL OR NOT starts_with(class.relname::text, '_switchover_') AND NOT hidden -> 'tables' ? class.relname::text)
    LOOP
        SELECT jsonb_agg(jsonb_build_object('physical', attribute.attname, 'name', coalesce(shown.value ->> 'name', attribute.attname::text),
                         'default', shown.value ->> 'default', 'comment', shown.value ->> 'comment')
                         ORDER BY shown.place NULLS LAST, attribute.attnum), coalesce(bool_or(attribute.attacl IS NOT NULL), false)
          INTO columns, granted
          FROM pg_catalog.pg_attribute AS attribute
          LEFT JOIN jsonb_array_elements(one.columns) WITH ORDINALITY AS shown(value, place)
            ON shown.value ->> 'physical' = attribute.attname
         WHERE attribute.attrelid = one.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped
           AND (shown.value IS NOT NULL OR NOT starts_with(attribute.attname::text, '_switchover_')
                AND NOT coalesce(hidden -> 'columns' -> one.physical ? attribute.attname::text, false));
        SELECT jsonb_agg(gone.value) INTO past
          FROM jsonb_array_elements(one.past) AS gone(value)
          JOIN pg_catalog.pg_attribute AS attribute
            ON attribute.attrelid = one.oid AND attribute.attname = gone.value ->> 'physical' AND NOT attribute.attisdropped
         WHERE NOT starts_with(attribute.attname::text, '_switchover_attic_');
        invoker := NOT granted OR one.secured;
        source := format('%I.%I', base, one.physical);
        IF past IS NOT NULL THEN
            target_view := format('%I.%I', target, one.between);
            SELECT string_agg(format('%I AS %I', shown.value ->> 'physical', shown.value ->> 'name'), ', ') INTO list
              FROM jsonb_array_elements(coalesce(columns, '[]') || past) AS shown(value);
            EXECUTE format('CREATE VIEW %s WITH (security_invoker = %s) AS SELECT %s FROM %s', target_view, invoker, list, source);
            PERFORM switchover.note_view(target_view);
            PERFORM switchover.same_rights(source, target_view);
            PERFORM switchover.same_column_rights(source, shown.value ->> 'physical', target_view, shown.value ->> 'name')
               FROM jsonb_array_elements(coalesce(columns, '[]') || past) AS shown(value) WHERE granted;
            FOR given IN SELECT value ->> 'name' AS name, value ->> 'default' AS value FROM jsonb_array_elements(past) LOOP
                EXECUTE format('ALTER VIEW %s ALTER COLUMN %I SET DEFAULT %s', target_view, given.name, given.value);
            END LOOP;
            source := target_view;
            SELECT jsonb_agg(jsonb_set(shown.value, '{physical}', shown.value -> 'name')) INTO columns
              FROM jsonb_array_elements(columns) AS shown(value);
        END IF;
        target_view := format('%I.%I', target, one.name);
        SELECT string_agg(format('%I AS %I', shown.value ->> 'physical', shown.value ->> 'name'), ', ') INTO list
          FROM jsonb_array_elements(columns) AS shown(value);
        EXECUTE format('CREATE VIEW %s WITH (security_invoker = %s) AS SELECT %s FROM %s', target_view, invoker, list, source);
        PERFORM switchover.note_view(target_view);
        PERFORM switchover.same_rights(source, target_view);
        PERFORM switchover.same_column_rights(source, shown.value ->> 'physical', target_view, shown.value ->> 'name')
           FROM jsonb_array_elements(columns) AS shown(value) WHERE granted;
        FOR given IN
            SELECT value ->> 'name' AS name, value ->> 'default' AS value, value ->> 'comment' AS comment FROM jsonb_array_elements(columns)
        LOOP
            IF given.value IS NOT NULL THEN
                EXECUTE format('ALTER VIEW %s ALTER COLUMN %I SET DEFAULT %s', target_view, given.name, given.value);
            END IF;
            IF given.comment IS NOT NULL THEN
                EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', target_view, given.name, given.comment);
            END IF;
        END LOOP;
    END LOOP;
END";
