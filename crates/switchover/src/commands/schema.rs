use serde::Serialize;
use switchover_model::view::SCHEMA_VERSION;

use crate::cli::Shared;
use crate::exit::Exit;
use crate::failure::Done;
use crate::say;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct SchemaView<T> {
    schema_version: u32,
    schema: T,
}

/// Print the JSON Schema of switchover.toml, for editors
#[derive(Debug, clap::Args)]
pub(crate) struct Schema {}

impl Schema {
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "every command runs by its value and answers the same"
    )]
    pub(crate) fn run(self, shared: &Shared) -> Done {
        // By itself it is a document for editors; under --json it is an answer like any other.
        let schema = switchover_model::config::schema();
        if shared.json {
            say::json(&SchemaView { schema_version: SCHEMA_VERSION, schema });
        } else {
            say::json(&schema);
        }
        Ok(Exit::Succeeded)
    }
}
