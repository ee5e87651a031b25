//! What keeps the columns of two versions of a table in step: the values that each side's writes give the other's.
//!
//! Who wrote a row is told by the row itself, never by a setting of the session. A column that only the newer version
//! has carries a default that leaves a trace when it is evaluated: an insert that left the column out came from an older
//! version. The newer version's view has defaults of its own, so its inserts never evaluate that one. Of an update the
//! columns that changed tell. So a write counts for its version whatever the session's `search_path` is, by qualified
//! names, out of functions, and by `COPY`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::{Expression, Ident, Literal, QualifiedName};

/// The columns of one table that one migration keeps in step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableChange {
    /// The migration's number; later ones stand on earlier ones.
    pub number: u32,
    /// The table's name in the database.
    pub table: Ident,
    /// Our column that says whether a row has its new values: NULL where it has not. Nothing where no row needs any.
    pub mark: Option<Ident>,
    /// The newer version's columns, from the older one's row.
    pub forward: Vec<Assignment>,
    /// The older version's columns, from the newer one's row.
    pub backward: Vec<Assignment>,
    /// Older versions' columns that none of their inserts can leave out, so that a row without them is the newer one's.
    pub fill: Vec<Assignment>,
}

/// A column's value as the other side's row gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The column that gets it, by its name in the database.
    pub column: Ident,
    /// Its type.
    pub data_type: String,
    /// The value, in the names of the version it is taken from.
    pub expression: String,
    /// Those names, to the database's.
    pub names: BTreeMap<Ident, Ident>,
}

impl Assignment {
    fn parsed(&self) -> Expression {
        Expression::parse(&self.expression).expect("it was parsed when the change was planned")
    }

    /// The value, with columns as `row` names them.
    fn value(&self, row: &str) -> String {
        let columns = self.parsed().with_columns(&|name| self.names.get(name).map(|name| format!("{row}{name}")));
        format!("CAST(({columns}) AS {})", self.data_type)
    }

    /// The database's columns that it is taken from.
    fn sources(&self) -> BTreeSet<Ident> {
        self.parsed().columns().iter().filter_map(|name| self.names.get(name).cloned()).collect()
    }
}

impl TableChange {
    /// What an update of a batch of rows sets, for rows that no write has brought in step yet.
    #[must_use]
    pub fn backfill(&self) -> String {
        let mut set: Vec<String> =
            self.forward.iter().map(|assignment| format!("{} = {}", assignment.column, assignment.value(""))).collect();
        set.extend(self.mark.iter().map(|mark| format!("{mark} = 1")));
        set.join(", ")
    }

    /// Holds for a row whose sides agree: one of them follows from the other.
    #[must_use]
    pub fn agrees(&self) -> String {
        let side = |assignments: &[Assignment]| {
            let equal = assignments
                .iter()
                .map(|assignment| format!("{} IS NOT DISTINCT FROM {}", assignment.column, assignment.value("")));
            let all: Vec<String> = equal.collect();
            if all.is_empty() { "true".to_owned() } else { all.join(" AND ") }
        };
        format!("(({}) OR ({}))", side(&self.forward), side(&self.backward))
    }

    /// What an update sets in rows whose older versions' columns do not follow from the newer one's any more, and which rows
    /// these are: those made since `kept` was, and those whose newer columns were changed since.
    pub(crate) fn give_back(&self, kept: &Ident) -> (String, String) {
        let mut set = Vec::new();
        let mut rows = vec![format!("{kept} IS NULL")];
        for back in self.backward.iter().chain(&self.fill) {
            let (column, value) = (&back.column, back.value(""));
            let sources = back.sources();
            let as_then: Vec<String> = self
                .forward
                .iter()
                .filter(|forward| sources.contains(&forward.column))
                .map(|forward| format!("{} IS NOT DISTINCT FROM {}", forward.column, forward.value("")))
                .collect();
            // An older value that the newer one still follows from may say more than the newer one does.
            if as_then.is_empty() {
                set.push(format!("{column} = CASE WHEN {kept} IS NULL THEN {value} ELSE {column} END"));
                continue;
            }
            let stale = format!("NOT ({}) AND {column} IS DISTINCT FROM {value}", as_then.join(" AND "));
            set.push(format!("{column} = CASE WHEN {kept} IS NULL OR ({stale}) THEN {value} ELSE {column} END"));
            rows.push(format!("({stale})"));
        }
        set.push(format!("{kept} = true"));
        (set.join(", "), rows.join(" OR "))
    }

