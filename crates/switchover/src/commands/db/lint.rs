use std::path::{Path, PathBuf};

use serde::Serialize;
use switchover_migration::directory::{self, File};
use switchover_migration::lint::{Finding, Linter, Phase, RanBy, through_views};
use switchover_migration::{Migration, Mistake, Operation};
use switchover_model::view::SCHEMA_VERSION;

use super::{Place, failed};
use crate::cli::Shared;
use crate::exit::Exit;
use crate::failure::{Done, Failure};
use crate::say;

/// Look at migrations in SQL before they run: what the live version can not live with, what makes its statements wait
///
/// Answers with exit code 3 when something is refused.
#[derive(Debug, clap::Args)]
pub(crate) struct Lint {
    /// A file of SQL or of declared operations, or a directory of migrations
    #[arg(value_name = "FILE or DIR", required_unless_present_any = ["statements", "from_database"])]
    path: Option<PathBuf>,
    /// Look instead at the app's own statements in FILE: which of them can not work on a version of the schema
    #[arg(long, value_name = "FILE", conflicts_with = "path")]
    statements: Option<PathBuf>,
    /// The same, with the statements that the database counts (pg_stat_statements)
    #[arg(long, conflicts_with_all = ["path", "statements"])]
    from_database: bool,
    /// When it runs; else told by the file's name: contract for NAME.contract.sql, expand for others
    #[arg(long, value_name = "PHASE")]
    phase: Option<When>,
    /// It is run by others than us, so nothing bounds its wait for a lock but what stands in it
    #[arg(long)]
    ran_by_others: bool,
    /// Look at the database, too, and say less in vain
    #[arg(long)]
    with_database: bool,
    #[command(flatten)]
    place: super::MaybePlace,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum When {
    Expand,
    Contract,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct LintView<'a> {
    schema_version: u32,
    /// How many of the findings are refused.
    refused: usize,
    /// Statements that the parser did not take.
    unread: usize,
    findings: &'a [Finding],
}

impl Lint {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let Some(path) = &self.path else { return self.of_the_app(shared).await };
        let files = if path.is_dir() {
            let mut files = files(path)?;
            directory::read(&files)?;
            files.retain(|(name, _)| directory::is_meant(name));
            files
        } else {
            vec![file(path)?]
        };
        let catalog = if self.with_database {
            let place: Place = self.place.given()?;
            Some(place.looker().await?.catalog().await.map_err(failed)?)
        } else {
            None
        };
        let ran_by = if self.ran_by_others { RanBy::Others } else { RanBy::Us };
        let mut linter = Linter::new(ran_by, catalog.as_ref());
        let mut findings = Vec::new();
        for (name, text) in &files {
            findings.extend(self.of_file(&mut linter, name, text)?);
        }
        Ok(tell(shared, &findings, 0))
    }

    /// What there is to say of a file of SQL, or of the operations `sql` of a declared one. What takes a migration back is not
    /// looked at.
    fn of_file(&self, linter: &mut Linter<'_>, name: &str, text: &str) -> Result<Vec<Finding>, Failure> {
        let told = self.phase.map(|phase| match phase {
            When::Expand => Phase::Expand,
            When::Contract => Phase::Contract,
        });
        let by_name = |is_contract: bool| told.unwrap_or(if is_contract { Phase::Contract } else { Phase::Expand });
        if name.ends_with(".undo.sql") {
            return Ok(Vec::new());
        }
        if name.ends_with(".sql") {
            return Ok(linter.file(text, name, by_name(name.ends_with(".contract.sql"))));
        }
        let migration = switchover_migration::parse(text, name).map_err(Failure::Mistakes)?;
        let mut findings = Vec::new();
        for (at, operation) in migration.operations.iter().enumerate() {
            if let Operation::Sql(sql) = operation {
                // Lines are counted in the operation's own text.
                let place = format!("{name}, operation {}", at + 1);
                findings.extend(linter.file(&sql.up, &place, by_name(sql.on_complete)));
            }
            linter.operation(operation);
        }
        Ok(findings)
    }

