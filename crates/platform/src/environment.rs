//! What an app finds in its environment: little of the daemon's, what the revision sealed, and who it is.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use switchover_model::Problem;
use switchover_model::revision::Digest;

use crate::durable::{self, Keep};
use crate::layout::RevisionDir;

/// What an app inherits from the daemon's environment, and nothing else of it.
pub const INHERITED: &[&str] = &["PATH", "HOME", "LANG", "TZ", "USER"];

/// The search path where the daemon has none.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The largest secrets file.
const SECRETS_BYTES: u64 = 1024 * 1024;

/// The shortest secret that is blotted out of shown lines: blotting out `1` or `yes` would only garble them.
const SHORTEST_BLOTTED: usize = 6;

/// A revision's own variables.
pub(crate) type Variables = BTreeMap<String, String>;

/// The part of the daemon's environment that is passed on.
pub(crate) fn inherited() -> Variables {
    let mut variables: Variables =
        INHERITED.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?))).collect();
    variables.entry("PATH".to_owned()).or_insert_with(|| DEFAULT_PATH.to_owned());
    // A sealed tree is read-only; Python would try to write its caches into it, and succeed where the app runs as root.
    variables.insert("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned());
    variables
}

/// What was sealed with a revision.
#[derive(Clone, Default)]
pub(crate) struct Sealed {
    pub(crate) env: Variables,
    pub(crate) secrets: Variables,
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealed").field("env", &self.env.len()).field("secrets", &self.secrets.len()).finish()
    }
}

impl Sealed {
    pub(crate) fn read(revision: &RevisionDir) -> io::Result<Self> {
        Ok(Self {
            env: durable::read_json(&revision.env())?.ok_or(io::ErrorKind::NotFound)?,
            secrets: durable::read_json(&revision.secrets())?.unwrap_or_default(),
        })
    }

    pub(crate) fn write(&self, revision: &RevisionDir) -> io::Result<()> {
        durable::write_json(&revision.env(), &self.env, Keep::AcrossPowerCuts)?;
        durable::write_json(&revision.secrets(), &self.secrets, Keep::AcrossPowerCuts)
    }

    /// Everything that a process of the revision gets, apart from who it is. A secret wins over `[env]`.
    pub(crate) fn variables(&self) -> Variables {
        let mut variables = inherited();
        variables.extend(self.env.clone());
        variables.extend(self.secrets.clone());
        variables
    }

    /// Takes secret values out of lines that are shown or journaled.
    pub(crate) fn blot_out(&self, lines: Vec<String>) -> Vec<String> {
        // The longest first: one that another one begins with would leave the end of that in sight.
        let mut secrets: Vec<_> = self.secrets.iter().collect();
        secrets.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
        let blotted = |mut line: String| {
            for (name, value) in &secrets {
                if value.len() >= SHORTEST_BLOTTED && line.contains(value.as_str()) {
                    line = line.replace(value.as_str(), &format!("[{name}]"));
                }
            }
            line
        };
        lines.into_iter().map(blotted).collect()
    }
}

/// Digest over names and values.
pub(crate) fn digest(variables: &Variables) -> Digest {
    let mut hash = Sha256::new();
    for (name, value) in variables {
        for part in [name, value] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
    }
    Digest(hex::encode(hash.finalize()))
}

/// Reads a secrets file: `NAME=value` lines, empty lines, and lines that begin with `#`. A value may stand in single or
/// double quotes, which are taken off; nothing is substituted in it. An optional `export ` goes before the name.
///
/// Errors: the file cannot be read, or the number of the first line that is none of these. Never a value.
pub(crate) fn read_secrets(path: &Path) -> Result<(Variables, Digest), Problem> {
    let unreadable = |why: String| {
        Problem::new(
            "SECRETS-UNREADABLE",
            format!("the secrets file {} cannot be read: {why}.", path.display()),
            "Make the file readable for the user that runs `switchover serve`, or correct `[secrets] file`.",
        )
    };
    let content = read_regular_file(path).map_err(|error| unreadable(error.to_string()))?;
    if content.len() as u64 > SECRETS_BYTES {
        return Err(unreadable(format!("it has more than the {SECRETS_BYTES} bytes that are allowed")));
    }
    let digest = Digest(hex::encode(Sha256::digest(&content)));
    let mut secrets = Variables::new();
    for (index, line) in content.split(|byte| *byte == b'\n').enumerate() {
        let parsed = std::str::from_utf8(line).map_err(|_| "it is not UTF-8").and_then(parse_line);
        match parsed {
            Ok(None) => {}
            Ok(Some((name, value))) => {
                secrets.insert(name, value);
            }
            Err(why) => {
                return Err(Problem::new(
                    "SECRETS-INVALID",
                    format!("line {} of the secrets file {} is not valid: {why}.", index + 1, path.display()),
                    "Write one NAME=value a line; the value is not shown here on purpose.",
                ));
            }
        }
    }
    Ok((secrets, digest))
}

