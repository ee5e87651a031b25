//! Two columns for one value while two versions of an app are in use, kept in step by a trigger.

use crate::lint::name::Name;

/// The statements of expand and of contract for a column `new` of type `data_type` beside `old`; `up` is its value from
/// `old`, `down` the value of `old` from it.
pub(super) fn kept_in_step(
    table: &Name,
    old: &str,
    new: &str,
    data_type: &str,
    up: &str,
    down: &str,
) -> (Vec<String>, Vec<String>) {
    let base = format!("{}_{}", table.name.as_str(), new.trim_matches('"'));
    let of_row = |expression: &str| format!("NEW.{expression}");
    let (up, down) = (of_row(up), of_row(down));
    let function = super::written_text(&format!("{base}_step"));
    let expand = vec![
        format!("ALTER TABLE {table} ADD COLUMN {new} {data_type};"),
        format!(
            "CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$\nBEGIN\n  \
             IF TG_OP = 'INSERT' AND NEW.{new} IS NOT NULL OR TG_OP = 'UPDATE' AND NEW.{new} IS DISTINCT FROM OLD.{new} THEN\n    \
             NEW.{old} := {down};\n  ELSE\n    NEW.{new} := {up};\n  END IF;\n  RETURN NEW;\nEND $$;"
        ),
        format!(
            "CREATE TRIGGER {function} BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {function}();"
        ),
        format!(
            "UPDATE {table} SET {old} = {old} WHERE {new} IS NULL AND ...;  -- few rows at a time, outside of the file"
        ),
    ];
    let contract = vec![
        format!("DROP TRIGGER {function} ON {table};"),
        format!("DROP FUNCTION {function}();"),
        format!("ALTER TABLE {table} DROP COLUMN {old};"),
    ];
    (expand, contract)
}
