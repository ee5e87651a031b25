//! A file of declared operations, from its text to a [`Migration`] or to every mistake in it.
//!
//! The format is the one that pgroll publishes (its JSON Schema and operation reference): a map with `operations`, a list
//! of maps with one key each, the operation's name. Where that reference leaves a choice, the stricter reading is taken.

mod column;
mod constraint;
mod index;
mod operations;
mod table;

use sha2::Digest as _;

use crate::mistake::{Mistake, Mistakes};
use crate::yaml;
use crate::{Ident, Operation};
use table::{Field, Table, optional, required};

/// One file of declared operations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// The file's name without its ending; the version schema is named after it.
    pub name: Ident,
    /// Another name for the version schema, where the file gives one.
    pub version_schema: Option<Ident>,
    /// What it changes, in order; at least one.
    pub operations: Vec<Operation>,
    /// SHA-256 of the file's text, in hexadecimal: tells an edited file from the one that was carried out.
    pub checksum: String,
}

const FILE: &[Field] = &[
    optional("name", "\"02_users\""),
    optional("version_schema", "\"v2\""),
    required("operations", "[{\"drop_index\": {\"name\": \"users_by_name\"}}]"),
];

/// Parses `text`, the content of the file `path`. JSON where the path ends in `.json` (mistakes are answered in it then),
/// YAML otherwise.
///
/// Guarantees: reads nothing but its arguments; every name, type and expression that is returned was read as such.
/// Errors: every mistake at once (of a file that has hundreds, the first ones found), in the order of the file; never an
/// empty list.
pub fn parse(text: &str, path: &str) -> Result<Migration, Vec<Mistake>> {
    let mut mistakes = Mistakes::new(text, path);
    let migration = read(text, path, &mut mistakes);
    match migration {
        Some(migration) if mistakes.is_empty() => Ok(migration),
        Some(_) | None => Err(mistakes.in_order()),
    }
}

fn read(text: &str, path: &str, mistakes: &mut Mistakes<'_>) -> Option<Migration> {
    let name = file_name(path, mistakes);
    let root = yaml::read(text, mistakes)?;
    let start = root.at.start..root.at.start;
    let table = Table::open(&root, "", &start, FILE, mistakes)?;
    let own_name = table.name("name", mistakes);
    if let (Some(name), Some(own_name)) = (&name, own_name)
        && *name != own_name
    {
        let cause = format!("the file calls itself {own_name}, but its name is {name}");
        let write = format!("leave the name out, or {}", mistakes.written("write: name", &format!("{name}")));
        table.mistake("name", cause, &write, mistakes);
    }
    let version_schema = table.name("version_schema", mistakes);
    let operations = operations::read(&table, mistakes);
    let checksum = hex::encode(sha2::Sha256::digest(text.as_bytes()));
    Some(Migration { name: name?, version_schema, operations: operations?, checksum })
}

/// The name of the file without folder and ending.
fn file_name(path: &str, mistakes: &mut Mistakes<'_>) -> Option<Ident> {
    let file = path.rsplit('/').next().unwrap_or(path);
    let endings = [".yaml", ".yml", ".json"];
    let stem = endings.iter().find_map(|ending| file.strip_suffix(ending)).unwrap_or(file);
    match Ident::new(stem) {
        Ok(name) => Some(name),
        Err(why) => {
            mistakes.add(&(0..0), format!("the file's name names its version: {why}"), "rename the file");
            None
        }
    }
}

#[cfg(test)]
mod tests;
