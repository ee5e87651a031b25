//! The recipes of `docs/database-recipes.md` are carried out as they stand there: each declared file and each file of SQL, to
//! the end of its contract.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::Path;
use std::process::Command;

use switchover_testkit::postgres::{Major, Server, Session};

const ROWS: &str = "
INSERT INTO users (name, email, age) SELECT 'First' || n || ' Last' || n, n || '@example.com', n FROM generate_series(1, 100) AS n;
INSERT INTO users (name) VALUES ('Without email');
INSERT INTO orders SELECT n, n, n, 'note' FROM generate_series(1, 100) AS n;
INSERT INTO visits SELECT n, n FROM generate_series(1, 100) AS n;
";

/// A block of the page: under which heading, in which language, and its text.
struct Block {
    heading: String,
    language: String,
    text: String,
}

fn blocks() -> Vec<Block> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/database-recipes.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut blocks = Vec::new();
    let mut heading = String::new();
    let mut open: Option<Block> = None;
    for line in page.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => block.text.push_str(&format!("{line}\n")),
            (None, Some(language)) => {
                open = Some(Block { heading: heading.clone(), language: language.to_owned(), text: String::new() });
            }
            (None, None) => {
                if let Some(title) = line.strip_prefix("## ") {
                    title.clone_into(&mut heading);
                }
            }
        }
    }
    blocks
}

/// Writes a block as the files it stands for.
fn write(block: &Block, directory: &Path) {
    if block.language == "yaml" {
        std::fs::write(directory.join("01_change.yaml"), &block.text).unwrap();
        return;
    }
    let (name, statements) = block.text.split_once('\n').unwrap();
    let name = name.strip_prefix("-- ").unwrap_or_else(|| panic!("{}: no file is named: {name}", block.heading));
    std::fs::write(directory.join(format!("01_{name}")), statements).unwrap();
}

async fn carried_out(major: Major, tables: &str, block: &Block) {
    let Some(server) = Server::shared(major) else { return };
    let url = server.create_database().await;
    let session = Session::open(&url).await;
    session.batch_execute(tables).await.unwrap();
    session.batch_execute(ROWS).await.unwrap();
    if block.language == "sql" {
        // What the page leaves to the app.
        session.batch_execute("UPDATE users SET email = '' WHERE email IS NULL").await.unwrap();
    }
    let directory = tempfile::tempdir().unwrap();
    write(block, directory.path());
    for arguments in [&["migrate", "."][..], &["contract", "--force"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_switchover"));
        command.arg("db").args(arguments).env("DATABASE_URL", &url).current_dir(directory.path());
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} in {}, {arguments:?}: {said}", block.heading, block.language);
    }
    let rows = session.column("SELECT count(*)::text FROM users").await.unwrap();
    assert_eq!(rows, [Some("101".to_owned())], "{}", block.heading);
}

#[test]
fn every_recipe_is_carried_out_as_it_stands() {
    let blocks = blocks();
    let (tables, recipes): (Vec<&Block>, Vec<&Block>) = blocks.iter().partition(|block| block.heading.is_empty());
    assert!(tables.len() == 1 && recipes.len() >= 20, "{} recipes", recipes.len());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (number, recipe) in recipes.into_iter().enumerate() {
        // Each on one of the servers, in turns.
        let major = Major::ALL[number % Major::ALL.len()];
        runtime.block_on(carried_out(major, &tables[0].text, recipe));
    }
}
