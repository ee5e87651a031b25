//! The values of `[env]` and `--env`: kept 0600 beside the app, so that the journal and its snapshots hold none of them.
//!
//! A command is journaled with `sealed:<id>` in the place of each value; the build gets the values back. The id rests on a
//! key that never leaves the state directory, so that nobody can guess a value by its id, and the same command sent again
//! is the same command.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use switchover_model::release::Command;
use switchover_model::{AppName, Problem};

/// What stands before the id of a value.
const MARK: &str = "sealed:";
/// Digits of an id: half a SHA-256.
const ID_DIGITS: usize = 32;
/// Bytes of the key.
const KEY_BYTES: usize = 32;

/// Names and their values.
type Values = BTreeMap<String, String>;

/// Where the values of one app are.
#[derive(Debug, Clone)]
pub(crate) struct Vault {
    key: PathBuf,
    directory: PathBuf,
}

impl Vault {
    pub(crate) fn of(state: &Path, app: &AppName) -> Self {
        let directory = state.join("apps").join(app.as_str()).join("values");
        Self { key: state.join("values.key"), directory }
    }

    /// Keeps the values of `command` and puts their ids in their place.
    ///
    /// Guarantees: the values are on the disk when this returns; the same command gives the same ids. Blocks on the disk.
    pub(crate) fn seal(&self, command: &mut Command) -> io::Result<()> {
        let each: Vec<&mut Values> = values_of(command);
        if each.iter().all(|values| values.is_empty()) {
            return Ok(());
        }
        let key = self.key()?;
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        let mut is_new = false;
        for values in each {
            for (name, value) in values {
                let id = id(&key, name, value);
                is_new |= self.keep(&id, value)?;
                *value = format!("{MARK}{id}");
            }
        }
        if is_new {
            for directory in self.directory.ancestors().take(4) {
                File::open(directory)?.sync_all()?;
            }
        }
        Ok(())
    }

    /// Puts the ids in the place of the values and keeps nothing: to compare with what is journaled. What is sealed
    /// already stays, unless `anew`. Without a key nothing was ever sealed here, and nothing is changed.
    pub(crate) fn name(&self, values: &mut Values, anew: bool) -> io::Result<()> {
        let Some(key) = read_key(&self.key)? else { return Ok(()) };
        for (name, value) in values {
            if anew || sealed_id(value).is_none() {
                *value = format!("{MARK}{}", id(&key, name, value));
            }
        }
        Ok(())
    }

    /// Puts the values back. What was journaled in clear by an earlier version stays as it is. Blocks on the disk.
    pub(crate) fn open(&self, values: &mut Values) -> Result<(), Problem> {
        for (name, value) in values {
            let Some(id) = sealed_id(value) else { continue };
            let path = self.directory.join(id);
            *value = std::fs::read_to_string(&path).map_err(|error| {
                let cause = format!("The value of {name} can not be read from {}: {error}.", path.display());
                Problem::new("VALUES-MISSING", cause, "Deploy again: the values come with each deploy.")
            })?;
        }
        Ok(())
    }

