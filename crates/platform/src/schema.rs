//! What a revision needs of its database's schema, and how its processes come to see it.

use std::io;
use std::path::Path;

use switchover_migration::{Operation, directory};
use switchover_model::config::{AppConfig, Database};
use switchover_model::revision::{MigrationId, RevisionSchema};
use switchover_model::schema::MigrationFile;
use switchover_model::{AppName, Problem, RevisionId};

use crate::environment::{Sealed, Variables};

/// The variable that names the schema an instance shall see.
const SCHEMA_VARIABLE: &str = "SWITCHOVER_SCHEMA";
/// The most migrations of one revision, and the longest of their files.
const MOST_FILES: usize = 10_000;
const LONGEST_FILE: u64 = 1 << 20;
/// The longest name that PostgreSQL keeps (NAMEDATALEN - 1).
const LONGEST_NAME: usize = 63;

/// What the files in `tree` need of the schema; nothing when the app has no database.
///
/// # Errors
/// The directory is not there, or its files are no migrations: every mistake is in the detail.
pub(crate) fn needed(config: &AppConfig, tree: &Path) -> Result<Option<RevisionSchema>, Problem> {
    let Some(rules) = &config.database else { return Ok(None) };
    let files = read(rules, tree)?;
    let named: Vec<directory::File> = files.iter().map(|file| (file.name.clone(), file.text.clone())).collect();
    let migrations = directory::read(&named).map_err(|mistakes| {
        let told = mistakes.iter().map(ToString::to_string).collect();
        let directory = rules.migrations().unwrap_or(tree);
        let cause = format!("the migrations in {} are not right.", directory.display());
        Problem::new("MIGRATIONS-WRONG", cause, "Mend these files, then deploy again.").with_detail(told)
    })?;
    // Files of SQL alone change the tables that every version sees as they are.
    let is_declared = migrations
        .iter()
        .any(|migration| migration.operations.iter().any(|operation| !matches!(operation, Operation::Sql(_))));
    let newest = migrations.last().filter(|_| is_declared);
    let version = newest.map_or_else(|| rules.schema.clone(), |newest| version_of(&rules.schema, newest.name.as_str()));
    let ids = migrations
        .into_iter()
        .map(|migration| MigrationId { name: migration.name.as_str().to_owned(), checksum: migration.checksum });
    Ok(Some(RevisionSchema {
        migrations: ids.collect(),
        version,
        schema: rules.schema.clone(),
        url: rules.url.clone(),
    }))
}

/// The schema of a migration's version.
fn version_of(schema: &str, migration: &str) -> String {
    format!("{schema}_{migration}")
}

/// The files of the migrations, by name; none where the app's own framework has them. What is no file, or begins with a dot, is
/// none.
pub(crate) fn read(rules: &Database, tree: &Path) -> Result<Vec<MigrationFile>, Problem> {
    let Some(migrations) = rules.migrations() else { return Ok(Vec::new()) };
    read_files(&tree.join(migrations)).map_err(|error| {
        let cause = format!("the migrations in {} can not be read: {error}.", migrations.display());
        let next = "Make the directory, or correct `migrations` in [database]; an empty one needs a file that git keeps, \
                    such as README.md.";
        Problem::new("MIGRATIONS-UNREADABLE", cause, next)
    })
}

fn read_files(directory: &Path) -> io::Result<Vec<MigrationFile>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_str().ok_or_else(|| io::Error::other(format!("{} is not UTF-8", name.display())))?;
        if name.starts_with('.') || !entry.metadata()?.is_file() {
            continue;
        }
        if entry.metadata()?.len() > LONGEST_FILE {
            return Err(io::Error::other(format!("{name} is longer than {LONGEST_FILE} bytes")));
        }
        if files.len() >= MOST_FILES {
            return Err(io::Error::other(format!("there are more than {MOST_FILES} files")));
        }
        files.push(MigrationFile { name: name.to_owned(), text: std::fs::read_to_string(entry.path())? });
    }
    files.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(files)
}

/// The database's URL as the revision's environment or secrets give it.
pub(crate) fn url(sealed: &Sealed, rules: &Database, revision: RevisionId) -> Result<String, Problem> {
    sealed.secrets.get(&rules.url).or_else(|| sealed.env.get(&rules.url)).cloned().ok_or_else(|| {
        let cause = format!("{revision} has no variable {} with the URL of its database.", rules.url);
        let next =
            format!("Set {} in the secrets file or in [env], or name another variable: url in [database].", rules.url);
        Problem::new("DATABASE-URL-MISSING", cause, next)
    })
}