/// Opened without waiting, as a pipe that nobody writes to would be waited for for ever; read to just above the bound.
fn read_regular_file(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::options().read(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Err(io::Error::other("it is a directory"));
    }
    if !kind.is_file() {
        return Err(io::Error::other("it is a pipe, a socket or a device, not a regular file"));
    }
    let mut content = Vec::new();
    file.take(SECRETS_BYTES + 1).read_to_end(&mut content)?;
    Ok(content)
}

fn parse_line(line: &str) -> Result<Option<(String, String)>, &'static str> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=').ok_or("it has no \"=\"")?;
    let name = name.trim();
    if !is_name(name) {
        return Err("the name before \"=\" is not made of letters, digits and \"_\"");
    }
    if is_ours(name) {
        return Err("names that begin with SWITCHOVER_, and PORT, are given by switchover itself");
    }
    let value = value.trim();
    let value = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            value[1..].strip_suffix(quote).filter(|inner| !inner.contains(quote)).ok_or("its quotes do not match")?
        }
        Some(_) | None => value,
    };
    if value.contains('\0') {
        return Err("it holds a NUL byte");
    }
    Ok(Some((name.to_owned(), value.to_owned())))
}

/// Whether a text may be the name of a variable.
pub(crate) fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Whether we give this variable ourselves.
pub(crate) fn is_ours(name: &str) -> bool {
    name == "PORT" || name.starts_with("SWITCHOVER_")
}

/// `[env]` with the values of `--env` over it, when every name may be one.
pub(crate) fn merged(file: &Variables, given: &Variables) -> Result<Variables, Problem> {
    let mut merged = file.clone();
    merged.extend(given.clone());
    match merged.iter().find(|(name, value)| !is_name(name) || is_ours(name) || value.contains('\0')) {
        None => Ok(merged),
        Some((name, _)) => Err(Problem::new(
            "ENV-INVALID",
            format!("\"{name}\" cannot be set as a variable of the app."),
            "Use letters, digits and \"_\"; PORT and names that begin with SWITCHOVER_ are given by switchover itself.",
        )),
    }
}

/// A path as the value of a variable.
pub(crate) fn path_value(path: &Path) -> String {
    PathBuf::from(path).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets_of(content: &str) -> Result<Variables, Problem> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secrets.env");
        std::fs::write(&file, content).unwrap();
        read_secrets(&file).map(|(secrets, _)| secrets)
    }

    #[test]
    fn a_secrets_file_is_lines_of_name_and_value() {
        let secrets = secrets_of("# comment\n\nA=one\nexport B = \"two words\"\nC='$A'\nD=a=b\r\nE=\n").unwrap();
        let expected = [("A", "one"), ("B", "two words"), ("C", "$A"), ("D", "a=b"), ("E", "")];
        assert_eq!(secrets, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }

    #[test]
    fn a_bad_line_is_named_by_its_number_and_its_value_is_not_shown() {
        for bad in ["A=1\nhunter2", "A=1\n2B=hunter2", "A=1\nB=\"hunter2", "A=1\nPORT=hunter2", "A=1\nB=hunter2\0"] {
            let problem = secrets_of(bad).unwrap_err();
            assert_eq!(problem.code, "SECRETS-INVALID");
            assert!(problem.cause.contains("line 2"), "{problem}");
            assert!(!format!("{problem:?}").contains("hunter2"), "{problem}");
        }
    }

    #[test]
    fn a_secrets_file_that_is_a_pipe_is_refused_and_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("secrets.env");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
        let (done, waits) = std::sync::mpsc::channel();
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || done.send(read_secrets(&pipe))
        });
        let answer = waits.recv_timeout(std::time::Duration::from_secs(10));
        // Lets a reader that waits go, so that a failed test ends too.
        drop(File::options().write(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed()).open(&pipe));
        let problem = answer.expect("an answer at once").unwrap_err();
        assert_eq!(problem.code, "SECRETS-UNREADABLE");
        reader.join().unwrap().unwrap();
    }

    #[test]
    fn secrets_are_blotted_out_of_lines() {
        let sealed = Sealed {
            env: Variables::new(),
            secrets: [("TOKEN".to_owned(), "hunter2".to_owned()), ("ON".to_owned(), "1".to_owned())].into(),
        };
        assert_eq!(sealed.blot_out(vec!["say hunter2 1".to_owned()]), ["say [TOKEN] 1"]);
        assert!(!format!("{sealed:?}").contains("hunter2"));
    }

    #[test]
    fn a_secret_that_another_one_begins_with_leaves_nothing_of_that_in_sight() {
        let secrets = [("A".to_owned(), "hunter".to_owned()), ("B".to_owned(), "hunter-and-more".to_owned())].into();
        let sealed = Sealed { env: Variables::new(), secrets };
        assert_eq!(sealed.blot_out(vec!["say hunter-and-more, hunter".to_owned()]), ["say [B], [A]"]);
    }
}
