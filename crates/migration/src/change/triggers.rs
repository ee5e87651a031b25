//! The function and triggers of one table.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::functions::{BACKFILL_SETTING, older_writes, ours};
use super::{Assignment, TableChange, same};
use crate::{Ident, Literal, QualifiedName};

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
    let sequence = Literal(&sequence);
    let now = "extract(epoch FROM clock_timestamp())::bigint";
    let _ = writeln!(
        body,
        "        IF ({condition}) AND coalesce(pg_sequence_last_value({sequence}), 0) < {now} THEN\n            PERFORM setval({sequence}, {now});\n        END IF;"
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
