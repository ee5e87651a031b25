//! Expressions that can not be carried out as they are written.

use switchover_model::Problem;

use crate::{Expression, Ident};

/// Refuses an expression with a name that may be a column of the row or of a query within: which one is not told by it.
pub(super) fn refuse_unsure<'a>(
    table: &Ident,
    expressions: impl IntoIterator<Item = &'a Expression>,
) -> Result<(), Problem> {
    let unsure = expressions.into_iter().flat_map(Expression::unsure).next();
    unsure.map_or(Ok(()), |name| {
        let cause = format!("{name} in an expression with a query in it may be a column of {table} or of that query.");
        Err(Problem::new("NAME-UNSURE", cause, format!("Write which table it is of, such as {table}.{name}.")))
    })
}

/// Refuses a query within a check: the database takes none there.
pub(super) fn refuse_query(check: &Ident, expression: &Expression) -> Result<(), Problem> {
    if !expression.has_query() {
        return Ok(());
    }
    let cause = format!("check {check} holds a query, and a check sees nothing but its row.");
    Err(Problem::new("EXPRESSION-WRONG", cause, "Say it with the row's own columns, or with a foreign or unique key."))
}
