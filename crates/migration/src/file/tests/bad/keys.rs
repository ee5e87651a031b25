//! Keys that are unknown, missing, of another type or empty.

use expect_test::expect;

use super::super::{refuse, refuse_file};

#[test]
fn what_is_not_known_is_not_passed_over() {
    refuse(
        "operations: [{add_colum: {}}, {destroy: {}}]",
        expect![[r#"
        02_change.yaml:1:15: there is no operation "add_colum"
          |
        1 | operations: [{add_colum: {}}, {destroy: {}}]
          |               ^^^^^^^^^
          = did you mean "add_column"?

        02_change.yaml:1:32: there is no operation "destroy"
          |
        1 | operations: [{add_colum: {}}, {destroy: {}}]
          |                                ^^^^^^^
          = known here: add_column, alter_column, create_constraint, create_index, create_table, drop_column, drop_constraint, drop_index, drop_multicolumn_constraint, drop_table, rename_column, rename_constraint, rename_table, set_replica_identity, sql"#]],
    );
    refuse(
        "operations:\n  - add_column:\n      table: t\n      colunm: {name: a, type: int}\n      extra: 1\n",
        expect![[r#"
            02_change.yaml:4:7: add_column has no field "colunm"
              |
            4 |       colunm: {name: a, type: int}
              |       ^^^^^^
              = did you mean "column"?

            02_change.yaml:5:7: add_column has no field "extra"
              |
            5 |       extra: 1
              |       ^^^^^
              = known here: table, column, up"#]],
    );
    refuse(
        "operation: []\n",
        expect![[r#"
        02_change.yaml:1:1: the file has no field "operation"
          |
        1 | operation: []
          | ^^^^^^^^^
          = did you mean "operations"?"#]],
    );
    refuse(
        "operations:\n  - alter_column:\n      table: t\n      column: a\n      name: b\n",
        expect![[r#"
            02_change.yaml:5:7: alter_column has no field "name"
              |
            5 |       name: b
              |       ^^^^
              = a rename is an operation of its own: rename_column, with table, from and to"#]],
    );
}

#[test]
fn what_is_missing_is_named() {
    refuse(
        "operations:\n  - add_column:\n      table: t\n  - drop_table:\n  - drop_index: {}\n",
        expect![[r#"
            02_change.yaml:2:5: add_column has no "column"
              |
            2 |   - add_column:
              |     ^^^^^^^^^^
              = write: column: {"name": "age", "type": "int", "nullable": true}

            02_change.yaml:4:5: drop_table must be a map, not null
              |
            4 |   - drop_table:
              |     ^^^^^^^^^^
              = write: drop_table: {"name": "users"}

            02_change.yaml:5:5: drop_index has no "name"
              |
            5 |   - drop_index: {}
              |     ^^^^^^^^^^
              = write: name: "users_by_name""#]],
    );
    refuse(
        "operations:\n  - alter_column: {table: t, column: a, type: int, up: a}\n  - alter_column: {table: t, column: a}\n",
        expect![[r#"
            02_change.yaml:2:5: alter_column has no "down"
              |
            2 |   - alter_column: {table: t, column: a, type: int, up: a}
              |     ^^^^^^^^^^^^
              = write: down: "age"

            02_change.yaml:3:5: alter_column changes nothing
              |
            3 |   - alter_column: {table: t, column: a}
              |     ^^^^^^^^^^^^
              = add one of: type, nullable, default, comment, check, references, unique"#]],
    );
    refuse(
        "operations:\n  - create_table:\n      name: t\n      columns:\n        - name: a\n        -\n",
        expect![[r#"
            02_change.yaml:5:11: create_table.columns[] has no "type"
              |
            5 |         - name: a
              |           ^^^^^^^
              = write: type: "int"

            02_change.yaml:6:10: create_table.columns[] must be a map, not null
              |
            6 |         -
              |          ^
              = write: {"name": "age", "type": "int"}"#]],
    );
    refuse(
        "operations: [{create_constraint: {table: t, name: c, type: foreign_key, up: {}}}]",
        expect![[r#"
        02_change.yaml:1:15: create_constraint has no "down"
          |
        1 | operations: [{create_constraint: {table: t, name: c, type: foreign_key, up: {}}}]
          |               ^^^^^^^^^^^^^^^^^
          = write: down: {"name": "name"}

        02_change.yaml:1:15: create_constraint has no "columns"
          |
        1 | operations: [{create_constraint: {table: t, name: c, type: foreign_key, up: {}}}]
          |               ^^^^^^^^^^^^^^^^^
          = write: columns: ["name"]

        02_change.yaml:1:15: create_constraint has no "references"
          |
        1 | operations: [{create_constraint: {table: t, name: c, type: foreign_key, up: {}}}]
          |               ^^^^^^^^^^^^^^^^^
          = write: references: {"table": "users", "columns": ["id"]}"#]],
    );
    refuse(
        "name: 02_change",
        expect![[r#"
        02_change.yaml:1:1: the file has no "operations"
          |
        1 | name: 02_change
          | ^
          = write: operations: [{"drop_index": {"name": "users_by_name"}}]"#]],
    );
    refuse_file(
        "02_change.json",
        "{\"operations\": [{\"drop_column\": {\"column\": \"a\"}}]}",
        expect![[r#"
        02_change.json:1:18: drop_column has no "table"
          |
        1 | {"operations": [{"drop_column": {"column": "a"}}]}
          |                  ^^^^^^^^^^^^^
          = write: "table": "users""#]],
    );
}

#[test]
fn types_are_told() {
    refuse(
        "
operations:
  - add_column:
      table: 5
      up: [a]
      column:
        name: true
        type: int
        nullable: 'yes'
        default: 0
        comment: null
  - create_table: {name: t, columns: a}
  - create_table: [a]
  - drop_table
  - create_constraint: {table: t, name: c, type: unique, columns: [a, 1], up: a, down: {a: 1}}
",
        expect![[r#"
            02_change.yaml:4:14: "add_column.table" must be a text, not a number
              |
            4 |       table: 5
              |              ^
              = write: table: "5"

            02_change.yaml:5:11: "add_column.up" must be a text, not a list
              |
            5 |       up: [a]
              |           ^^^
              = write: up: "0"

            02_change.yaml:7:15: "add_column.column.name" must be a text, not true or false
              |
            7 |         name: true
              |               ^^^^
              = write: name: "true"

            02_change.yaml:9:19: "add_column.column.nullable" must be true or false, not a text
              |
            9 |         nullable: 'yes'
              |                   ^^^^^
              = write: nullable: true

            02_change.yaml:10:18: "add_column.column.default" must be a text, not a number
               |
            10 |         default: 0
               |                  ^
               = write: default: "0"

            02_change.yaml:11:18: "add_column.column.comment" must be a text, not null
               |
            11 |         comment: null
               |                  ^^^^
               = write: comment: "in years"

            02_change.yaml:12:29: "create_table.columns" must be a list, not a text
               |
            12 |   - create_table: {name: t, columns: a}
               |                             ^^^^^^^
               = write: columns: [{"name": "id", "type": "bigint", "pk": true}]

            02_change.yaml:13:19: create_table must be a map, not a list
               |
            13 |   - create_table: [a]
               |                   ^^^
               = write: create_table: {"name": "users", "columns": [{"name": "id", "type": "bigint", "pk": true}]}

            02_change.yaml:14:5: an operation must be a map, not a text
               |
            14 |   - drop_table
               |     ^^^^^^^^^^
               = write: drop_table: {"name": "users"}

            02_change.yaml:15:71: "create_constraint.columns[]" must be a text, not a number
               |
            15 |   - create_constraint: {table: t, name: c, type: unique, columns: [a, 1], up: a, down: {a: 1}}
               |                                                                       ^
               = write: columns: "1"

            02_change.yaml:15:75: "create_constraint.up" must be a map from columns to expressions, not a text
               |
            15 |   - create_constraint: {table: t, name: c, type: unique, columns: [a, 1], up: a, down: {a: 1}}
               |                                                                           ^^
               = write: up: {"name": "name"}

            02_change.yaml:15:92: "create_constraint.down.a" must be a text, not a number
               |
            15 |   - create_constraint: {table: t, name: c, type: unique, columns: [a, 1], up: a, down: {a: 1}}
               |                                                                                            ^
               = write: a: "1""#]],
    );
}

#[test]
fn empty_lists_and_texts_are_refused() {
    refuse(
        "operations: []",
        expect![[r#"
            02_change.yaml:1:1: "operations" is an empty list
              |
            1 | operations: []
              | ^^^^^^^^^^
              = write: operations: [{"drop_index": {"name": "users_by_name"}}]"#]],
    );
    refuse(
        "operations:\n  - create_table: {name: '', columns: []}\n  - create_index: {name: i, table: t, columns: []}\n  - {}\n  - drop_multicolumn_constraint: {table: t, name: c, down: {}}\n  - add_column: {table: t, column: {name: a, type: text, default: ''}}\n",
        expect![[r#"
            02_change.yaml:2:26: "create_table.name" is empty
              |
            2 |   - create_table: {name: '', columns: []}
              |                          ^^
              = write: name: "users"

            02_change.yaml:2:30: "create_table.columns" is an empty list
              |
            2 |   - create_table: {name: '', columns: []}
              |                              ^^^^^^^
              = write: columns: [{"name": "id", "type": "bigint", "pk": true}]

            02_change.yaml:3:39: "create_index.columns" is an empty list
              |
            3 |   - create_index: {name: i, table: t, columns: []}
              |                                       ^^^^^^^
              = write: columns: [{"column": "name", "sort": "DESC"}]

            02_change.yaml:4:5: there is no operation here
              |
            4 |   - {}
              |     ^^
              = write: drop_table: {"name": "users"}

            02_change.yaml:5:54: "down" has no column
              |
            5 |   - drop_multicolumn_constraint: {table: t, name: c, down: {}}
              |                                                      ^^^^
              = write: down: {"name": "name || id"}

            02_change.yaml:6:67: "add_column.column.default" is empty
              |
            6 |   - add_column: {table: t, column: {name: a, type: text, default: ''}}
              |                                                                   ^^
              = write: default: "0""#]],
    );
}