    /// Removes the values whose ids `is_needed` does not know.
    pub(crate) fn forget(&self, is_needed: impl Fn(&str) -> bool) -> io::Result<()> {
        let entries = match std::fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_name().to_str().is_none_or(|name| !is_needed(name)) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Keeps one value. Returns whether it was not there.
    fn keep(&self, id: &str, value: &str) -> io::Result<bool> {
        let path = self.directory.join(id);
        if std::fs::read(&path).is_ok_and(|found| found == value.as_bytes()) {
            return Ok(false);
        }
        let draft = self.directory.join(format!(".{id}"));
        write_synced(&draft, value.as_bytes())?;
        std::fs::rename(&draft, &path)?;
        Ok(true)
    }

    /// The key, made when there is none. Of two that make it at once one wins, for both.
    fn key(&self) -> io::Result<Vec<u8>> {
        if let Some(key) = read_key(&self.key)? {
            return Ok(key);
        }
        let mut key = [0; KEY_BYTES];
        getrandom::fill(&mut key).map_err(io::Error::other)?;
        let draft = self.key.with_extension(format!("key.{}", hex::encode(&key[..8])));
        write_synced(&draft, &key)?;
        let made = std::fs::hard_link(&draft, &self.key);
        std::fs::remove_file(&draft)?;
        match made {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Ok(()) | Err(_) => {}
        }
        read_key(&self.key)?.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn values_of(command: &mut Command) -> Vec<&mut Values> {
    match command {
        Command::Apply { config } => vec![&mut config.env],
        Command::Deploy { config, env, .. } => vec![&mut config.env, env],
        Command::Promote { .. }
        | Command::Pause { .. }
        | Command::Resume { .. }
        | Command::Abort { .. }
        | Command::Rollback { .. } => Vec::new(),
    }
}

fn read_key(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(key) if key.len() == KEY_BYTES => Ok(Some(key)),
        Ok(_) => Err(io::Error::other(format!("{} is not a key", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A name holds no zero byte, so that no two pairs give the same bytes.
fn id(key: &[u8], name: &str, value: &str) -> String {
    let hash = Sha256::new().chain_update(key).chain_update(name).chain_update([0]).chain_update(value).finalize();
    let mut digits = hex::encode(hash);
    digits.truncate(ID_DIGITS);
    digits
}

fn sealed_id(value: &str) -> Option<&str> {
    let id = value.strip_prefix(MARK)?;
    let is_id = id.len() == ID_DIGITS && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_id.then_some(id)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use switchover_model::revision::Source;

    fn deploy(text: &str, value: &str) -> Command {
        let text = format!("name = \"shop\"\n[process.web]\ncommand = \"run\"\n[env]\nKEY = {text:?}\n");
        let config = switchover_model::config::parse(&text, "switchover.toml", Path::new("/srv/app")).unwrap();
        let source = Source::Directory { path: "/srv/app".into() };
        let env = [("MORE".to_owned(), value.to_owned())].into();
        Command::Deploy { config: Box::new(config), source, env, replace: false }
    }

    fn opened(vault: &Vault, command: &Command) -> Result<(Values, Values), Problem> {
        let mut command = command.clone();
        for values in values_of(&mut command) {
            vault.open(values)?;
        }
        let Command::Deploy { config, env, .. } = command else { unreachable!() };
        Ok((config.env, env))
    }

    #[test]
    fn values_come_back_by_their_ids_and_a_retry_has_the_same_ones() {
        let state = tempfile::tempdir().unwrap();
        let vault = Vault::of(state.path(), &"shop".parse().unwrap());
        let literal = format!("{MARK}{}", "0".repeat(ID_DIGITS));
        let asked = deploy("one", &literal);
        let (mut first, mut second) = (asked.clone(), asked.clone());
        vault.seal(&mut first).unwrap();
        vault.seal(&mut second).unwrap();
        assert_eq!(first, second);
        assert!(!serde_json::to_string(&first).unwrap().contains("\"one\""));
        let (config, env) = opened(&vault, &first).unwrap();
        assert_eq!((config["KEY"].as_str(), env["MORE"].as_str()), ("one", literal.as_str()));
        for path in [
            state.path().join("values.key"),
            std::fs::read_dir(&vault.directory).unwrap().next().unwrap().unwrap().path(),
        ] {
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
        }
        assert_eq!(vault.directory.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn what_an_earlier_version_journaled_in_clear_stays_and_a_lost_value_is_told() {
        let state = tempfile::tempdir().unwrap();
        let vault = Vault::of(state.path(), &"shop".parse().unwrap());
        let clear = deploy("one", "two");
        assert_eq!(opened(&vault, &clear).unwrap().1["MORE"], "two");
        let mut sealed = clear;
        vault.seal(&mut sealed).unwrap();
        vault.forget(|_| true).unwrap();
        opened(&vault, &sealed).unwrap();
        vault.forget(|_| false).unwrap();
        assert_eq!(opened(&vault, &sealed).unwrap_err().code, "VALUES-MISSING");
    }
}
