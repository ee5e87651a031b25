//! Records leave the house without the values of `[env]` and `--env`: names alone are shown.

use std::collections::BTreeMap;

use switchover_model::config::AppConfig;
use switchover_model::record::{Event, Record};
use switchover_model::release::Command;

/// What stands where a value stood.
const HIDDEN: &str = "…";

/// Takes the values out of `record`.
pub(crate) fn without_values(record: &mut Record) {
    if let Event::Commanded { command, .. } = &mut record.event {
        match command {
            Command::Apply { config } => hide_config(config),
            Command::Deploy { config, env, .. } => {
                hide_config(config);
                hide(env);
            }
            Command::Promote { .. }
            | Command::Pause { .. }
            | Command::Resume { .. }
            | Command::Abort { .. }
            | Command::Rollback { .. } => {}
        }
    }
}

fn hide_config(config: &mut AppConfig) {
    hide(&mut config.env);
}

fn hide(values: &mut BTreeMap<String, String>) {
    values.values_mut().for_each(|value| HIDDEN.clone_into(value));
}
