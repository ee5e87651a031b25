//! Bad files, each with all that is said about it.

mod keys;
mod sql;
mod yaml;

use expect_test::expect;

use super::refuse;

#[test]
fn what_excludes_each_other_is_told() {
    refuse(
        "
operations:
  - add_column: {table: t, column: {name: a, type: int, generated: {}}}
  - add_column: {table: t, column: {name: a, type: int, default: '1', generated: {expression: b, identity: {}}}}
  - sql: {up: SELECT 1, down: SELECT 2, onComplete: true}
  - set_replica_identity: {table: t, identity: {type: full, index: i}}
  - set_replica_identity: {table: t, identity: {type: index}}
  - create_index: {name: i, table: t, columns: [a, a], unique: true, method: hash}
  - rename_table: {from: a, to: a}
  - drop_table: {name: a}
    drop_index: {name: b}
  - sql: {up: SELECT 1}
",
        expect![[r#"
            02_change.yaml:3:57: add_column.column.generated has neither "expression" nor "identity"
              |
            3 |   - add_column: {table: t, column: {name: a, type: int, generated: {}}}
              |                                                         ^^^^^^^^^
              = write: expression: "price * amount"
                or write: identity: {"user_specified_values": "ALWAYS"}

            02_change.yaml:4:57: a generated column has no default
              |
            4 |   - add_column: {table: t, column: {name: a, type: int, default: '1', generated: {expression: b, identity: {}}}}
              |                                                         ^^^^^^^
              = leave one of the two out

            02_change.yaml:4:98: a column is generated from an expression or from a sequence, not from both
              |
            4 |   - add_column: {table: t, column: {name: a, type: int, default: '1', generated: {expression: b, identity: {}}}}
              |                                                                                                  ^^^^^^^^
              = leave one of the two out

            02_change.yaml:5:25: "down" has no effect: what runs at the end is not taken back by it
              |
            5 |   - sql: {up: SELECT 1, down: SELECT 2, onComplete: true}
              |                         ^^^^
              = leave out "down" or "onComplete"

            02_change.yaml:6:61: "index" has no effect: the rows are not known by an index
              |
            6 |   - set_replica_identity: {table: t, identity: {type: full, index: i}}
              |                                                             ^^^^^
              = leave it out, or write: type: index

            02_change.yaml:7:38: set_replica_identity.identity has no "index"
              |
            7 |   - set_replica_identity: {table: t, identity: {type: index}}
              |                                      ^^^^^^^^
              = write: index: "users_by_name"

            02_change.yaml:8:52: "a" stands here twice
              |
            8 |   - create_index: {name: i, table: t, columns: [a, a], unique: true, method: hash}
              |                                                    ^
              = leave one of them out

            02_change.yaml:8:56: only a btree index can be unique
              |
            8 |   - create_index: {name: i, table: t, columns: [a, a], unique: true, method: hash}
              |                                                        ^^^^^^
              = leave out "unique" or "method"

            02_change.yaml:9:29: it has this name already
              |
            9 |   - rename_table: {from: a, to: a}
              |                             ^^
              = write another name, or leave the operation out

            02_change.yaml:11:5: "drop_index" is a second key: an operation has one, its name
               |
            11 |     drop_index: {name: b}
               |     ^^^^^^^^^^
               = give each operation its own item of the list

            02_change.yaml:12:11: sql stands beside other operations: what it leaves behind is not known when they are planned
               |
            12 |   - sql: {up: SELECT 1}
               |           ^^
               = give it a file of its own, or add: onComplete: true"#]],
    );
    refuse(
        "
operations:
  - create_table:
      name: t
      columns:
        - {name: a, type: int, pk: true, nullable: true}
        - {name: a, type: int}
      constraints:
        - {name: c, type: primary_key, columns: [a]}
        - {name: c, type: check, check: a > 0, references: {table: u, columns: [a]}, deferrable: false}
        - {name: d, type: unique, columns: [a], deferrable: false, initially_deferred: true, exclude: {index_method: gist, elements: a WITH =}}
        - {name: e, type: foreign_key, columns: [a], references: {name: f, table: u, columns: [a, b], on_delete: CASCADE, on_delete_set_columns: [a], match_type: PARTIAL}}
  - create_constraint: {table: t, name: c, type: unique, columns: [a], up: {b: b}, down: {a: a}}
",
        expect![[r#"
            02_change.yaml:6:42: a column of the primary key takes no NULL
              |
            6 |         - {name: a, type: int, pk: true, nullable: true}
              |                                          ^^^^^^^^
              = leave out "nullable" or "pk"

            02_change.yaml:7:12: there is a column "a" already
              |
            7 |         - {name: a, type: int}
              |            ^^^^
              = name it otherwise

            02_change.yaml:9:21: the table has a primary key already
              |
            9 |         - {name: c, type: primary_key, columns: [a]}
              |                     ^^^^
              = leave out this one, or "pk" at the columns

            02_change.yaml:10:12: there is a constraint "c" already
               |
            10 |         - {name: c, type: check, check: a > 0, references: {table: u, columns: [a]}, deferrable: false}
               |            ^^^^
               = name it otherwise

            02_change.yaml:10:48: a constraint of type check has no "references"
               |
            10 |         - {name: c, type: check, check: a > 0, references: {table: u, columns: [a]}, deferrable: false}
               |                                                ^^^^^^^^^^
               = leave it out, or write another type

            02_change.yaml:11:49: it can not be deferred from the start and not be deferrable
               |
            11 |         - {name: d, type: unique, columns: [a], deferrable: false, initially_deferred: true, exclude: {index_method: gist, elements: a WITH =}}
               |                                                 ^^^^^^^^^^
               = leave one of the two out

            02_change.yaml:11:94: a constraint of type unique has no "exclude"
               |
            11 |         - {name: d, type: unique, columns: [a], deferrable: false, initially_deferred: true, exclude: {index_method: gist, elements: a WITH =}}
               |                                                                                              ^^^^^^^
               = leave it out, or write another type

            02_change.yaml:12:67: the constraint is called "e" above, and "f" here
               |
            12 |         - {name: e, type: foreign_key, columns: [a], references: {name: f, table: u, columns: [a, b], on_delete: CASCADE, on_delete_set_columns: [a], match_type: PARTIAL}}
               |                                                                   ^^^^
               = leave this one out

            02_change.yaml:12:86: columns are 2 here and 1 in the constraint
               |
            12 |         - {name: e, type: foreign_key, columns: [a], references: {name: f, table: u, columns: [a, b], on_delete: CASCADE, on_delete_set_columns: [a], match_type: PARTIAL}}
               |                                                                                      ^^^^^^^
               = name as many columns on both sides

            02_change.yaml:12:123: "on_delete_set_columns" has no effect: on_delete sets no column
               |
            12 |         - {name: e, type: foreign_key, columns: [a], references: {name: f, table: u, columns: [a, b], on_delete: CASCADE, on_delete_set_columns: [a], match_type: PARTIAL}}
               |                                                                                                                           ^^^^^^^^^^^^^^^^^^^^^
               = leave it out, or write: on_delete: SET NULL

            02_change.yaml:12:163: "PARTIAL" is none of the words for "create_table.constraints[].references.match_type"
               |
            12 |         - {name: e, type: foreign_key, columns: [a], references: {name: f, table: u, columns: [a, b], on_delete: CASCADE, on_delete_set_columns: [a], match_type: PARTIAL}}
               |                                                                                                                                                                   ^^^^^^^
               = known here: SIMPLE, FULL

            02_change.yaml:13:72: "up" has a value for "b", which is none of the constraint's columns
               |
            13 |   - create_constraint: {table: t, name: c, type: unique, columns: [a], up: {b: b}, down: {a: a}}
               |                                                                        ^^
               = leave it out, or name the column in "columns""#]],
    );
}