    /// Holds for a row that an older version wrote while nothing carried its writes over: one without a mark, or one whose
    /// newer columns follow from the older ones no more, nor these from them.
    pub(crate) fn out_of_step(&self) -> Option<String> {
        let mark = self.mark.as_ref()?;
        let follows =
            |assignment: &Assignment| format!("{} IS NOT DISTINCT FROM {}", assignment.column, assignment.value(""));
        // A column that follows from no other is its version's own.
        let forward: Vec<String> =
            self.forward.iter().filter(|forward| !forward.sources().is_empty()).map(follows).collect();
        if forward.is_empty() {
            return Some(format!("{mark} IS NULL"));
        }
        let mut agree = format!("({})", forward.join(" AND "));
        if !self.backward.is_empty() {
            let backward: Vec<String> = self.backward.iter().map(follows).collect();
            agree.push_str(&format!(" OR ({})", backward.join(" AND ")));
        }
        Some(format!("{mark} IS NULL OR NOT ({agree})"))
    }

    /// The default that tells an older version's insert.
    pub(crate) fn telling_default(&self, data_type: &str) -> String {
        format!("CAST(switchover.left_out({}) AS {data_type})", Literal(&trace(self.number)))
    }
}

fn trace(number: u32) -> String {
    format!(":{number}:")
}

/// The sequence that holds when a version older than the change last wrote, in seconds since 1970: no transaction waits for
/// another one for it, and it is not logged. A crash of the server forgets it.
#[must_use]
pub fn older_writes(schema: &Ident, number: u32) -> QualifiedName {
    QualifiedName::new(&ours(), &schema.prefixed(&format!("older_{number}_")))
}

/// What makes it, for everybody who may write.
#[must_use]
pub fn make_older_writes(schema: &Ident, number: u32) -> String {
    let sequence = older_writes(schema, number);
    format!("CREATE UNLOGGED SEQUENCE IF NOT EXISTS {sequence}; GRANT SELECT, UPDATE ON SEQUENCE {sequence} TO PUBLIC")
}

fn ours() -> Ident {
    Ident::new("switchover").expect("a name")
}

/// Name of the setting under which a batch of the backfill tells the triggers that it does their work itself.
pub const BACKFILL_SETTING: &str = "switchover.backfill";

/// The functions that triggers and defaults call, made once a database. Safe to run again.
pub const FUNCTIONS: &str = "
CREATE OR REPLACE FUNCTION switchover.left_out(trace text) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_catalog.set_config('switchover.left_out',
        coalesce(pg_catalog.current_setting('switchover.left_out', true), '') || trace, true);
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION switchover.same_rights(source text, target text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    given record;
BEGIN
    FOR given IN
        SELECT CASE WHEN acl.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(acl.grantee)) END AS grantee,
               acl.privilege_type AS privilege, acl.is_grantable
          FROM pg_catalog.pg_class AS class,
               pg_catalog.aclexplode(coalesce(class.relacl, pg_catalog.acldefault('r', class.relowner))) AS acl
         WHERE class.oid = source::pg_catalog.regclass
           AND acl.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRIGGER', 'REFERENCES')
    LOOP
        EXECUTE pg_catalog.format('GRANT %s ON %s TO %s%s', given.privilege, target::pg_catalog.regclass, given.grantee,
            CASE WHEN given.is_grantable AND given.grantee <> 'PUBLIC' THEN ' WITH GRANT OPTION' ELSE '' END);
    END LOOP;
