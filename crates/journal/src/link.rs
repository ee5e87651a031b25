//! A stored record held against the one before it.

use rusqlite::Row;
use switchover_model::AppName;

use crate::chain::{Broken, Hash, Stored};
use crate::signs::unsigned;

/// A record's columns, found to be as they were written.
pub(crate) struct Link {
    pub(crate) at: i64,
    pub(crate) actor: String,
    pub(crate) event: String,
    pub(crate) hash: Hash,
}

/// The record of `row` (sequence, at, actor, release, event, previous, hash), which must follow number `last` with `head`.
pub(crate) fn link(app: &AppName, row: &Row<'_>, last: u64, head: &Hash) -> rusqlite::Result<Result<Link, Broken>> {
    let sequence: i64 = row.get(0)?;
    let broken = |what: &str| Ok(Err(Broken { sequence: unsigned(sequence), what: what.to_owned() }));
    if unsigned(sequence) != last + 1 {
        return broken("the records before it are missing");
    }
    let (Ok(at), Ok(actor), Ok(release), Ok(event), Ok(previous), Ok(hash)) = (
        row.get::<_, i64>(1),
        row.get::<_, String>(2),
        row.get::<_, Option<i64>>(3),
        row.get::<_, String>(4),
        row.get::<_, Hash>(5),
        row.get::<_, Hash>(6),
    ) else {
        return broken("a column does not hold what it should");
    };
    if previous != *head {
        return broken("it is not chained to the record before it");
    }
    let stored = Stored { app: app.as_str(), sequence, at, actor: &actor, release, event: &event };
    if stored.hash(head) != hash {
        return broken("its content is not what was written");
    }
    Ok(Ok(Link { at, actor, event, hash }))
}
