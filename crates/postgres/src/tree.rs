//! A table and its partitions, as queries begin that go through all of them. `pg_partition_tree` would lock each partition, and
//! wait for that.

/// `tree (oid, parent, level)`: the table that `$root` gives the `oid` of, and what is below it, a partition that is being
/// detached not any more.
macro_rules! tree {
    ($root:literal, $query:literal) => {
        concat!(
            "WITH RECURSIVE tree (oid, parent, level) AS (SELECT ",
            $root,
            ", NULL::oid, 0 UNION ALL SELECT inhrelid, inhparent, level + 1 FROM pg_catalog.pg_inherits \
             JOIN tree ON inhparent = tree.oid WHERE NOT inhdetachpending) ",
            $query
        )
    };
}

pub(crate) use tree;
