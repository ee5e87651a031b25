//! Identifiers and literals: the one place where they become SQL.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest identifier in bytes (PostgreSQL: `NAMEDATALEN` less one).
pub(crate) const MAX_BYTES: usize = 63;

/// A name in the database, exactly as the database has it (not folded, not quoted). Displayed quoted, always.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ident(String);

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadIdent {
    /// Nothing in it.
    #[error("a name can not be empty")]
    Empty,
    /// The database would cut it.
    #[error("`{0}` is longer than {MAX_BYTES} bytes, the database would cut it")]
    TooLong(String),
    /// The database takes no NUL.
    #[error("a name can not contain a NUL character")]
    Nul,
}

impl Ident {
    /// A name as the database has it.
    pub fn new(name: impl Into<String>) -> Result<Self, BadIdent> {
        let name = name.into();
        match () {
            () if name.is_empty() => Err(BadIdent::Empty),
            () if name.len() > MAX_BYTES => Err(BadIdent::TooLong(name)),
            () if name.contains('\0') => Err(BadIdent::Nul),
            () => Ok(Self(name)),
        }
    }

    /// The bare name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `prefix` and this name; cut to what the database takes with a short digest of the whole at its end, so that two
    /// long names never become one.
    #[must_use]
    pub fn prefixed(&self, prefix: &str) -> Self {
        use sha2::Digest as _;
        let whole = format!("{prefix}{}", self.0);
        if whole.len() <= MAX_BYTES {
            return Self(whole);
        }
        let digest = hex::encode(&sha2::Sha256::digest(whole.as_bytes())[..4]);
        let mut end = MAX_BYTES - digest.len() - 1;
        while !whole.is_char_boundary(end) {
            end -= 1;
        }
        Self(format!("{}_{digest}", &whole[..end]))
    }
}

impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('"', "\"\""))
    }
}

impl fmt::Debug for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Ident {
    type Error = BadIdent;
    fn try_from(name: String) -> Result<Self, BadIdent> {
        Self::new(name)
    }
}

impl From<Ident> for String {
    fn from(name: Ident) -> Self {
        name.0
    }
}

/// A name with its schema. Displayed quoted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct QualifiedName {
    /// The schema.
    pub schema: Ident,
    /// The name in it.
    pub name: Ident,
}

impl QualifiedName {
    /// `schema`.`name`
    #[must_use]
    pub fn new(schema: &Ident, name: &Ident) -> Self {
        Self { schema: schema.clone(), name: name.clone() }
    }
}

impl fmt::Display for QualifiedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// A text value in SQL. Displayed quoted, in the form that no setting of the server changes (`E'...'` where there is a
/// backslash).
#[derive(Debug, Clone, Copy)]
pub struct Literal<'a>(pub &'a str);

impl fmt::Display for Literal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = self.0.replace('\'', "''");
        if quoted.contains('\\') { write!(f, "E'{}'", quoted.replace('\\', "\\\\")) } else { write!(f, "'{quoted}'") }
    }
}

#[cfg(test)]
mod tests {
    use super::{Ident, Literal};

    #[test]
    fn names_and_values_can_not_end_their_own_quotes() {
        assert_eq!(Ident::new("or\"der").unwrap().to_string(), "\"or\"\"der\"");
        assert_eq!(Literal("it's").to_string(), "'it''s'");
        assert_eq!(Literal("a\\'").to_string(), "E'a\\\\'''");
    }

    #[test]
    fn long_names_stay_apart_when_they_are_cut() {
        let long = |end: &str| Ident::new(format!("{}{end}", "x".repeat(60))).unwrap().prefixed("_sw_");
        assert_ne!(long("a"), long("b"));
        assert!(long("a").as_str().len() <= super::MAX_BYTES);
        assert_eq!(Ident::new("a").unwrap().prefixed("_sw_").as_str(), "_sw_a");
    }
}
