//! What a directory says about the app in it.

use std::io;
use std::path::Path;

/// The most that is read of a file that is looked at, in bytes.
const READ_BYTES: u64 = 1 << 20;

/// What was found. Every field is a plain fact; what follows from it is `propose`'s.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Signs {
    /// Name of the directory.
    pub(super) directory: String,
    /// The files that told something.
    pub(super) found: Vec<String>,
    /// Files that are there and told nothing, each with why.
    pub(super) unread: Vec<String>,
    /// Lines of the Procfile: process type and command.
    pub(super) procfile: Vec<(String, String)>,
    /// `package.json` with what its scripts are called.
    pub(super) node: Option<Node>,
    /// `go.mod`.
    pub(super) go: bool,
    /// `Cargo.toml` with the name of its package.
    pub(super) cargo: Option<String>,
    /// `manage.py` with the package that holds `wsgi.py`.
    pub(super) django: Option<Django>,
    /// `index.html`.
    pub(super) index: bool,
}

/// A Node project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) start: bool,
    pub(super) build: bool,
    pub(super) lock: bool,
    pub(super) main: Option<String>,
}

/// A Django project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Django {
    pub(super) package: Option<String>,
    pub(super) requirements: bool,
    pub(super) celery: bool,
}

/// Looks at the files of `directory`; reads nothing below it but the names of packages.
pub(super) fn signs(directory: &Path) -> io::Result<Signs> {
    let mut signs = Signs {
        directory: directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        ..Signs::default()
    };
    // A directory that cannot be read is told here, not as an app without files.
    std::fs::read_dir(directory)?;
    let text = |name: &str| read(&directory.join(name));
    if let Some(procfile) = text("Procfile") {
        signs.procfile = procfile_lines(&procfile);
        match signs.procfile.as_slice() {
            [] => signs.unread.push("Procfile has no line `NAME: COMMAND`".to_owned()),
            _ => signs.found.push("Procfile".to_owned()),
        }
    }
    if let Some(package) = text("package.json") {
        match node(&package, directory.join("package-lock.json").exists()) {
            Ok(node) => {
                signs.node = Some(node);
                signs.found.push("package.json".to_owned());
            }
            Err(why) => signs.unread.push(format!("package.json {why}")),
        }
    }
    if directory.join("go.mod").exists() {
        signs.go = true;
        signs.found.push("go.mod".to_owned());
    }
    if let Some(name) = text("Cargo.toml").as_deref().and_then(cargo_name) {
        signs.cargo = Some(name);
        signs.found.push("Cargo.toml".to_owned());
    }
    if directory.join("manage.py").exists() {
        signs.django = Some(django(directory));
        signs.found.push("manage.py".to_owned());
    }
    signs.index = directory.join("index.html").exists();
    if signs.index {
        signs.found.push("index.html".to_owned());
    }
    Ok(signs)
}

fn read(file: &Path) -> Option<String> {
    let mut text = String::new();
    let file = std::fs::File::open(file).ok()?;
    io::Read::read_to_string(&mut io::Read::take(file, READ_BYTES), &mut text).ok()?;
    Some(text)
}

fn procfile_lines(text: &str) -> Vec<(String, String)> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| line.split_once(':'))
        .map(|(name, command)| (name.trim().to_owned(), command.trim().to_owned()))
        .filter(|(name, command)| !name.is_empty() && !command.is_empty())
        .collect()
}

/// Errors: why the file tells nothing.
fn node(package: &str, lock: bool) -> Result<Node, String> {
    if package.trim().is_empty() {
        return Err("is empty".to_owned());
    }
    let package: serde_json::Value = serde_json::from_str(package).map_err(|error| format!("is not JSON ({error})"))?;
    if !package.is_object() {
        return Err("holds no object".to_owned());
    }
    let script = |name: &str| package.pointer(&format!("/scripts/{name}")).is_some();
    Ok(Node {
        start: script("start"),
        build: script("build"),
        lock,
        main: package.get("main").and_then(|main| main.as_str()).map(str::to_owned),
    })
}

/// The package's name, from the line that gives it; a workspace without a package has none.
fn cargo_name(manifest: &str) -> Option<String> {
    let package = manifest.split("[package]").nth(1)?;
    package
        .lines()
        .take_while(|line| !line.trim_start().starts_with('['))
        .filter_map(|line| line.split_once('='))
        .find(|(key, _)| key.trim() == "name")
        .map(|(_, value)| value.trim().trim_matches('"').to_owned())
}

fn django(directory: &Path) -> Django {
    let requirements = read(&directory.join("requirements.txt"));
    let mut packages: Vec<String> = std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .filter(|entry| entry.path().join("wsgi.py").exists())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    packages.sort();
    Django {
        package: packages.into_iter().next(),
        requirements: requirements.is_some(),
        celery: requirements.is_some_and(|text| text.lines().any(|line| line.trim_start().starts_with("celery"))),
    }
}
