//! Where the daemon's state lies: the one thing by which every command finds it.

use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// The state folder of root's daemon.
const SYSTEM_STATE: &str = "/var/lib/switchover";

/// The state folder: `--state`, else `SWITCHOVER_STATE`, else the user's XDG state folder, for root
/// `/var/lib/switchover`. Always absolute.
pub(crate) fn state_folder(given: Option<&Path>) -> Result<PathBuf, Failure> {
    let environment = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let is_root = rustix::process::geteuid().is_root();
    let said = given.map(Path::to_owned).or_else(|| environment("SWITCHOVER_STATE"));
    let folder =
        choose(said.as_deref(), is_root, environment("XDG_STATE_HOME"), environment("HOME")).ok_or_else(|| {
            Failure::wrong(
                "STATE-UNKNOWN",
                "Neither --state nor SWITCHOVER_STATE, XDG_STATE_HOME or HOME says where the state folder is.",
                "Say it with --state DIR.",
            )
        })?;
    std::path::absolute(&folder).map_err(|error| {
        Failure::wrong(
            "STATE-UNKNOWN",
            format!("The state folder {} has no absolute path: {error}.", folder.display()),
            "Say it with --state DIR.",
        )
    })
}

fn choose(given: Option<&Path>, is_root: bool, xdg: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    let not_empty = |path: &PathBuf| !path.as_os_str().is_empty();
    if let Some(given) = given {
        return Some(given.to_owned());
    }
    if is_root {
        return Some(PathBuf::from(SYSTEM_STATE));
    }
    // XDG Base Directory Specification: relative paths in it are ignored.
    let base = xdg
        .filter(|path| path.is_absolute())
        .or_else(|| home.filter(not_empty).map(|home| home.join(".local/state")))?;
    Some(base.join("switchover"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_folder_is_the_given_one_then_roots_then_the_users() {
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(choose(Some(Path::new("/x")), true, path("/xdg"), path("/home/a")), path("/x"));
        assert_eq!(choose(None, true, path("/xdg"), path("/root")), path("/var/lib/switchover"));
        assert_eq!(choose(None, false, path("/xdg"), path("/home/a")), path("/xdg/switchover"));
        assert_eq!(choose(None, false, path("xdg"), path("/home/a")), path("/home/a/.local/state/switchover"));
        assert_eq!(choose(None, false, None, path("")), None);
    }
}
