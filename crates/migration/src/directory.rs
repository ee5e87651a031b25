//! A directory of migrations: declared files and files of SQL, by their numbers.
//!
//! `0003_name.yaml` (or `.yml`, `.json`) declares operations. `0003_name.expand.sql`, `0003_name.contract.sql` and
//! `0003_name.undo.sql` are the parts of one migration in SQL, each of which may be missing but not all; `0003_name.sql` is one
//! that the version in use can live with as it is, so it is all expand. Both kinds may stand in one directory.

use std::collections::BTreeMap;

use sha2::Digest as _;

use crate::mistake::Mistakes;
use crate::plan::sql::refusal;
use crate::{Ident, Migration, Mistake, Operation, RawSql, lint};

/// A file's name, without its folder, and its content.
pub type File = (String, String);

/// Which part of a migration a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Declared,
    Whole,
    Expand,
    Contract,
    Undo,
}

/// What a file's name may end in; a longer ending before one that it ends in.
const ENDINGS: &[(&str, Part)] = &[
    (".expand.sql", Part::Expand),
    (".contract.sql", Part::Contract),
    (".undo.sql", Part::Undo),
    (".sql", Part::Whole),
    (".yaml", Part::Declared),
    (".yml", Part::Declared),
    (".json", Part::Declared),
];

/// The migrations of a directory, in the order of their numbers.
///
/// Guarantees: looks at nothing but its arguments. Files whose names begin with a dot, and `.md` files, are no migrations.
/// Errors: every mistake of every file at once.
pub fn read(files: &[File]) -> Result<Vec<Migration>, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    let mut by_number: BTreeMap<u64, Vec<(&str, Part, &File)>> = BTreeMap::new();
    for file in files.iter().filter(|(name, _)| is_meant(name)) {
        match placed(&file.0) {
            Ok((number, stem, part)) => by_number.entry(number).or_default().push((stem, part, file)),
            Err((cause, write)) => mistakes.push(about(file, cause, write)),
        }
    }
    let mut migrations = Vec::new();
    for (number, mut parts) in by_number {
        parts.sort_by_key(|(stem, part, _)| (*stem, *part));
        if let Some(cause) = clash(number, &parts) {
            let file = parts.last().map_or(&files[0], |(_, _, file)| *file);
            mistakes.push(about(file, cause, "give one of them another number".to_owned()));
        }
        match migration(&parts) {
            Ok(migration) => migrations.push(migration),
            Err(found) => mistakes.extend(found),
        }
    }
    if mistakes.is_empty() { Ok(migrations) } else { Err(mistakes) }
}

/// Whether a file of the directory is to be a migration: none that begins with a dot, and no `.md`.
#[must_use]
pub fn is_meant(name: &str) -> bool {
    !name.starts_with('.') && !name.ends_with(".md")
}

/// The names that the parts of one migration have, where `name` is a part in SQL.
///
/// Errors: it has no name of a migration in SQL.
pub fn parts_of(name: &str) -> Result<Vec<String>, Mistake> {
    let wrong = |(cause, write)| about(&(name.to_owned(), String::new()), cause, write);
    let (_, stem, part) = placed(name).map_err(wrong)?;
    if part == Part::Declared {
        return Err(wrong((format!("{name} is not SQL"), "name a file of SQL".to_owned())));
    }
    let of_sql = ENDINGS.iter().filter(|(_, part)| *part != Part::Declared);
    Ok(of_sql.map(|(end, _)| format!("{stem}{end}")).collect())
}

