//! What lies in an app's directory and git does not track is said, and a migration among it is refused.

mod process_bed;

use std::path::Path;
use std::process::Command;

use process_bed::{ProcessBed, bed, write_files};
use switchover_model::config::AppConfig;
use switchover_model::revision::Source;
use switchover_model::seam::Platform;

fn git(directory: &Path, arguments: &[&str]) {
    let mut git = Command::new("git");
    git.arg("-C").arg(directory).args(arguments);
    assert!(git.output().is_ok_and(|output| output.status.success()), "git {arguments:?}");
}

const WORKER: &str = "[process.work]\ncommand = \"true\"\n";

/// The codes and causes of what is told of a build of `source`, or its refusal.
async fn told(bed: &ProcessBed, config: &AppConfig, id: u32, source: &Path) -> Vec<(String, String)> {
    let built = bed.build_from(config, id, &Source::Directory { path: source.to_path_buf() }).await;
    let notes = bed.platform.take_notes(&bed.app).await;
    let all = notes.into_iter().chain(built.err());
    all.map(|problem| (problem.code.clone(), problem.cause)).collect()
}

#[tokio::test]
async fn what_git_does_not_track_is_named_unless_it_is_ignored_or_our_own() {
    let bed = bed().await;
    let source = bed.dir.path().join("source");
    let files = [("tracked", "1"), ("later/one", "1"), ("kept/data", "1"), ("secrets", "A=b"), ("odd.log", "1")];
    write_files(&source, &files);
    write_files(&source, &[(".gitignore", "*.log\n")]);
    git(&source, &["init", "-q"]);
    git(&source, &["add", "tracked", ".gitignore"]);
    let secrets = source.join("secrets").display().to_string();
    let config = bed.config(&format!("{WORKER}[shared]\npaths = [\"kept\"]\n[secrets]\nfile = {secrets:?}\n"));
    let first = told(&bed, &config, 1, &source).await;
    let cause = "git does not track later/, so r1 is made without.".to_owned();
    assert_eq!(first, [("UNTRACKED-LEFT-OUT".to_owned(), cause)]);
    git(&source, &["add", "later"]);
    assert_eq!(told(&bed, &config, 2, &source).await, []);
    bed.end().await;
}

#[tokio::test]
async fn a_migration_that_git_does_not_track_is_refused() {
    let bed = bed().await;
    let source = bed.dir.path().join("source");
    write_files(&source, &[("app", "1"), ("db/migrations/0001_first.sql", "CREATE TABLE t (id int);\n")]);
    git(&source, &["init", "-q"]);
    git(&source, &["add", "app"]);
    let database = "[database]\nmigrations = \"db/migrations\"\n[env]\nDATABASE_URL = \"postgres://localhost/shop\"\n";
    let config = bed.config(&format!("{WORKER}{database}"));
    for (id, lies_in) in [(1, "db/"), (2, "db/migrations/0002_next.sql")] {
        let told = told(&bed, &config, id, &source).await;
        let [(code, cause)] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!(code, "MIGRATIONS-UNTRACKED");
        assert!(cause.contains(lies_in), "{cause}");
        git(&source, &["add", "db"]);
        write_files(&source, &[("db/migrations/0002_next.sql", "CREATE TABLE u (id int);\n")]);
    }
    git(&source, &["add", "db"]);
    assert_eq!(told(&bed, &config, 3, &source).await, []);
    bed.end().await;
}