END $$;
CREATE OR REPLACE FUNCTION switchover.set_apart(of text, prefix text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    index record;
    foreign_key name;
BEGIN
    -- A row that is kept must not hold up the deletion of one that is used.
    FOR foreign_key IN
        SELECT conname FROM pg_catalog.pg_constraint
         WHERE conrelid = of::pg_catalog.regclass AND contype = 'f' AND confrelid <> conrelid
    LOOP
        EXECUTE pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I', of::pg_catalog.regclass, foreign_key);
    END LOOP;
    FOR index IN
        SELECT class.oid::pg_catalog.regclass AS name, class.relname AS plain
          FROM pg_catalog.pg_index AS known JOIN pg_catalog.pg_class AS class ON class.oid = known.indexrelid
         WHERE known.indrelid = of::pg_catalog.regclass AND NOT pg_catalog.starts_with(class.relname, prefix)
    LOOP
        EXECUTE pg_catalog.format('ALTER INDEX %s RENAME TO %I', index.name,
            prefix || CASE WHEN octet_length(prefix || index.plain) < 64 THEN index.plain::text ELSE md5(index.plain) END);
    END LOOP;
END $$;
CREATE OR REPLACE FUNCTION switchover.same_schema_rights(source text, target text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    given record;
BEGIN
    FOR given IN
        SELECT CASE WHEN acl.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(acl.grantee)) END AS grantee
          FROM pg_catalog.pg_namespace AS namespace,
               pg_catalog.aclexplode(coalesce(namespace.nspacl, pg_catalog.acldefault('n', namespace.nspowner))) AS acl
         WHERE namespace.nspname = source AND acl.privilege_type = 'USAGE'
    LOOP
        EXECUTE pg_catalog.format('GRANT USAGE ON SCHEMA %I TO %s', target, given.grantee);
    END LOOP;
END $$;
";

/// The function and triggers that keep a table's active changes in step, in the order of their migrations. With no
/// change left, what takes them away.
pub(crate) fn triggers(schema: &Ident, table: &Ident, changes: &[TableChange]) -> Vec<String> {
    let on = QualifiedName::new(schema, table);
    // Triggers fire in the order of their names: ours before all others, to see who wrote, and after all others, so
    // that what they set is carried over too.
    let (first, last) = ("\"!switchover\"", "\"~switchover\"");
    let drop = [first, last].map(|name| format!("DROP TRIGGER IF EXISTS {name} ON {on}"));
    let names = [function_name(schema, table, "writer"), function_name(schema, table, "step")];
    if changes.is_empty() {
        let functions = names.map(|name| format!("DROP FUNCTION IF EXISTS {name}()"));
        return drop.into_iter().chain(functions).collect();
    }
    let mut statements = vec![
        function(&names[0], schema, &see_writer(changes)),
        function(&names[1], schema, &keep_in_step(schema, changes)),
    ];
    statements.extend(drop);
    let unless =
        format!("WHEN (coalesce(pg_catalog.current_setting({}, true), '') <> 'on')", Literal(BACKFILL_SETTING));
    statements
        .push(format!("CREATE TRIGGER {first} BEFORE INSERT ON {on} FOR EACH ROW EXECUTE FUNCTION {}()", names[0]));
    statements.push(format!(
        "CREATE TRIGGER {last} BEFORE INSERT OR UPDATE ON {on} FOR EACH ROW {unless} EXECUTE FUNCTION {}()",
        names[1]
    ));
    statements
}

fn function_name(schema: &Ident, table: &Ident, role: &str) -> QualifiedName {
    let name = table.prefixed(&format!("{role}_{}_", schema.as_str()));
    QualifiedName::new(&ours(), &name)
}

fn function(name: &QualifiedName, schema: &Ident, body: &str) -> String {
    let mut tag = "$switchover$".to_owned();
    while body.contains(&tag) {
        tag.insert(1, '_');
    }
    format!(
        "CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SET search_path = {schema}, pg_catalog AS \
         {tag}{body}{tag}"
    )
}

/// 1 where the row came from a version older than the change, 2 where from a newer one.
fn see_writer(changes: &[TableChange]) -> String {
    let mut body = String::from(
        "\nDECLARE\n    left_out text := coalesce(current_setting('switchover.left_out', true), '');\n    is_newer boolean := false;\nBEGIN\n    IF left_out <> '' THEN\n        PERFORM set_config('switchover.left_out', '', true);\n    END IF;\n",
    );
    // Who knows a change knows all before it, also where it has no column any more that they are told by.
    let marked = changes.iter().filter_map(|change| Some((change, change.mark.as_ref()?)));
    for (change, mark) in marked.rev() {
        let trace = trace(change.number);
        let trace = Literal(&trace);
        let _ = writeln!(body, "    is_newer := is_newer OR position({trace} IN left_out) = 0;");
        let _ = writeln!(body, "    NEW.{mark} := CASE WHEN is_newer THEN 2 ELSE 1 END;");
    }
    body.push_str("    RETURN NEW;\nEND\n");
    body
}

fn keep_in_step(schema: &Ident, changes: &[TableChange]) -> String {
    let marked = || changes.iter().filter_map(|change| Some((change, change.mark.as_ref()?)));
    let mut body = String::from("\nBEGIN\n    IF TG_OP = 'INSERT' THEN\n");
    for (change, mark) in marked().rev() {
        when(&mut body, &format!("NEW.{mark} = 2"), &change.backward);
    }
    for filled in changes.iter().flat_map(|change| &change.fill) {
        when(&mut body, &format!("NEW.{} IS NULL", filled.column), std::slice::from_ref(filled));
    }
    for (change, mark) in marked() {
        when(&mut body, &format!("NEW.{mark} = 1"), &change.forward);
        note_older(&mut body, schema, change, &format!("NEW.{mark} = 1"));
    }
    body.push_str("    ELSE\n");
    // A write is one version's: what it changed of the newest change is carried to the older ones, then the rest onward.
    for (change, _) in marked().rev() {
        when(&mut body, &by_newer(change), &change.backward);
    }
    for (change, mark) in marked() {
        let by_older = changed(change.forward.iter().flat_map(Assignment::sources));
        let by_newer = by_newer(change);
        // Before the newer columns follow.
        note_older(&mut body, schema, change, &format!("NOT {by_newer} AND {by_older}"));
        when(&mut body, &format!("NOT {by_newer} AND (NEW.{mark} IS NULL OR {by_older})"), &change.forward);
        let _ = writeln!(body, "        NEW.{mark} := coalesce(NEW.{mark}, 1);");
    }
    body.push_str("    END IF;\n    RETURN NEW;\nEND\n");
    body
}

fn note_older(body: &mut String, schema: &Ident, change: &TableChange, condition: &str) {
    let sequence = older_writes(schema, change.number).to_string();
    let _ = writeln!(
        body,
        "        IF {condition} THEN\n            PERFORM setval({}, extract(epoch FROM clock_timestamp())::bigint);\n        END IF;",
        Literal(&sequence)
    );
}

/// Whether an update came from a version that knows the change: it changed a column that older ones do not.
fn by_newer(change: &TableChange) -> String {
    changed(change.forward.iter().map(|assignment| assignment.column.clone()))
}

fn changed(columns: impl Iterator<Item = Ident>) -> String {
    let columns: BTreeSet<Ident> = columns.collect();
    let each: Vec<String> =
        columns.iter().map(|column| format!("NEW.{column} IS DISTINCT FROM OLD.{column}")).collect();
    if each.is_empty() { "(false)".to_owned() } else { format!("({})", each.join(" OR ")) }
}

fn when(body: &mut String, condition: &str, assignments: &[Assignment]) {
    if assignments.is_empty() {
        return;
    }
    let _ = writeln!(body, "        IF {condition} THEN");
    for assignment in assignments {
        let _ = writeln!(body, "            NEW.{} := {};", assignment.column, assignment.value("NEW."));
    }
    body.push_str("        END IF;\n");
}