/// The number with which the name of a migration begins.
#[must_use]
pub fn number(name: &str) -> Option<u64> {
    let digits: String = name.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn about(file: &File, cause: String, write: String) -> Mistake {
    Mistake::at(&file.1, &file.0, &(0..0), cause, write)
}

/// Number, name without ending, and part.
fn placed(name: &str) -> Result<(u64, &str, Part), (String, String)> {
    let Some((stem, part)) = ENDINGS.iter().find_map(|(end, part)| Some((name.strip_suffix(end)?, *part))) else {
        let endings: Vec<&str> = ENDINGS.iter().map(|(end, _)| *end).collect();
        return Err((format!("{name} is no migration"), format!("end its name in one of {}", endings.join(", "))));
    };
    let digits = stem.len() - stem.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    let number = stem[..digits].parse().ok().filter(|_| stem[digits..].starts_with('_'));
    let number = number.ok_or_else(|| {
        (format!("{name} has no number that says when it comes"), "begin its name with one: 0001_name".to_owned())
    })?;
    Ok((number, stem, part))
}

/// Why files of one number do not make one migration.
fn clash(number: u64, parts: &[(&str, Part, &File)]) -> Option<String> {
    let names = || parts.iter().map(|(_, _, file)| file.0.as_str()).collect::<Vec<_>>().join(" and ");
    let is_one = parts.iter().all(|(stem, ..)| *stem == parts[0].0);
    let is_whole = parts.iter().any(|(_, part, _)| matches!(part, Part::Declared | Part::Whole));
    let is_undone = parts.iter().any(|(_, part, _)| *part == Part::Undo);
    let has_up = parts.iter().any(|(_, part, _)| matches!(part, Part::Expand | Part::Whole));
    match () {
        () if !is_one || (is_whole && parts.iter().filter(|(_, part, _)| *part != Part::Undo).count() > 1) => {
            Some(format!("number {number} is given twice: {}", names()))
        }
        () if is_undone && !has_up => Some(format!("{} takes back what no file makes", names())),
        () => None,
    }
}

fn migration(parts: &[(&str, Part, &File)]) -> Result<Migration, Vec<Mistake>> {
    if let Some((_, _, file)) = parts.iter().find(|(_, part, _)| *part == Part::Declared) {
        return crate::parse(&file.1, &file.0);
    }
    let mut mistakes = Vec::new();
    let mut digest = sha2::Sha256::new();
    let mut text_of = |wanted: &[Part]| {
        let (_, part, (name, text)) = parts.iter().find(|(_, part, _)| wanted.contains(part))?;
        mistakes.extend(mistakes_of(text, name));
        digest.update(format!("{part:?} {}\n", text.len()));
        digest.update(text);
        Some(text.clone())
    };
    let (up, down) = (text_of(&[Part::Expand, Part::Whole]), text_of(&[Part::Undo]));
    let end = text_of(&[Part::Contract]);
    let stem = parts.first().map_or("", |(stem, ..)| *stem);
    let name =
        Ident::new(stem).map_err(|why| vec![about(parts[0].2, why.to_string(), "rename the file".to_owned())])?;
    let mut operations: Vec<Operation> =
        up.map(|up| Operation::Sql(RawSql { up, down, on_complete: false })).into_iter().collect();
    operations.extend(end.map(|up| Operation::Sql(RawSql { up, down: None, on_complete: true })));
    let checksum = hex::encode(digest.finalize());
    if mistakes.is_empty() { Ok(Migration { name, version_schema: None, operations, checksum }) } else { Err(mistakes) }
}

/// What is no SQL, and statements that we do not run.
fn mistakes_of(text: &str, name: &str) -> Vec<Mistake> {
    let mut mistakes = Mistakes::new(text, name);
    match lint::statements(text) {
        Ok(statements) => {
            for statement in &statements {
                if let Some(cause) = refusal(statement) {
                    mistakes.add(&statement.at, cause, "see the docs, \"Files of SQL\"");
                }
            }
        }
        Err(found) => found.iter().for_each(|(at, cause)| mistakes.add(at, cause.as_str(), "correct it")),
    }
    mistakes.in_order()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(files: &[(&str, &str)], expected: &Expect) {
        let files: Vec<File> = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let told: String = match read(&files) {
            Ok(migrations) => migrations
                .iter()
                .map(|migration| {
                    let parts = migration.operations.iter().map(|operation| match operation {
                        Operation::Sql(sql) => format!(
                            "{}{}",
                            if sql.on_complete { "contract" } else { "expand" },
                            if sql.down.is_some() { "+undo" } else { "" }
                        ),
                        _ => "declared".to_owned(),
                    });
                    format!("{} {}\n", migration.name.as_str(), parts.collect::<Vec<_>>().join(" "))
                })
                .collect(),
            Err(mistakes) => {
                mistakes.iter().map(|found| format!("{}: {} ({})\n", found.file, found.cause, found.write)).collect()
            }
        };
        expected.assert_eq(&told);
    }

    const DECLARED: &str = "operations: [{drop_index: {name: i}}]";

    #[test]
    fn files_come_in_the_order_of_their_numbers() {
        check(
            &[
                ("10_last.sql", "SELECT 1"),
                ("2_drop.contract.sql", "SELECT 1"),
                ("03_both.contract.sql", "SELECT 1"),
                ("03_both.expand.sql", "SELECT 1"),
                ("03_both.undo.sql", "SELECT 1"),
                ("0001_declared.yaml", DECLARED),
                ("README.md", "about"),
                (".keep", ""),
            ],
            &expect![[r#"
                0001_declared declared
                2_drop contract
                03_both expand+undo contract
                10_last expand
            "#]],
        );
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        check(
            &[
                ("1_a.sql", "SELECT 1"),
                ("01_b.sql", "SELECT 1"),
                ("2_a.sql", "SELECT 1"),
                ("2_a.expand.sql", "SELECT 1"),
                ("3_a.undo.sql", "SELECT 1"),
                ("name.sql", "SELECT 1"),
                ("4_a.txt", ""),
                ("5_a.sql", "SET work_mem = '1GB'; SET LOCAL lock_timeout = 0; ROLLBACK"),
                ("6_a.sql", "CREATE INDEX CONCURRENTLY ON t (c); ALTER SYSTEM SET a = 1; SELEC"),
                ("7_a.sql", "CREATE INDEX CONCURRENTLY ON t (c); ALTER SYSTEM SET a = 1; DROP DATABASE x"),
                ("8_a.yaml", "operations: [{drop_indx: {name: i}}]"),
            ],
            &expect![[r#"
                name.sql: name.sql has no number that says when it comes (begin its name with one: 0001_name)
                4_a.txt: 4_a.txt is no migration (end its name in one of .expand.sql, .contract.sql, .undo.sql, .sql, .yaml, .yml, .json)
                1_a.sql: number 1 is given twice: 01_b.sql and 1_a.sql (give one of them another number)
                2_a.expand.sql: number 2 is given twice: 2_a.sql and 2_a.expand.sql (give one of them another number)
                3_a.undo.sql: 3_a.undo.sql takes back what no file makes (give one of them another number)
                5_a.sql: SET work_mem would outlast the file: write SET LOCAL (see the docs, "Files of SQL")
                5_a.sql: the wait for a lock is bounded already, to 40 ms at a time: leave it out (see the docs, "Files of SQL")
                5_a.sql: only BEGIN; and COMMIT; may bound a transaction here (see the docs, "Files of SQL")
                6_a.sql: it is no SQL: expected command, found IDENT (correct it)
                7_a.sql: the index needs a name, by which a broken-off build is found again (see the docs, "Files of SQL")
                7_a.sql: ALTER SYSTEM is no change of a schema that could be gone on with when it is broken off (see the docs, "Files of SQL")
                7_a.sql: DROP DATABASE is no change of a schema that could be gone on with when it is broken off (see the docs, "Files of SQL")
                8_a.yaml: there is no operation "drop_indx" (did you mean "drop_index"?)
            "#]],
        );
    }

    #[test]
    fn a_checksum_is_of_all_parts() {
        let of = |files: &[(&str, &str)]| {
            let files: Vec<File> = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
            read(&files).unwrap()[0].checksum.clone()
        };
        let both = of(&[("1_a.expand.sql", "SELECT 1"), ("1_a.contract.sql", "SELECT 2")]);
        assert_eq!(both, of(&[("1_a.contract.sql", "SELECT 2"), ("1_a.expand.sql", "SELECT 1")]));
        assert_ne!(both, of(&[("1_a.expand.sql", "SELECT 1"), ("1_a.contract.sql", "SELECT 3")]));
        assert_ne!(both, of(&[("1_a.expand.sql", "SELECT 2"), ("1_a.contract.sql", "SELECT 1")]));
        assert_ne!(of(&[("1_a.expand.sql", "SELECT 1")]), of(&[("1_a.contract.sql", "SELECT 1")]));
    }
}
