//! One migrator at a time: a lock of its session, and a fence that each step's transaction looks at.
//!
//! The lock alone does not hold behind a pooler that hands sessions around, nor against a controller that lost its lease and
//! does not know. So each migrator takes a turn, a controller brings its epoch, and whoever notes a step, a batch or a phase whose turn
//! or epoch is over is refused by the database, with all that the transaction did.

use switchover_migration::Ident;
use tokio_postgres::Client;

use crate::error::{MigrateError, refused};

/// SQLSTATE of a write by a migrator whose turn is over.
pub(crate) const REPLACED: &str = "SW001";

/// The fence's table and what guards the others by it. Safe to run again.
pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS switchover.fence (
    schema text PRIMARY KEY,
    epoch bigint NOT NULL DEFAULT 0,
    turn bigint NOT NULL DEFAULT 0
);
CREATE OR REPLACE FUNCTION switchover.see_turn() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    now_at text;
BEGIN
    SELECT fence.turn || '/' || fence.epoch INTO now_at FROM switchover.fence AS fence WHERE fence.schema = NEW.schema FOR SHARE;
    IF now_at IS DISTINCT FROM current_setting('switchover.turn', true) THEN
        RAISE EXCEPTION 'another migrator took over' USING ERRCODE = 'SW001', DETAIL = NEW.schema;
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER see_turn BEFORE INSERT OR UPDATE ON switchover.migration
    FOR EACH ROW EXECUTE FUNCTION switchover.see_turn();
CREATE OR REPLACE TRIGGER see_turn BEFORE INSERT OR UPDATE ON switchover.step
    FOR EACH ROW EXECUTE FUNCTION switchover.see_turn();
CREATE OR REPLACE TRIGGER see_turn BEFORE INSERT OR UPDATE ON switchover.backfill
    FOR EACH ROW EXECUTE FUNCTION switchover.see_turn();
";

/// Raises the fence to a controller's epoch, before the lock is asked for: who holds that with an older one can not go on.
pub(crate) async fn raise(client: &Client, schema: &Ident, epoch: Option<u64>) -> Result<(), MigrateError> {
    let ours = i64::try_from(epoch.unwrap_or(0)).unwrap_or(i64::MAX);
    client
        .execute(
            "INSERT INTO switchover.fence (schema, epoch) VALUES ($1, $2) \
             ON CONFLICT (schema) DO UPDATE SET epoch = excluded.epoch WHERE fence.epoch < excluded.epoch",
            &[&schema.as_str(), &ours],
        )
        .await?;
    let row = client.query_one("SELECT epoch FROM switchover.fence WHERE schema = $1", &[&schema.as_str()]).await?;
    let there: i64 = row.get(0);
    if epoch.is_some() && there > ours {
        return Err(refused(
            "EPOCH-OLD",
            format!("schema {schema} was given to epoch {there}; this controller has epoch {ours}."),
            "A newer controller has taken over: let it do this.",
        ));
    }
    Ok(())
}

/// Takes the place of the one migrator of the schema, which the server gives back when the session ends in any way.
pub(crate) async fn take(client: &Client, schema: &Ident) -> Result<(), MigrateError> {
    let row = client
        .query_one("SELECT pg_try_advisory_lock(hashtextextended('switchover ' || $1, 0))", &[&schema.as_str()])
        .await?;
    if !row.get::<_, bool>(0) {
        return Err(MigrateError::Busy(schema.to_string()));
    }
    client
        .execute(
            "WITH taken AS (UPDATE switchover.fence SET turn = turn + 1 WHERE schema = $1 RETURNING turn, epoch) \
             SELECT pg_catalog.set_config('switchover.turn', turn || '/' || epoch, false) FROM taken",
            &[&schema.as_str()],
        )
        .await?;
    Ok(())
}
