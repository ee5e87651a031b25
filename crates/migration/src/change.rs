//! What keeps the columns of two versions of a table in step: the values that each side's writes give the other's.
//!
//! Who wrote a row is told by the row itself, never by a setting of the session. A column that only the newer version
//! has carries a default that leaves a trace when it is evaluated: an insert that left the column out came from an older
//! version. The newer version's view has defaults of its own, so its inserts never evaluate that one. Of an update the
//! columns that changed tell. So a write counts for its version whatever the session's `search_path` is, by qualified
//! names, out of functions, and by `COPY`.
//!
//! One thing a row can not tell: who changed a column that both versions have. A value that is taken from such a column
//! goes on following it as long as it does follow it; one that its own version gave another value is left alone.

mod agreement;

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
    /// Older versions' columns that newer versions' inserts leave out and older ones' may: the newer versions' views leave
    /// a trace in their place.
    #[serde(default)]
    pub left: Vec<Assignment>,
    /// The database's columns that both versions have.
    #[serde(default)]
    pub shared: BTreeSet<Ident>,
    /// What an older version's insert leaves behind; names the change for good, whatever its table is called later.
    #[serde(default)]
    pub trace: String,
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
    pub(crate) fn sources(&self) -> BTreeSet<Ident> {
        self.parsed().columns().iter().filter_map(|name| self.names.get(name).cloned()).collect()
    }

    /// Those of them that one side alone has, and those that both have.
    fn sources_by_side(&self, shared: &BTreeSet<Ident>) -> (BTreeSet<Ident>, BTreeSet<Ident>) {
        self.sources().into_iter().partition(|source| !shared.contains(source))
    }
}

impl TableChange {
    /// What an update of a batch of rows sets, for rows that no write has brought in step yet.
    #[must_use]
    pub fn backfill(&self) -> String {
        let mut set: Vec<String> = self
            .forward
            .iter()
            .map(|assignment| format!("{} = {}", assignment.column, self.of_row(assignment)))
            .collect();
        set.extend(self.mark.iter().map(|mark| format!("{mark} = 1")));
        set.join(", ")
    }

    /// A value with its columns named by their table, so that none is taken for one of a query within it.
    pub(crate) fn of_row(&self, assignment: &Assignment) -> String {
        assignment.value(&format!("{}.", self.table))
    }

    /// The default that tells an older version's insert.
    pub(crate) fn telling_default(&self, data_type: &str) -> String {
        format!("CAST(switchover.left_out({}) AS {data_type})", Literal(&self.trace()))
    }

    fn trace(&self) -> String {
        if self.trace.is_empty() { format!(":{}:", self.number) } else { self.trace.clone() }
    }
}

/// The trace of a migration's change of a table.
pub(crate) fn trace(number: u32, table: &Ident) -> String {
    format!(":{number} {table}:")
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
    -- Once is enough, should nobody take it up.
    IF pg_catalog.strpos(coalesce(pg_catalog.current_setting('switchover.left_out', true), ''), trace) = 0 THEN
        PERFORM pg_catalog.set_config('switchover.left_out',
            coalesce(pg_catalog.current_setting('switchover.left_out', true), '') || trace, true);
    END IF;
    RETURN NULL;
END $$;
GRANT EXECUTE ON FUNCTION switchover.left_out(text) TO PUBLIC;
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
CREATE OR REPLACE FUNCTION switchover.same_column_rights(source text, of text, target text, name text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    given record;
BEGIN
    FOR given IN
        SELECT CASE WHEN acl.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(acl.grantee)) END AS grantee,
               acl.privilege_type AS privilege, acl.is_grantable
          FROM pg_catalog.pg_attribute AS attribute, pg_catalog.aclexplode(attribute.attacl) AS acl
         WHERE attribute.attrelid = source::pg_catalog.regclass AND attribute.attname = of
    LOOP
        EXECUTE pg_catalog.format('GRANT %s (%I) ON %s TO %s%s', given.privilege, name, target::pg_catalog.regclass, given.grantee,
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
    // Also for what `session_replication_role = replica` writes.
    statements.extend([first, last].map(|name| format!("ALTER TABLE {on} ENABLE ALWAYS TRIGGER {name}")));
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
        "CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SET search_path = {schema}, pg_temp AS \
         {tag}{body}{tag}"
    )
}

