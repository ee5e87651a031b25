//! How long functions and files may be. What was longer when the bound was made stands in a list and may only shrink.

use crate::code::{Line, lines};
use crate::tree::{files, none};

/// A function shows its whole thought on one screen; 70 lines with its signature are what a laptop's editor shows at once. The
/// lines of a text that spans several, such as a snapshot, do not count: they are data.
const FUNCTION_LINES: usize = 70;

/// Longer functions, as: the file, the function, and how long it may be at most.
const LONGER_FUNCTIONS: &[(&str, &str, usize)] = &[
    ("crates/http1/tests/request_heads.rs", "whatever_two_parsers_could_read_differently_is_refused", 120),
    ("crates/rollout/src/fold.rs", "apply", 180),
    ("crates/rollout/tests/world/book.rs", "write", 140),
    ("crates/router/src/accept.rs", "run", 78),
    ("crates/router/src/connection/client.rs", "forward", 74),
    ("crates/router/src/connection/tests/failures.rs", "every_wait_has_an_end", 78),
];

/// Beyond this a file is two things. Counted as for functions.
const FILE_LINES: usize = 400;

/// Longer files, and how long they may be at most.
const LONGER_FILES: &[(&str, usize)] = &[
    ("crates/controller/tests/loop.rs", 430),
    ("crates/platform/src/shim/mod.rs", 430),
    ("crates/platform/tests/instances.rs", 520),
    ("crates/platform/tests/revisions.rs", 420),
    ("crates/rollout/src/tests/bed.rs", 540),
    ("crates/rollout/tests/world/controller.rs", 430),
    ("crates/rollout/tests/world/platform.rs", 540),
    ("crates/router/src/connection/client.rs", 460),
    ("crates/router/src/connection/tests/failures.rs", 530),
    ("crates/router/src/switchboard.rs", 490),
];

fn rust() -> Vec<(String, Vec<Line>)> {
    files().into_iter().filter(|(path, _)| path.ends_with(".rs")).map(|(path, text)| (path, lines(&text))).collect()
}

/// The name of the function whose signature begins on this line, and how far it is indented.
fn begins(line: &str) -> Option<(usize, &str)> {
    let code = line.trim_start();
    let indent = line.len() - code.len();
    let (before, after) = code.strip_prefix("fn ").map(|after| ("", after)).or_else(|| code.split_once(" fn "))?;
    let is_plain = |word: &str| {
        ["pub", "default", "const", "async", "unsafe", "extern", "\"\""].contains(&word) || word.starts_with("pub(")
    };
    let name = after.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next()?;
    // `pub(in path)` has a blank inside; nothing here is written so.
    (before.split_whitespace().all(is_plain) && !name.is_empty()).then_some((indent, name))
}

/// Every function with a body of more than one line: its name, the line it begins on, and its lines that are not text.
///
/// Assumes what rustfmt guarantees: the body's closing brace stands alone, indented as the signature.
fn functions(lines: &[Line]) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    for (first, line) in lines.iter().enumerate() {
        let Some((indent, name)) = begins(&line.code).filter(|_| !line.is_text) else { continue };
        if line.code.trim_end().ends_with(['}', ';']) {
            continue;
        }
        let closing = format!("{}}}", " ".repeat(indent));
        let without_body = format!("{})", " ".repeat(indent));
        let body = &lines[first + 1..];
        let Some(length) = body.iter().position(|line| {
            !line.is_text
                && (line.code == closing || line.code.starts_with(&without_body) && line.code.trim_end().ends_with(';'))
        }) else {
            continue;
        };
        let counted = 1 + body[..=length].iter().filter(|line| !line.is_text).count();
        found.push((name.to_owned(), first + 1, counted));
    }
    found
}

#[test]
fn a_function_fits_on_one_screen() {
    let mut faults = Vec::new();
    let mut unused: Vec<_> = LONGER_FUNCTIONS.to_vec();
    let mut count = 0;
    for (path, lines) in rust() {
        for (name, line, length) in functions(&lines) {
            count += 1;
            if length <= FUNCTION_LINES {
                continue;
            }
            let listed = |entry: &&(&str, &str, usize)| entry.0 == path && entry.1 == name;
            let allowed = LONGER_FUNCTIONS.iter().find(listed).map_or(FUNCTION_LINES, |entry| entry.2);
            unused.retain(|entry| !(entry.0 == path && entry.1 == name));
            if length > allowed {
                faults.push(format!("{path}:{line}: {name} has {length} lines, at most {allowed}"));
            }
        }
    }
    assert!(count > 1000, "only {count} functions found: the reader is broken");
    faults.extend(
        unused.iter().map(|(path, name, _)| format!("{path}: {name} is short or gone, strike it off the list")),
    );
    none("a function of more than one screen", &faults);
}

#[test]
fn a_file_is_about_one_thing() {
    let mut faults = Vec::new();
    let mut unused: Vec<_> = LONGER_FILES.to_vec();
    for (path, lines) in rust() {
        let length = lines.iter().filter(|line| !line.is_text).count();
        if length <= FILE_LINES {
            continue;
        }
        let allowed = LONGER_FILES.iter().find(|entry| entry.0 == path).map_or(FILE_LINES, |entry| entry.1);
        unused.retain(|entry| entry.0 != path);
        if length > allowed {
            faults.push(format!("{path}: {length} lines, at most {allowed}: split it by meaning"));
        }
    }
    faults.extend(unused.iter().map(|(path, _)| format!("{path} is short or gone, strike it off the list")));
    none("a file that everyone edits", &faults);
}

#[test]
fn functions_are_found_and_measured() {
    let source = "impl A {\n    pub(crate) async fn b(\n        c: u8,\n    ) -> u8 {\n        let d = r#\"\n}\n    }\n\"#;\n        1\n    }\n}\nfn e();\nfn f() {\n}\ntrait G {\n    fn h(\n        i: u8,\n    );\n}\nstruct J { k: fn () }\n";
    let found = functions(&lines(source));
    let named: Vec<_> = found.iter().map(|(name, line, length)| (name.as_str(), *line, *length)).collect();
    assert_eq!(named, [("b", 2, 6), ("f", 13, 2), ("h", 16, 3)]);
}
