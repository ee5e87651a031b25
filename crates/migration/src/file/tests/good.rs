//! One good file for each operation.

mod columns;
mod rules;
mod tables;

use expect_test::expect;

use super::{check, operations};

#[test]
fn drops() {
    check(
        "drop_column: {table: users, column: age, down: '0'}",
        expect![[r#"
        DropColumn(
            DropColumn {
                table: "users",
                column: "age",
                down: Some(
                    `0`,
                ),
            },
        )"#]],
    );
    check(
        "drop_column: {table: users, column: age}",
        expect![[r#"
        DropColumn(
            DropColumn {
                table: "users",
                column: "age",
                down: None,
            },
        )"#]],
    );
    check(
        "drop_constraint: {table: users, name: users_name, up: name, down: name || id}",
        expect![[r#"
        DropConstraint(
            DropConstraint {
                table: "users",
                name: "users_name",
                up: Some(
                    `name`,
                ),
                down: `name || id`,
            },
        )"#]],
    );
    check(
        "drop_index: {name: by_name}",
        expect![[r#"
        DropIndex(
            DropIndex {
                name: "by_name",
            },
        )"#]],
    );
    check(
        "drop_multicolumn_constraint: {table: t, name: t_ab, up: {a: a}, down: {a: a, b: 'a + 1'}}",
        expect![[r#"
        DropMultiColumnConstraint(
            DropMultiColumnConstraint {
                table: "t",
                name: "t_ab",
                up: {
                    "a": `a`,
                },
                down: {
                    "a": `a`,
                    "b": `a + 1`,
                },
            },
        )"#]],
    );
    check(
        "drop_table: {name: users}",
        expect![[r#"
        DropTable(
            DropTable {
                name: "users",
            },
        )"#]],
    );
}

#[test]
fn renames() {
    check(
        "rename_column: {table: users, from: name, to: full name}",
        expect![[r#"
        RenameColumn(
            RenameColumn {
                table: "users",
                from: "name",
                to: "full name",
            },
        )"#]],
    );
    check(
        "rename_constraint: {table: users, from: a, to: b}",
        expect![[r#"
        RenameConstraint(
            RenameConstraint {
                table: "users",
                from: "a",
                to: "b",
            },
        )"#]],
    );
    check(
        "rename_table: {from: users, to: people}",
        expect![[r#"
        RenameTable(
            RenameTable {
                from: "users",
                to: "people",
            },
        )"#]],
    );
}

#[test]
fn sql() {
    check(
        "sql: {up: \"CREATE TYPE kind AS ENUM ('a'); SELECT 1\", down: DROP TYPE IF EXISTS kind}",
        expect![[r#"
        Sql(
            RawSql {
                up: "CREATE TYPE kind AS ENUM ('a'); SELECT 1",
                down: Some(
                    "DROP TYPE IF EXISTS kind",
                ),
                on_complete: false,
            },
        )"#]],
    );
    let both = "operations: [{drop_table: {name: t}}, {sql: {up: VACUUM t, onComplete: true}}]";
    assert_eq!(operations(both).len(), 2);
}
