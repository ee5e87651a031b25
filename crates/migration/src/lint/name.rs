//! Names as statements write them: folded as the database folds them, with their schema where it stands there.

use std::fmt;

use squawk_syntax::SyntaxKind::{PATH, PATH_REF, PATH_SEGMENT, PATH_SEGMENT_REF};
use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::normalize_name_node;

use crate::Ident;

/// The name of a table, index or the like. Displayed as it has to be written: quoted where it needs it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    /// Its schema, where it was written.
    pub(crate) schema: Option<Ident>,
    /// The name itself.
    pub(crate) name: Ident,
}

impl Name {
    /// The first name in `node`, such as that of the table an `ALTER TABLE` is about.
    pub(crate) fn first_in(node: &SyntaxNode) -> Option<Self> {
        let is_path = |node: &SyntaxNode| matches!(node.kind(), PATH | PATH_REF);
        Self::of_path(&node.descendants().find(is_path)?)
    }

    fn of_path(path: &SyntaxNode) -> Option<Self> {
        let is_segment = |node: &SyntaxNode| matches!(node.kind(), PATH_SEGMENT | PATH_SEGMENT_REF);
        let mut parts: Vec<Ident> = path
            .descendants()
            .filter(is_segment)
            .filter_map(|part| Ident::new(normalize_name_node(&part)).ok())
            .collect();
        let name = parts.pop()?;
        Some(Self { schema: parts.pop(), name })
    }

    /// Whether both may be the same: a name without a schema may be in any.
    pub(crate) fn may_be(&self, other: &Self) -> bool {
        self.name == other.name && (self.schema.is_none() || other.schema.is_none() || self.schema == other.schema)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{}.", written(schema))?;
        }
        write!(f, "{}", written(&self.name))
    }
}

/// `name` as a person writes it: without quotes where the database takes it so.
pub(crate) fn written(name: &Ident) -> String {
    let text = name.as_str();
    let is_plain = text.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && text.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
    let reads_as_name = || {
        let parse = squawk_syntax::SourceFile::parse(&format!("SELECT {text}.{text} FROM {text}"));
        parse.errors().is_empty()
    };
    if is_plain && reads_as_name() { text.to_owned() } else { name.to_string() }
}