/// What the processes of a revision see of the schema: its name, and the database's URL with it as the search path.
pub(crate) fn variables(app: &AppName, revision: RevisionId, schema: &RevisionSchema, variables: &mut Variables) {
    variables.insert(SCHEMA_VARIABLE.to_owned(), schema.version.clone());
    if let Some(url) = variables.get_mut(&schema.url) {
        *url = seen_through(url, schema, &application_name(app, revision, &schema.version));
    }
}

/// Has every session through a PostgreSQL URL wait for a lock at most `millis` milliseconds, whoever reads which of both.
pub(crate) fn with_lock_timeout(variables: &mut Variables, url: &str, millis: u128) {
    let option = format!("-clock_timeout={millis}");
    if let Some(url) = variables.get_mut(url).filter(|url| is_postgres(url)) {
        *url = with_options(url, &option);
    }
    let options = variables.entry("PGOPTIONS".to_owned()).or_default();
    if !options.is_empty() {
        options.push(' ');
    }
    options.push_str(&option);
}

/// By which its sessions are known to be of this revision and version.
fn application_name(app: &AppName, revision: RevisionId, version: &str) -> String {
    let names = [format!("switchover:{app}:{revision}:{version}"), format!("switchover:{revision}:{version}")];
    names.into_iter().find(|name| name.len() <= LONGEST_NAME).unwrap_or_else(|| version.to_owned())
}

/// A PostgreSQL URL whose sessions see `schema.version` first. A URL of another kind is left as it is.
fn seen_through(url: &str, schema: &RevisionSchema, application: &str) -> String {
    if !is_postgres(url) {
        return url.to_owned();
    }
    let mut url = url.to_owned();
    if schema.version != schema.schema {
        let path = format!("-csearch_path={},{}", quoted(&schema.version), quoted(&schema.schema));
        url = with_options(&url, &path);
    }
    let (before, mut parameters) = parts(&url);
    if !parameters.iter().any(|part| part.starts_with("application_name=")) {
        parameters.push(format!("application_name={}", encoded(application)));
    }
    format!("{before}?{}", parameters.join("&"))
}

fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

/// A URL before its `?`, and the parameters after it.
fn parts(url: &str) -> (&str, Vec<String>) {
    let (before, query) = url.split_once('?').unwrap_or((url, ""));
    (before, query.split('&').filter(|part| !part.is_empty()).map(str::to_owned).collect())
}

/// The URL with one more option for the server.
fn with_options(url: &str, option: &str) -> String {
    let (before, mut parameters) = parts(url);
    match parameters.iter_mut().find(|part| part.starts_with("options=")) {
        Some(options) => options.push_str(&format!("%20{}", encoded(option))),
        None => parameters.push(format!("options={}", encoded(option))),
    }
    format!("{before}?{}", parameters.join("&"))
}

/// A name in double quotes; a backslash or a blank in `options` needs a backslash before it (libpq, `options`).
fn quoted(name: &str) -> String {
    let mut text = String::from("\"");
    for letter in name.chars() {
        match letter {
            '"' => text.push_str("\"\""),
            ' ' | '\\' => {
                text.push('\\');
                text.push(letter);
            }
            other => text.push(other),
        }
    }
    text.push('"');
    text
}

/// Everything but letters, digits and `-._~` as `%XX` (RFC 3986, 2.3).
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(version: &str) -> RevisionSchema {
        RevisionSchema {
            migrations: Vec::new(),
            version: version.to_owned(),
            schema: "public".to_owned(),
            url: "DATABASE_URL".to_owned(),
        }
    }

    fn seen(url: &str, version: &str) -> String {
        seen_through(url, &schema(version), "switchover:shop:r2:v")
    }

    #[test]
    fn a_url_leads_to_the_versions_schema_and_names_its_sessions() {
        assert_eq!(
            seen("postgres://app@db/shop", "public_02_split"),
            "postgres://app@db/shop?options=-csearch_path%3D%22public_02_split%22%2C%22public%22&application_name=switchover%3Ashop%3Ar2%3Av"
        );
        assert_eq!(
            seen("postgres://app@db/shop", "public"),
            "postgres://app@db/shop?application_name=switchover%3Ashop%3Ar2%3Av"
        );
    }

    #[test]
    fn what_the_url_says_already_stays() {
        let told = seen("postgresql://db/shop?sslmode=require&options=-cwork_mem%3D9MB&application_name=mine", "v 2");
        assert_eq!(
            told,
            "postgresql://db/shop?sslmode=require&options=-cwork_mem%3D9MB%20-csearch_path%3D%22v%5C%202%22%2C%22public%22&application_name=mine"
        );
        assert_eq!(seen("mysql://db/shop", "v"), "mysql://db/shop");
    }
}
