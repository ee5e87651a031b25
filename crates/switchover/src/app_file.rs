//! Finds and reads `switchover.toml`.

use std::path::{Path, PathBuf};

use switchover_model::AppName;
use switchover_model::config::{self, AppConfig};

use crate::exit::Exit;
use crate::failure::Failure;

/// The file that is read where none is named.
pub(crate) const DEFAULT_FILE: &str = "switchover.toml";

/// A file that was read and is right.
#[derive(Debug)]
pub(crate) struct AppFile {
    /// Its content.
    pub(crate) config: AppConfig,
    /// The directory that holds it, absolute: the app's directory.
    pub(crate) directory: PathBuf,
}

/// Reads the file and holds it against every rule.
pub(crate) fn read(file: Option<&Path>) -> Result<AppFile, Failure> {
    let (path, text) = text(file)?;
    let directory = path.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned);
    let shown = file.unwrap_or(Path::new(DEFAULT_FILE)).display().to_string();
    let config = config::parse(&text, &shown, &directory)?;
    Ok(AppFile { config, directory })
}

/// The app's name alone, or nothing where there is no file. A file with mistakes still names its app, so that it never
/// stands in the way of a rollback.
pub(crate) fn name(file: Option<&Path>) -> Result<Option<AppName>, Failure> {
    if file.is_none() && !Path::new(DEFAULT_FILE).exists() {
        return Ok(None);
    }
    let (path, text) = text(file)?;
    config::app_name(&text).map(Some).ok_or_else(|| {
        Failure::wrong(
            "CONFIG-WRONG",
            format!("{} does not name its app.", path.display()),
            "Say which one with --app NAME.",
        )
    })
}

/// The path and the text of a file in TOML, the app's own unless one is named.
pub(crate) fn text(file: Option<&Path>) -> Result<(PathBuf, String), Failure> {
    let shown = file.unwrap_or(Path::new(DEFAULT_FILE));
    let path = std::path::absolute(shown).map_err(|error| unreadable(shown, &error))?;
    // A bounded read: a device or a log named by mistake must not fill the memory.
    let longest = u64::try_from(config::LONGEST_FILE).unwrap_or(u64::MAX).saturating_add(1);
    let mut text = Vec::new();
    let mut open = std::fs::File::open(&path)
        .map(|file| std::io::Read::take(file, longest))
        .map_err(|error| unreadable(shown, &error))?;
    std::io::Read::read_to_end(&mut open, &mut text).map_err(|error| unreadable(shown, &error))?;
    let text = String::from_utf8(text).map_err(|error| {
        let line =
            error.as_bytes().iter().take(error.utf8_error().valid_up_to()).filter(|byte| **byte == b'\n').count() + 1;
        Failure::wrong(
            "CONFIG-WRONG",
            format!("{} is not UTF-8 text: line {line}.", shown.display()),
            "Save it as UTF-8.",
        )
    })?;
    Ok((path, text))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let problem = if error.kind() == std::io::ErrorKind::NotFound {
        switchover_model::Problem::new(
            "CONFIG-MISSING",
            format!("There is no {}.", path.display()),
            "Write one with `switchover init`, or name it with --config FILE.",
        )
    } else {
        switchover_model::Problem::new(
            "CONFIG-UNREADABLE",
            format!("{} cannot be read: {error}.", path.display()),
            "Make it readable, or name another file with --config FILE.",
        )
    };
    Failure::Problem(Exit::Wrong, problem)
}
