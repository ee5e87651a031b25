//! What one action of `ALTER TABLE` does.

use squawk_syntax::SyntaxKind;
use squawk_syntax::ast::{
    AddColumn, AlterColumn, AlterColumnOption, AlterTableAction, AstNode, Constraint, GeneratedAs, normalize_name_node,
};

use crate::Ident;

use super::act::{Act, AddedColumn, AddedConstraint, Asks, Default};
use super::name::Name;
use super::read::{columns, named, other_table};
use super::volatile;

pub(super) fn acts(table: &Name, action: &AlterTableAction) -> Vec<Act> {
    let table = table.clone();
    let other = |table| Act::Alter { table };
    let one = match action {
        AlterTableAction::AddColumn(add) => return added(&table, add).unwrap_or_else(|| vec![other(table)]),
        AlterTableAction::AddConstraint(add) => {
            add.constraint().and_then(|constraint| asked(&table, &constraint, None)).map(Act::AddConstraint)
        }
        AlterTableAction::AlterColumn(alter) => column(&table, alter),
        AlterTableAction::DropColumn(drop) => {
            let column = ident(drop.column_name_ref());
            column.map(|column| Act::DropColumn { table: table.clone(), column })
        }
        AlterTableAction::DropConstraint(drop) => {
            let constraint = ident(drop.constraint_name_ref());
            constraint.map(|constraint| Act::DropConstraint { table: table.clone(), constraint })
        }
        AlterTableAction::ValidateConstraint(validate) => {
            let constraint = ident(validate.constraint_name_ref());
            constraint.map(|constraint| Act::ValidateConstraint { table: table.clone(), constraint })
        }
        AlterTableAction::RenameColumn(rename) => {
            let (from, to) = (ident(rename.column_name_ref()), ident(rename.column_name()));
            from.zip(to).map(|(column, to)| Act::RenameColumn { table: table.clone(), column, to })
        }
        AlterTableAction::TableRenameTo(rename) => {
            let to = rename.table_name().and_then(|name| named(name.syntax())).map(|name| name.to_string());
            to.map(|to| Act::RenameTable { table: table.clone(), to })
        }
        AlterTableAction::SetSchema(set) => {
            let schema = set.schema_ref().and_then(|schema| Ident::new(normalize_name_node(schema.syntax())).ok());
            schema.map(|schema| Act::RenameTable {
                to: Name { schema: Some(schema), name: table.name.clone() }.to_string(),
                table: table.clone(),
            })
        }
        AlterTableAction::SetLogged(_) | AlterTableAction::SetUnlogged(_) => {
            Some(Act::Rewrite { table: Some(table.clone()), how: "SET LOGGED or UNLOGGED" })
        }
        AlterTableAction::SetTablespace(_) => Some(Act::Rewrite { table: Some(table.clone()), how: "SET TABLESPACE" }),
        AlterTableAction::SetAccessMethod(_) => {
            Some(Act::Rewrite { table: Some(table.clone()), how: "SET ACCESS METHOD" })
        }
        // Names, owners, triggers, rules, partitions: nothing that a rule of ours asks about more closely.
        _ => None,
    };
    vec![one.unwrap_or_else(|| other(table))]
}

fn ident<N: AstNode>(node: Option<N>) -> Option<Ident> {
    let node = node?;
    // A constraint's name stands in a path of its own, a column's does not.
    named(node.syntax()).map(|name| name.name).or_else(|| Ident::new(normalize_name_node(node.syntax())).ok())
}

fn column(table: &Name, alter: &AlterColumn) -> Option<Act> {
    let (table, column) = (table.clone(), ident(alter.column_name_ref())?);
    match alter.option()? {
        AlterColumnOption::SetNotNull(_) => Some(Act::SetNotNull { table, column }),
        AlterColumnOption::DropNotNull(_) => Some(Act::DropNotNull { table, column }),
        AlterColumnOption::SetDefault(set) => {
            Some(Act::SetDefault { table, column, default: set.expr()?.syntax().text().to_string() })
        }
        AlterColumnOption::DropDefault(_) => Some(Act::DropDefault { table, column }),
        AlterColumnOption::SetType(set) => {
            Some(Act::SetType { table, column, data_type: set.ty()?.syntax().text().to_string().trim().to_owned() })
        }
        AlterColumnOption::AddGenerated(_)
        | AlterColumnOption::DropExpression(_)
        | AlterColumnOption::DropIdentity(_)
        | AlterColumnOption::Inherit(_)
        | AlterColumnOption::NoInherit(_)
        | AlterColumnOption::ResetOptions(_)
        | AlterColumnOption::Restart(_)
        | AlterColumnOption::SetCompression(_)
        | AlterColumnOption::SetExpression(_)
        | AlterColumnOption::SetGenerated(_)
        | AlterColumnOption::SetGeneratedOptions(_)
        | AlterColumnOption::SetOptions(_)
        | AlterColumnOption::SetOptionsList(_)
        | AlterColumnOption::SetSequenceOption(_)
        | AlterColumnOption::SetStatistics(_)
        | AlterColumnOption::SetStorage(_) => None,
    }
}

