//! What the app's own secrets file says now.

use std::path::Path;

use switchover_model::Problem;

use crate::environment;

/// A variable of a secrets file, as it is there now.
///
/// # Errors
/// There is no such file, it can not be read, or it has no such variable.
pub(crate) fn secret(file: Option<&Path>, name: &str) -> Result<String, Problem> {
    let missing = |why: &str| {
        let next = "Write it into the secrets file of the app, as NAME=value; it is read when it is needed.";
        Problem::new("SECRET-MISSING", format!("the secret {name} can not be given: {why}."), next)
    };
    let file = file.ok_or_else(|| missing("the app has no secrets file"))?;
    let (mut secrets, _) = environment::read_secrets(file)?;
    secrets.remove(name).ok_or_else(|| missing("the secrets file has no such variable"))
}
