//! From the parser's tree to what a statement does.

use squawk_syntax::SyntaxKind::{COLUMN_NAME_REF, NAME_REF, TABLE_NAME_REF, UNIQUE_KW};
use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{
    AlterTable, AlterTableAction, AlterTypeAction, AstNode, CreateIndex, InsertSource, SetScope, Stmt,
    normalize_name_node,
};

use crate::Ident;

use super::act::{Act, AddedIndex, Write};
use super::alter_table;
use super::name::Name;

/// Everything that `statement` does.
pub(super) fn acts(statement: &Stmt) -> Vec<Act> {
    let node = statement.syntax();
    let many = |acts: Option<Vec<Act>>| acts.filter(|acts| !acts.is_empty()).unwrap_or_else(|| vec![Act::Other]);
    let one = |act: Option<Act>| vec![act.unwrap_or(Act::Other)];
    match statement {
        Stmt::AlterTable(alter) => many(altered(alter)),
        Stmt::CreateTable(_) | Stmt::CreateTableAs(_) | Stmt::SelectInto(_) | Stmt::CreateForeignTable(_) => {
            one(made_table(statement))
        }
        Stmt::CreateIndex(create) => one(index(create)),
        Stmt::DropTable(drop) => many(Some(
            drop.table_name_refs()
                .filter_map(|table| named(table.syntax()))
                .map(|table| Act::DropTable { table })
                .collect(),
        )),
        Stmt::DropIndex(drop) => {
            let concurrently = drop.concurrently_token().is_some();
            let indexes = drop.index_refs().filter_map(|index| named(index.syntax()));
            many(Some(indexes.map(|index| Act::DropIndex { index, concurrently }).collect()))
        }
        Stmt::Reindex(reindex) => {
            let name = named(node).map(|name| name.to_string()).unwrap_or_default();
            vec![Act::Reindex { name, concurrently: reindex.is_concurrently() }]
        }
        Stmt::AlterType(alter) => one(named(node).and_then(|kind| altered_type(kind, alter.action()?))),
        Stmt::CreateType(_) => one(named(node).map(|name| Act::CreateType { name })),
        Stmt::Cluster(_) => vec![Act::Rewrite { table: named(node), how: "CLUSTER" }],
        Stmt::Vacuum(vacuum) if vacuum.is_full() => vec![Act::Rewrite { table: named(node), how: "VACUUM FULL" }],
        Stmt::Update(_) => one(write(node, "UPDATE")),
        Stmt::Delete(_) => one(write(node, "DELETE")),
        Stmt::Merge(_) => one(write(node, "MERGE")),
        Stmt::Truncate(_) => one(write(node, "TRUNCATE")),
        Stmt::Insert(insert) => {
            let table = insert.relation_name_ref().and_then(|table| named(table.syntax()));
            let from = insert.insert_source().map(|source| match source {
                InsertSource::DefaultValues(_) => true,
                InsertSource::SelectVariant(query) => query.syntax().kind() == squawk_syntax::SyntaxKind::VALUES,
            });
            let only_named_rows = from.unwrap_or(true);
            one(table.map(|table| Act::Write(Write { verb: "INSERT ... SELECT", table, only_named_rows })))
        }
        Stmt::Set(set) => {
            let setting = set.set_target().map(|target| target.syntax().text().to_string()).unwrap_or_default();
            let setting = setting.split(['=', ' ', '\n']).next().unwrap_or_default().to_ascii_lowercase();
            vec![Act::Set { setting, local: matches!(set.set_scope(), Some(SetScope::LocalScope(_))) }]
        }
        Stmt::Do(_) => vec![Act::Code],
        Stmt::Begin(_) => vec![Act::Begin],
        Stmt::Commit(_) => vec![Act::Commit],
        Stmt::Rollback(_) | Stmt::SavepointCreate(_) | Stmt::ReleaseSavepoint(_) | Stmt::PrepareTransaction(_) => {
            vec![Act::OtherTransaction]
        }
        // What is left neither changes a table that is there nor its rows.
        _ => vec![Act::Other],
    }
}

/// A name of the kind that stands first in `node`.
pub(super) fn named(node: &SyntaxNode) -> Option<Name> {
    Name::first_in(node)
}

/// The columns that are named directly below `node`, or anywhere in an expression of it.
pub(super) fn columns(node: &SyntaxNode) -> Vec<Ident> {
    let mut found = Vec::new();
    for name in node.descendants().filter(|node| matches!(node.kind(), COLUMN_NAME_REF | NAME_REF)) {
        if let Ok(column) = Ident::new(normalize_name_node(&name))
            && !found.contains(&column)
        {
            found.push(column);
        }
    }
    found
}

fn made_table(statement: &Stmt) -> Option<Act> {
    let name = match statement {
        Stmt::SelectInto(select) => select.into_clause()?.syntax().clone(),
        other => other.syntax().clone(),
    };
    Some(Act::CreateTable { table: named(&name)? })
}

fn altered(alter: &AlterTable) -> Option<Vec<Act>> {
    let table = named(alter.table_relation_name()?.syntax())?;
    Some(alter.actions().flat_map(|action: AlterTableAction| alter_table::acts(&table, &action)).collect())
}

fn index(create: &CreateIndex) -> Option<Act> {
    let relation = create.table_relation_name()?;
    let rest: String = create
        .syntax()
        .children_with_tokens()
        .skip_while(|element| element.as_node() != Some(relation.syntax()))
        .skip(1)
        .filter(|element| element.kind() != squawk_syntax::SyntaxKind::SEMICOLON)
        .map(|element| element.to_string())
        .collect();
    let is_unique = |element: squawk_syntax::SyntaxElement| element.kind() == UNIQUE_KW;
    Some(Act::CreateIndex(AddedIndex {
        index: create.index().and_then(|index| named(index.syntax())).map(|name| name.name),
        table: named(relation.syntax())?,
        columns: create.partition_item_list().map(|items| columns(items.syntax())).unwrap_or_default(),
        unique: create.syntax().children_with_tokens().any(is_unique),
        concurrently: create.concurrently_token().is_some(),
        rest: rest.trim().to_owned(),
    }))
}

fn altered_type(kind: Name, action: AlterTypeAction) -> Option<Act> {
    let literal = |node: &SyntaxNode| {
        let token = node.descendants().find_map(squawk_syntax::ast::Literal::cast)?;
        token.string_value()
    };
    match action {
        AlterTypeAction::AddValue(add) => Some(Act::AddValue { kind, value: literal(add.syntax())? }),
        AlterTypeAction::RenameValue(rename) => Some(Act::RenameValue { kind, value: literal(rename.syntax())? }),
        AlterTypeAction::AlterTypeAttributeActionList(_)
        | AlterTypeAction::OwnerTo(_)
        | AlterTypeAction::RenameAttribute(_)
        | AlterTypeAction::SetOptions(_)
        | AlterTypeAction::SetSchema(_)
        | AlterTypeAction::TypeRenameTo(_) => None,
    }
}

fn write(node: &SyntaxNode, verb: &'static str) -> Option<Act> {
    let is_with = |child: &SyntaxNode| child.kind() == squawk_syntax::SyntaxKind::WITH_CLAUSE;
    let target = node.children().filter(|child| !is_with(child)).find_map(|child| named(&child))?;
    Some(Act::Write(Write { verb, table: target, only_named_rows: false }))
}

/// The table that a foreign key leads to.
pub(super) fn other_table(node: &SyntaxNode) -> Option<Name> {
    named(&node.descendants().find(|node| node.kind() == TABLE_NAME_REF)?)
}