/// A column, and the constraints that stand with it.
fn added(table: &Name, add: &AddColumn) -> Option<Vec<Act>> {
    let column = ident(add.column_name())?;
    let data_type = add.ty()?.syntax().text().to_string().trim().to_owned();
    let mut made = AddedColumn {
        table: table.clone(),
        column: column.clone(),
        not_null: false,
        default: None,
        makes_values: is_serial(&data_type).then_some("a serial"),
        data_type,
    };
    let mut acts = Vec::new();
    for constraint in add.constraints() {
        match &constraint {
            Constraint::NotNullConstraint(_) => made.not_null = true,
            Constraint::NullConstraint(_) => {}
            Constraint::DefaultConstraint(default) => {
                made.default = default.expr().map(|value| Default {
                    text: value.syntax().text().to_string().trim().to_owned(),
                    is_volatile: volatile::is_volatile(value.syntax()),
                });
            }
            Constraint::GeneratedConstraint(generated) => {
                made.makes_values = match generated.generated_as() {
                    Some(GeneratedAs::GeneratedIdentity(_)) => Some("an identity"),
                    Some(GeneratedAs::GeneratedStored(stored)) => {
                        let is_virtual = stored.syntax().text().to_string().to_ascii_lowercase().contains("virtual");
                        (!is_virtual).then_some("a stored generated column")
                    }
                    None => None,
                };
            }
            Constraint::PrimaryKeyConstraint(_) => {
                made.not_null = true;
                acts.extend(asked(table, &constraint, Some(&column)).map(Act::AddConstraint));
            }
            Constraint::CheckConstraint(_)
            | Constraint::ExcludeConstraint(_)
            | Constraint::ForeignKeyConstraint(_)
            | Constraint::ReferencesConstraint(_)
            | Constraint::UniqueConstraint(_) => {
                acts.extend(asked(table, &constraint, Some(&column)).map(Act::AddConstraint));
            }
        }
    }
    acts.insert(0, Act::AddColumn(made));
    Some(acts)
}

fn is_serial(data_type: &str) -> bool {
    let base = data_type.to_ascii_lowercase();
    ["serial", "bigserial", "smallserial", "serial2", "serial4", "serial8"].contains(&base.as_str())
}

/// What `constraint` asks of the table; of the column that it stands with, if any.
fn asked(table: &Name, constraint: &Constraint, of: Option<&Ident>) -> Option<AddedConstraint> {
    let node = constraint.syntax();
    let asks = match constraint {
        Constraint::CheckConstraint(check) => Asks::Check(check.expr()?.syntax().text().to_string().trim().to_owned()),
        Constraint::ExcludeConstraint(_) => Asks::Exclusion,
        Constraint::ForeignKeyConstraint(_) | Constraint::ReferencesConstraint(_) => {
            Asks::ForeignKey(other_table(node)?)
        }
        Constraint::NotNullConstraint(_) => Asks::NotNull,
        Constraint::PrimaryKeyConstraint(_) => Asks::PrimaryKey,
        Constraint::UniqueConstraint(_) => Asks::Unique,
        Constraint::DefaultConstraint(_) | Constraint::GeneratedConstraint(_) | Constraint::NullConstraint(_) => {
            return None;
        }
    };
    let using_index = match constraint {
        Constraint::UniqueConstraint(unique) => unique.using_index().is_some(),
        Constraint::PrimaryKeyConstraint(key) => key.using_index().is_some(),
        _ => false,
    };
    let own_columns = match constraint {
        Constraint::ForeignKeyConstraint(key) => key.from_columns().map(|list| columns(list.syntax())),
        _ => Some(columns(node)),
    };
    Some(AddedConstraint {
        table: table.clone(),
        name: ident(constraint.constraint_name()),
        text: text_of(constraint),
        asks,
        columns: of.map_or_else(|| own_columns.unwrap_or_default(), |column| vec![column.clone()]),
        not_valid: constraint.is_not_valid(),
        using_index,
        with_column: of.is_some(),
    })
}

/// The constraint as written, without its name and `NOT VALID`.
fn text_of(constraint: &Constraint) -> String {
    let is_apart = |kind: SyntaxKind| matches!(kind, SyntaxKind::CONSTRAINT_NAME_CLAUSE | SyntaxKind::NOT_VALID);
    let parts = constraint.syntax().children_with_tokens().filter(|part| !is_apart(part.kind()));
    parts.map(|part| part.to_string()).collect::<String>().trim().to_owned()
}