/// -1 where the row came from a version older than the change, -2 where from a newer one. A row that comes with a mark
/// is a copy of one whose sides are in step already (replicated, or out of a dump).
fn see_writer(changes: &[TableChange]) -> String {
    let mut body = String::from(
        "\nDECLARE\n    left_out text := coalesce(current_setting('switchover.left_out', true), '');\nBEGIN\n",
    );
    // The newest version leaves out what the one before it wrote: who is newer than a change is newer than those before.
    let mut newest: Option<&Ident> = None;
    for (change, mark) in marked(changes).rev() {
        let trace = change.trace();
        let trace = Literal(&trace);
        let unless = newest.map(|newest| format!(" AND NEW.{newest} <> -2")).unwrap_or_default();
        let _ = writeln!(
            body,
            "    NEW.{mark} := coalesce(NEW.{mark}, CASE WHEN position({trace} IN left_out) > 0{unless} THEN -1 ELSE -2 END);\n    left_out := replace(left_out, {trace}, '');"
        );
        newest = Some(mark);
    }
    for change in changes.iter().filter(|change| !change.left.is_empty()) {
        let trace = change.trace();
        let trace = Literal(&trace);
        let _ = writeln!(
            body,
            "    IF position({trace} IN left_out) > 0 THEN\n        left_out := replace(left_out, {trace}, '');"
        );
        for left in &change.left {
            let _ = writeln!(body, "        NEW.{} := {};", left.column, left.value("NEW."));
        }
        body.push_str("    END IF;\n");
    }
    body.push_str(
        "    IF left_out IS DISTINCT FROM current_setting('switchover.left_out', true) THEN\n        PERFORM set_config('switchover.left_out', left_out, true);\n    END IF;\n    RETURN NEW;\nEND\n",
    );
    body
}

fn keep_in_step(schema: &Ident, changes: &[TableChange]) -> String {
    let mut body = String::from("\nDECLARE\n");
    for change in changes {
        for flag in ["newer", "older", "settled", "followed"] {
            let _ = writeln!(body, "    {flag}_{} boolean := false;", change.number);
        }
    }
    body.push_str("BEGIN\n    IF TG_OP = 'INSERT' THEN\n");
    after_insert(&mut body, schema, changes);
    body.push_str("    ELSE\n");
    after_update(&mut body, schema, changes);
    body.push_str("    END IF;\n    RETURN NEW;\nEND\n");
    body
}

fn marked(changes: &[TableChange]) -> impl DoubleEndedIterator<Item = (&TableChange, &Ident)> {
    changes.iter().filter_map(|change| Some((change, change.mark.as_ref()?)))
}

fn after_insert(body: &mut String, schema: &Ident, changes: &[TableChange]) {
    for (change, mark) in marked(changes).rev() {
        when(body, &format!("NEW.{mark} = -2"), &change.backward);
    }
    for filled in changes.iter().flat_map(|change| &change.fill) {
        when(body, &format!("NEW.{} IS NULL", filled.column), std::slice::from_ref(filled));
    }
    for (change, mark) in marked(changes) {
        when(body, &format!("NEW.{mark} = -1"), &change.forward);
        note_older(body, schema, change, &format!("NEW.{mark} = -1"));
        let _ = writeln!(body, "        NEW.{mark} := abs(NEW.{mark});");
    }
}

/// A write is one version's: what it changed of the newest change is carried to the older ones, then the rest onward.
fn after_update(body: &mut String, schema: &Ident, changes: &[TableChange]) {
    for change in changes {
        let number = change.number;
        let _ = writeln!(body, "        newer_{number} := {};", changed(&change.newer_columns()));
        let _ = writeln!(body, "        older_{number} := {};", changed(&change.older_columns()));
        // Both sides at once and in step: a copy of a row (replicated).
        let _ = writeln!(
            body,
            "        IF newer_{number} AND older_{number} THEN\n            settled_{number} := {};\n        END IF;",
            change.agrees_in("NEW.")
        );
    }
    for (place, (change, mark)) in marked(changes).enumerate() {
        // A newer version's write of a row that is not in step yet: what it leaves alone has the value it would have had.
        let newer: Vec<String> =
            marked(changes).skip(place).map(|(change, _)| format!("newer_{}", change.number)).collect();
        if change.forward.is_empty() {
            continue;
        }
        let _ = writeln!(body, "        IF NEW.{mark} IS NULL AND ({}) THEN", newer.join(" OR "));
        for assignment in &change.forward {
            let column = &assignment.column;
            let _ = writeln!(
                body,
                "            IF {} THEN\n                OLD.{column} := {};\n                NEW.{column} := OLD.{column};\n            ELSE\n                OLD.{column} := {};\n            END IF;",
                same(&format!("NEW.{column}"), &format!("OLD.{column}")),
                assignment.value("OLD."),
                assignment.value("OLD."),
            );
        }
        body.push_str("        END IF;\n");
    }
    for change in changes.iter().rev() {
        backward_of(body, change);
    }
    for change in changes {
        forward_of(body, schema, change);
    }
}

