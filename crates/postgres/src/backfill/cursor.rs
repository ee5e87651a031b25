//! Where a backfill is, in the database: moved in the transaction of each batch, by the migrator whose turn it is alone.

use switchover_migration::plan::{Backfill, Step};
use switchover_migration::{Literal, QualifiedName};
use tokio_postgres::Client;

use super::leaves;
use crate::migrator::MigrateError;
use crate::notes::Place;

/// The table of cursors. Safe to run again; who may write it is told by the fence.
pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS switchover.backfill (
    schema text NOT NULL,
    number integer NOT NULL,
    phase text NOT NULL,
    step text NOT NULL,
    relation text NOT NULL,
    at_block bigint NOT NULL DEFAULT 0,
    until_block bigint NOT NULL,
    rows bigint NOT NULL DEFAULT 0,
    begun_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (schema, number, phase, step, relation)
) WITH (fillfactor = 10);
";

/// What names a cursor.
const KEY: &str = "number, schema, phase, step, relation";

/// One table, or one partition, and how far it is filled.
#[derive(Debug, Clone)]
pub(super) struct Cursor {
    /// What is filled.
    pub(super) relation: QualifiedName,
    /// The first block that is to be looked at.
    pub(super) at: u64,
    /// Where rows can be that are to do: what is written behind it comes from writes that are in step.
    pub(super) until: u64,
    /// So many rows were filled.
    pub(super) rows: u64,
    /// Its columns in the table of cursors that name it, and their values.
    key: String,
}

/// The cursors of a step, made where there are none yet.
pub(super) async fn open(
    client: &Client,
    place: Place<'_>,
    step: &Step,
    work: &Backfill,
) -> Result<Vec<Cursor>, MigrateError> {
    let mut cursors = Vec::new();
    for (relation, blocks) in leaves(client, &work.table).await? {
        let named = relation.to_string();
        let texts = [place.schema.as_str(), place.phase, &step.name, &named].map(|text| Literal(text).to_string());
        let key = format!("{}, {}", place.number, texts.join(", "));
        let begin = format!(
            "INSERT INTO switchover.backfill ({KEY}, until_block) VALUES ({key}, {blocks}) ON CONFLICT DO NOTHING"
        );
        client.batch_execute(&begin).await?;
        let query = format!("SELECT at_block, until_block, rows FROM switchover.backfill WHERE ({KEY}) = ({key})");
        let row = client.query_one(&query, &[]).await?;
        let number = |place: usize| u64::try_from(row.get::<_, i64>(place)).unwrap_or(0);
        cursors.push(Cursor { relation, at: number(0), until: number(1), rows: number(2), key });
    }
    Ok(cursors)
}

/// What forgets the cursors of a phase: it is gone through from its beginning.
pub(crate) const FORGET: &str = "DELETE FROM switchover.backfill WHERE schema = $1 AND number = $2 AND phase = $3";

impl Cursor {
    pub(super) fn blocks_left(&self) -> u64 {
        self.until.saturating_sub(self.at)
    }

    /// What a batch writes down in its transaction, and gives: `filled` counts its rows; the work goes on at `at`. The fence
    /// sees it also where somebody else has forgotten the cursor.
    pub(super) fn moved(&self, filled: &str, at: u64) -> String {
        format!(
            "INSERT INTO switchover.backfill AS cursor ({KEY}, at_block, until_block, rows) \
             VALUES ({}, {at}, {}, {filled}) ON CONFLICT ({KEY}) DO UPDATE \
             SET rows = cursor.rows + excluded.rows, at_block = greatest(cursor.at_block, excluded.at_block) \
             RETURNING {filled}",
            self.key, self.until
        )
    }

    /// Goes back to the beginning, up to where the table ends now.
    pub(super) async fn begin_anew(&mut self, client: &Client) -> Result<(), MigrateError> {
        let update = format!(
            "UPDATE switchover.backfill SET at_block = 0, until_block = pg_catalog.pg_relation_size({}::text::regclass) \
             / current_setting('block_size')::int8 WHERE ({KEY}) = ({}) RETURNING until_block",
            Literal(&self.relation.to_string()),
            self.key
        );
        let until: i64 = client.query_one(&update, &[]).await?.get(0);
        (self.at, self.until) = (0, u64::try_from(until).unwrap_or(0));
        Ok(())
    }
}
