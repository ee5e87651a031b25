//! What the parser accepts, what it refuses and how it says so.

mod accepted;
mod checks;
mod experiment;
mod goals;
mod hooks;
mod keys_agree;
mod notify;
mod refused;
mod refused_values;
mod rolling;
mod schema_agrees;
mod shadow;
mod steps;
mod sticky;

use std::path::Path;

use super::{AppConfig, parse};

/// A file that is right, in the directory `/srv/shop`.
fn good(text: &str) -> AppConfig {
    match parse(text, "switchover.toml", Path::new("/srv/shop")) {
        Ok(config) => config,
        Err(mistakes) => panic!("refused:\n{}", rendered(&mistakes)),
    }
}

/// The mistakes of a file, as a person reads them.
fn bad(text: &str) -> String {
    match parse(text, "switchover.toml", Path::new("/srv/shop")) {
        Ok(config) => panic!("accepted: {config:?}"),
        Err(mistakes) => rendered(&mistakes),
    }
}

fn rendered(mistakes: &[super::Mistake]) -> String {
    mistakes.iter().map(|mistake| format!("{mistake}\n")).collect::<Vec<_>>().join("\n")
}