fn note_older(body: &mut String, schema: &Ident, change: &TableChange, condition: &str) {
    let sequence = older_writes(schema, change.number).to_string();
    let _ = writeln!(
        body,
        "        IF {condition} THEN\n            PERFORM setval({}, extract(epoch FROM clock_timestamp())::bigint);\n        END IF;",
        Literal(&sequence)
    );
}

/// What an update by the newer version gives the older one's columns.
fn backward_of(body: &mut String, change: &TableChange) {
    let number = change.number;
    let _ = writeln!(body, "        newer_{number} := newer_{number} OR {};", changed(&change.newer_columns()));
    for assignment in change.of_older() {
        let column = &assignment.column;
        let (alone, shared) = assignment.sources_by_side(&change.shared);
        let all: BTreeSet<Ident> = alone.union(&shared).cloned().collect();
        let is_newer = format!("NOT settled_{number} AND newer_{number} AND {}", changed(&all));
        if !all.is_empty() {
            when(body, &is_newer, std::slice::from_ref(assignment));
        }
        if !shared.is_empty() {
            let _ = writeln!(
                body,
                "        IF NOT newer_{number} AND NOT older_{number} AND {} AND {} THEN\n            followed_{number} := true;\n            NEW.{column} := {};\n        END IF;",
                changed(&shared),
                same(&format!("OLD.{column}"), &assignment.value("OLD.")),
                assignment.value("NEW."),
            );
        }
    }
}

/// What an update by the older version gives the newer one's columns.
fn forward_of(body: &mut String, schema: &Ident, change: &TableChange) {
    let number = change.number;
    let Some(mark) = &change.mark else { return };
    note_older(body, schema, change, &format!("older_{number} AND NOT newer_{number}"));
    for assignment in &change.forward {
        let column = &assignment.column;
        let (alone, shared) = assignment.sources_by_side(&change.shared);
        let mut reasons = vec![format!("NEW.{mark} IS NULL")];
        if !alone.is_empty() {
            reasons.push(format!("NOT followed_{number} AND {}", changed(&alone)));
        }
        if !shared.is_empty() {
            reasons.push(format!(
                "{} AND (older_{number} OR {})",
                changed(&shared),
                same(&format!("OLD.{column}"), &assignment.value("OLD."))
            ));
        }
        let reasons: Vec<String> = reasons.into_iter().map(|reason| format!("({reason})")).collect();
        let is_older = format!("NOT newer_{number} AND ({})", reasons.join(" OR "));
        when(body, &is_older, std::slice::from_ref(assignment));
    }
    let _ = writeln!(
        body,
        "        NEW.{mark} := CASE WHEN settled_{number} THEN coalesce(NEW.{mark}, 1) WHEN newer_{number} THEN 2 WHEN older_{number} THEN 1 ELSE coalesce(NEW.{mark}, 1) END;"
    );
}

impl TableChange {
    /// Columns that only versions with the change write.
    fn newer_columns(&self) -> BTreeSet<Ident> {
        self.forward.iter().map(|assignment| assignment.column.clone()).collect()
    }

    /// All of the older version's values.
    pub(crate) fn of_older(&self) -> impl Iterator<Item = &Assignment> {
        self.backward.iter().chain(&self.fill).chain(&self.left)
    }

    /// Columns of the change that only older versions write.
    fn older_columns(&self) -> BTreeSet<Ident> {
        let kept = self.of_older().map(|assignment| assignment.column.clone());
        let read = self.forward.iter().flat_map(|assignment| assignment.sources_by_side(&self.shared).0);
        kept.chain(read).collect()
    }
}

/// Whether two values are the same to the byte: `=` of a type may not exist (json, xml, point) and may hold for values that
/// differ to an application (citext, numeric, box).
fn same(one: &str, other: &str) -> String {
    format!("ROW({one})::record OPERATOR(pg_catalog.*=) ROW({other})::record")
}

/// Whether one of these columns has another value than before.
fn changed(columns: &BTreeSet<Ident>) -> String {
    let row = |row: &str| {
        let columns: Vec<String> = columns.iter().map(|column| format!("{row}.{column}")).collect();
        columns.join(", ")
    };
    if columns.is_empty() {
        return "(false)".to_owned();
    }
    format!("(ROW({})::record OPERATOR(pg_catalog.*<>) ROW({})::record)", row("NEW"), row("OLD"))
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
