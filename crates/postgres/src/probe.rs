//! Asks the database whether it takes what a migration says, before anything of it begins.

use switchover_migration::plan::Probe;
use switchover_model::Problem;
use tokio_postgres::Client;

use crate::connection::said;
use crate::error::refuse_for;
use crate::migrator::MigrateError;

/// Has the database read each probe's query, without running any.
///
/// Errors: everything that it refused, at once.
pub(crate) async fn ask(client: &Client, probes: &[Probe]) -> Result<(), MigrateError> {
    let mut problems = Vec::new();
    for probe in probes {
        let Err(error) = client.prepare(&probe.sql).await else { continue };
        if error.code().is_none() {
            return Err(error.into());
        }
        let cause = format!("{}: the database says `{}`.", probe.what, said(&error));
        problems.push(Problem::new("EXPRESSION-WRONG", cause, "Mend it in the file; nothing was changed."));
    }
    refuse_for(problems)
}
