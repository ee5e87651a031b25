//! The columns and the method of an index as operations write them.

/// How a column stands in an index.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IndexColumn {
    /// Its collation, as written.
    pub collate: Option<String>,
    /// Its operator class, as written.
    pub operator_class: Option<String>,
    /// Its order.
    pub order: Order,
    /// Where NULLs go.
    pub nulls: Option<Nulls>,
}

/// Order of an index column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Ascending.
    #[default]
    Ascending,
    /// Descending.
    Descending,
}

/// Where NULLs go in an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nulls {
    /// Before the others.
    First,
    /// After the others.
    Last,
}

/// An index's method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names are the database's own")]
pub enum IndexMethod {
    #[default]
    BTree,
    Hash,
    Gist,
    SpGist,
    Gin,
    Brin,
}
