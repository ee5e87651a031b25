//! Reads what an app's own framework has still to do against the database as it is.

use std::time::Duration;

use switchover_migration::{Ident, framework};
use switchover_model::Problem;
use switchover_model::framework::{Pending, Placed};
use switchover_model::schema::SchemaPlace;

use crate::error::unexpected;
use crate::{MigrateError, Migrator};

/// How long reading the catalog may take.
const CATALOG: Duration = Duration::from_secs(60);

pub(super) async fn place(place: &SchemaPlace, pending: &[Pending]) -> Result<Placed, Problem> {
    let read = async {
        let schema = Ident::new(place.rules.schema.as_str()).map_err(unexpected)?;
        Migrator::look(&place.url, schema).await?.catalog().await
    };
    let catalog = match tokio::time::timeout(CATALOG, read).await {
        Ok(read) => read.map_err(|error: MigrateError| error.problem())?,
        Err(_) => {
            let cause = format!("the database's catalog was not read within {} s.", CATALOG.as_secs());
            return Err(Problem::new("DATABASE-UNKNOWN", cause, "Look what holds it up, then deploy again."));
        }
    };
    framework::place(pending, &place.rules.vouch, Some(&catalog))
}