    /// The app's own statements.
    async fn of_the_app(&self, shared: &Shared) -> Done {
        let is_asked = self.with_database || self.from_database;
        let looker = if is_asked { Some(self.place.given()?.looker().await?) } else { None };
        let (mut catalog, mut major) = (None, None);
        if let Some(looker) = &looker {
            catalog = Some(looker.catalog().await.map_err(failed)?);
            major = Some(looker.server_major().await.map_err(failed)?);
        }
        let texts = match (&self.statements, &looker) {
            (Some(path), _) => vec![file(path)?],
            (None, Some(looker)) => {
                let known = looker.statements().await.map_err(failed)?.ok_or_else(|| {
                    Failure::other(
                        "STATEMENTS-NOT-COUNTED",
                        "the database does not count statements.",
                        "CREATE EXTENSION pg_stat_statements (in shared_preload_libraries, too), run the app, and ask again; or name a file with --statements.",
                    )
                })?;
                known.into_iter().map(|text| ("pg_stat_statements".to_owned(), text)).collect()
            }
            (None, None) => Vec::new(),
        };
        let (mut findings, mut unread) = (Vec::new(), 0);
        for (name, text) in &texts {
            match through_views::findings(text, name, major, catalog.as_ref()) {
                Ok(found) => findings.extend(found),
                Err((at, cause)) if self.statements.is_some() => {
                    let mistake = Mistake::at(text, name, &at, cause, "correct it".to_owned());
                    return Err(Failure::Mistakes(vec![mistake]));
                }
                // What the database cut or changed is no statement any more.
                Err(_) => unread += 1,
            }
        }
        Ok(tell(shared, &findings, unread))
    }
}

fn tell(shared: &Shared, findings: &[Finding], unread: usize) -> Exit {
    let refused = findings.iter().filter(|finding| finding.is_refused()).count();
    if shared.json {
        say::json(&LintView { schema_version: SCHEMA_VERSION, refused, unread, findings });
    } else {
        for finding in findings {
            say::line(format_args!("{finding}\n"));
        }
        let unread = if unread == 0 { String::new() } else { format!(", {unread} statements not read") };
        say::line(format_args!("{refused} refused, {} told{unread}", findings.len() - refused));
    }
    if refused == 0 { Exit::Succeeded } else { Exit::Refused }
}

/// The most files of a directory that are read.
const MOST_FILES: usize = 10_000;

/// The files of a directory, in the order of their names.
pub(super) fn files(directory: &Path) -> Result<Vec<File>, Failure> {
    let unread = |error: std::io::Error| {
        let cause = format!("{} can not be read: {error}.", directory.display());
        Failure::wrong("MIGRATION-FILE", cause, "Name a directory of migrations.")
    };
    let entries: Vec<_> = std::fs::read_dir(directory).map_err(unread)?.take(MOST_FILES + 1).collect();
    if entries.len() > MOST_FILES {
        let cause = format!("{} has more than {MOST_FILES} files.", directory.display());
        return Err(Failure::wrong("MIGRATION-FILE", cause, "Name a directory of migrations."));
    }
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(unread)?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.is_file() && !is_hidden {
            files.push(file(&path)?);
        }
    }
    files.sort();
    Ok(files)
}

/// The migration in SQL that a file is a part of.
pub(super) fn migration_in_sql(path: &Path) -> Result<Migration, Failure> {
    let (name, text) = file(path)?;
    let names = directory::parts_of(&name).map_err(|mistake| Failure::Mistakes(vec![mistake]))?;
    let mut parts = Vec::new();
    for other in names.iter().filter(|other| **other != name) {
        let beside = path.with_file_name(other);
        if beside.is_file() {
            parts.push(file(&beside)?);
        }
    }
    parts.push((name.clone(), text));
    directory::read(&parts)?
        .pop()
        .ok_or_else(|| Failure::wrong("MIGRATION-FILE", format!("{name} is no migration."), "Name a file of SQL."))
}

/// A file by its name without its folder.
fn file(path: &Path) -> Result<File, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let cause = format!("{} can not be read: {error}.", path.display());
        Failure::wrong(
            "MIGRATION-FILE",
            cause,
            "Name a file of SQL or of declared operations, or a directory of migrations.",
        )
    })?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok((name, text))
}
