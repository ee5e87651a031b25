use crate::exit::Exit;
use crate::failure::Done;
use crate::say;

/// Print the JSON Schema of switchover.toml, for editors
#[derive(Debug, clap::Args)]
pub(crate) struct Schema {}

impl Schema {
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "every command runs by its value and answers the same"
    )]
    pub(crate) fn run(self) -> Done {
        say::json(&switchover_model::config::schema());
        Ok(Exit::Succeeded)
    }
}
