//! What is in a crate is the crate, not notes about its making.

use crate::tree::{files, none, tracked};

/// What a room holds beside Rust sources: where, and the ending of the files.
const OTHER_KINDS: &[(&str, &str)] = &[
    ("crates/", "/Cargo.toml"),
    ("crates/journal/tests/golden/", ".jsonl"),
    ("crates/migration/src/framework/tests/", ".sql"),
    ("crates/migration/src/framework/tests/", ".txt"),
    ("crates/testkit/src/postgres/dump/", ".sql"),
];

#[test]
fn a_room_holds_only_known_kinds_of_files() {
    let faults: Vec<_> = tracked()
        .into_iter()
        .filter(|path| path.starts_with("crates/") && !path.ends_with(".rs"))
        .filter(|path| !OTHER_KINDS.iter().any(|(place, ending)| path.starts_with(place) && path.ends_with(ending)))
        .collect();
    none("a file that nobody expects in a room", &faults);
}

/// Pages of the documentation; another one is added here and to the README's list.
#[test]
fn every_page_is_listed_in_the_readme() {
    let readme = files().into_iter().find(|(path, _)| path == "README.md").expect("a README").1;
    let pages: Vec<String> =
        files().into_iter().filter(|(path, _)| path.starts_with("docs/")).map(|(_, text)| text).collect();
    // A picture is led to by the page that shows it.
    let is_shown = |picture: &str| pages.iter().any(|page| page.contains(&format!("({picture})")));
    let faults: Vec<_> = tracked()
        .into_iter()
        .filter(|path| path.starts_with("docs/"))
        .filter(|path| !path.ends_with(".md") || !readme.contains(&format!("({path})")))
        .filter(|path| !path.ends_with(".svg") || !path.strip_prefix("docs/").is_some_and(is_shown))
        .collect();
    none("a page that the README does not lead to", &faults);
}

/// Words that tell who made this and how, or that something is left for later. Matched as whole words in any case.
const OF_THE_MAKING: &[&str] = &[
    "todo",
    "fixme",
    "xxx",
    "hack",
    "wip",
    "worktree",
    "subagent",
    "sub-agent",
    "co-authored",
    "chatgpt",
    "claude",
    "copilot",
    "llm",
    "language model",
    "delete this file",
    "as requested",
    "per the brief",
    "in the brief",
    "the audit",
    "see issue",
    "issue #",
    "this issue",
    "another helper",
    "the spine",
];

/// Names of clippy's lints and the like, where such a word is no word of ours.
const NO_WORDS_OF_OURS: &[&str] = &["todo = \"warn\""];

#[test]
fn nothing_tells_how_it_was_made() {
    let mut faults = Vec::new();
    for (path, text) in files() {
        // Here they are written; names of other people's packages are not ours.
        if path == "xtask/tests/tidy/words.rs" || path.ends_with("Cargo.lock") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let lower = line.to_lowercase();
            if NO_WORDS_OF_OURS.contains(&lower.trim()) {
                continue;
            }
            if let Some(word) = OF_THE_MAKING.iter().find(|word| holds_word(&lower, word)) {
                faults.push(format!("{path}:{}: {word:?}", number + 1));
            }
        }
    }
    none("a word about the making", &faults);
}

fn holds_word(line: &str, word: &str) -> bool {
    let is_part = |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    line.match_indices(word).any(|(at, _)| {
        let after = line[at + word.len()..].chars().next();
        !is_part(line[..at].chars().next_back()) && (word.ends_with('#') || !is_part(after))
    })
}

#[test]
fn a_word_is_found_as_a_whole() {
    assert!(holds_word("// todo: later", "todo") && holds_word("issue #3", "issue #") && holds_word("todo", "todo"));
    assert!(!holds_word("todos", "todo") && !holds_word("a_todo", "todo") && !holds_word("shack", "hack"));
}
