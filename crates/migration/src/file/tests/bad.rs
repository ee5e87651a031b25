//! Bad files, each with all that is said about it.

use expect_test::expect;

use super::{parse, refuse, refuse_file};

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

#[test]
fn sql_that_is_none_is_shown_where_it_breaks() {
    refuse(
        "
operations:
  - add_column: {table: t, up: 'a; DROP TABLE t', column: {name: a, type: int NOT NULL, default: \"now(\"}}
  - alter_column:
      table: t
      column: a
      type: int; DROP TABLE t
      up: |
        coalesce(a,
          b c)
      down: a, b
  - add_column: {table: t, column: {name: n, type: int, check: {name: c, constraint: 'n > $1'}, generated: {identity: {sequence_options: 'START 1) , b int'}}}}
  - create_index: {name: i, table: t, columns: [{column: a, collate: 'x, b', sort: desc, nulls: FRIST, opclass: {name: 'int4_ops DESC', params: ['a = 1), (b']}}], storage_parameters: 'fillfactor = 70) WHERE (true'}
  - create_table: {name: t, columns: [{name: a, type: int}], constraints: [{name: c, type: exclude, exclude: {index_method: 'gist (a)', elements: 'a WITH =) WHERE (a'}}]}
  - create_constraint: {table: t, name: c, type: check, check: '', up: {a: 'a +'}, down: {a: a}}
",
        expect![[r#"
            02_change.yaml:3:34: "add_column.up": it is no SQL expression: `;` does not fit here
              |
            3 |   - add_column: {table: t, up: 'a; DROP TABLE t', column: {name: a, type: int NOT NULL, default: "now("}}
              |                                  ^
              = write: up: "0"

            02_change.yaml:3:75: "add_column.column.type" is no type: "int NOT NULL"
              |
            3 |   - add_column: {table: t, up: 'a; DROP TABLE t', column: {name: a, type: int NOT NULL, default: "now("}}
              |                                                                           ^^^^^^^^^^^^
              = write: type: "int"

            02_change.yaml:3:98: "add_column.column.default": it is no SQL expression: it ends too early
              |
            3 |   - add_column: {table: t, up: 'a; DROP TABLE t', column: {name: a, type: int NOT NULL, default: "now("}}
              |                                                                                                  ^^^^^^
              = write: default: "0"

            02_change.yaml:7:13: "alter_column.type" is no type: "int; DROP TABLE t"
              |
            7 |       type: int; DROP TABLE t
              |             ^^^^^^^^^^^^^^^^^
              = write: type: "bigint"

            02_change.yaml:10:13: "alter_column.up": it is no SQL expression: `c` does not fit here
               |
            10 |           b c)
               |             ^
               = write: up: "age"

            02_change.yaml:11:13: "alter_column.down": it is not one value
               |
            11 |       down: a, b
               |             ^^^^
               = write: down: "age"

            02_change.yaml:12:91: "add_column.column.check.constraint": it is no SQL expression: `$1` stands for no value here
               |
            12 |   - add_column: {table: t, column: {name: n, type: int, check: {name: c, constraint: 'n > $1'}, generated: {identity: {sequence_options: 'START 1) , b int'}}}}
               |                                                                                           ^
               = write: constraint: "age >= 0"

            02_change.yaml:12:138: "add_column.column.generated.identity.sequence_options" can not be read: `)` closes what it did not open
               |
            12 |   - add_column: {table: t, column: {name: n, type: int, check: {name: c, constraint: 'n > $1'}, generated: {identity: {sequence_options: 'START 1) , b int'}}}}
               |                                                                                                                                          ^^^^^^^^^^^^^^^^^^
               = write: sequence_options: "START WITH 1000"

            02_change.yaml:13:70: "create_index.columns[].collate" can not be read: it is no name
               |
            13 |   - create_index: {name: i, table: t, columns: [{column: a, collate: 'x, b', sort: desc, nulls: FRIST, opclass: {name: 'int4_ops DESC', params: ['a = 1), (b']}}], storage_parameters: 'fillfactor = 70) WHERE (true'}
               |                                                                      ^^^^^^
               = write: collate: "\"de_DE\""

            02_change.yaml:13:84: "desc" is none of the words for "create_index.columns[].sort"
               |
            13 |   - create_index: {name: i, table: t, columns: [{column: a, collate: 'x, b', sort: desc, nulls: FRIST, opclass: {name: 'int4_ops DESC', params: ['a = 1), (b']}}], storage_parameters: 'fillfactor = 70) WHERE (true'}
               |                                                                                    ^^^^
               = did you mean "DESC"?

            02_change.yaml:13:97: "FRIST" is none of the words for "create_index.columns[].nulls"
               |
            13 |   - create_index: {name: i, table: t, columns: [{column: a, collate: 'x, b', sort: desc, nulls: FRIST, opclass: {name: 'int4_ops DESC', params: ['a = 1), (b']}}], storage_parameters: 'fillfactor = 70) WHERE (true'}
               |                                                                                                 ^^^^^
               = did you mean "FIRST"?

            02_change.yaml:13:120: "create_index.columns[].opclass.name" can not be read: it is no name
               |
            13 |   - create_index: {name: i, table: t, columns: [{column: a, collate: 'x, b', sort: desc, nulls: FRIST, opclass: {name: 'int4_ops DESC', params: ['a = 1), (b']}}], storage_parameters: 'fillfactor = 70) WHERE (true'}
               |                                                                                                                        ^^^^^^^^^^^^^^^
               = write: name: "gist_trgm_ops"

            02_change.yaml:13:146: "create_index.columns[].opclass.params" can not be read: `)` closes what it did not open
               |
            13 |   - create_index: {name: i, table: t, columns: [{column: a, collate: 'x, b', sort: desc, nulls: FRIST, opclass: {name: 'int4_ops DESC', params: ['a = 1), (b']}}], storage_parameters: 'fillfactor = 70) WHERE (true'}
               |                                                                                                                                                  ^^^^^^^^^^^^
               = write: params: ["siglen = 32"]

            02_change.yaml:13:184: "create_index.storage_parameters" can not be read: `)` closes what it did not open
               |
            13 |   - create_index: {name: i, table: t, columns: [{column: a, collate: 'x, b', sort: desc, nulls: FRIST, opclass: {name: 'int4_ops DESC', params: ['a = 1), (b']}}], storage_parameters: 'fillfactor = 70) WHERE (true'}
               |                                                                                                                                                                                        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
               = write: storage_parameters: "fillfactor = 70"

            02_change.yaml:14:125: "create_table.constraints[].exclude.index_method" can not be read: it ends too early
               |
            14 |   - create_table: {name: t, columns: [{name: a, type: int}], constraints: [{name: c, type: exclude, exclude: {index_method: 'gist (a)', elements: 'a WITH =) WHERE (a'}}]}
               |                                                                                                                             ^^^^^^^^^^
               = write: index_method: "gist"

            02_change.yaml:14:147: "create_table.constraints[].exclude.elements" can not be read: `)` closes what it did not open
               |
            14 |   - create_table: {name: t, columns: [{name: a, type: int}], constraints: [{name: c, type: exclude, exclude: {index_method: 'gist (a)', elements: 'a WITH =) WHERE (a'}}]}
               |                                                                                                                                                   ^^^^^^^^^^^^^^^^^^^^
               = write: elements: "during WITH &&"

            02_change.yaml:15:5: create_constraint has no "check"
               |
            15 |   - create_constraint: {table: t, name: c, type: check, check: '', up: {a: 'a +'}, down: {a: a}}
               |     ^^^^^^^^^^^^^^^^^
               = write: check: "age >= 0"

            02_change.yaml:15:76: "create_constraint.up.a": it is no SQL expression: it ends too early
               |
            15 |   - create_constraint: {table: t, name: c, type: check, check: '', up: {a: 'a +'}, down: {a: a}}
               |                                                                            ^^^^^
               = write: up: {"name": "name"}"#]],
    );
}

#[test]
fn names_are_held_to_what_the_database_keeps() {
    let long = "a".repeat(64);
    refuse(
        &format!("operations: [{{drop_table: {{name: {long}}}}}]"),
        expect![[r#"
        02_change.yaml:1:34: `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` is longer than 63 bytes, the database would cut it
          |
        1 | operations: [{drop_table: {name: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}}]
          |                                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          = write: name: "users""#]],
    );
    refuse(
        "operations: [{drop_table: {name: \"a\\0b\"}}]",
        expect![[r#"
        02_change.yaml:1:34: a name can not contain a NUL character
          |
        1 | operations: [{drop_table: {name: "a\0b"}}]
          |                                  ^^^^^^
          = write: name: "users""#]],
    );
    refuse(
        "name: 03_other\noperations: [{drop_table: {name: a}}]",
        expect![[r#"
        02_change.yaml:1:1: the file calls itself "03_other", but its name is "02_change"
          |
        1 | name: 03_other
          | ^^^^
          = leave the name out, or write: name: "02_change""#]],
    );
    refuse_file(
        "migrations/.yaml",
        "operations: [{drop_table: {name: a}}]",
        expect![[r#"
        migrations/.yaml:1:1: the file's name names its version: a name can not be empty
          |
        1 | operations: [{drop_table: {name: a}}]
          | ^
          = rename the file"#]],
    );
}

#[test]
fn only_the_plain_part_of_yaml_is_read() {
    refuse(
        "operations:\n  - drop_table: &a {name: t}\n  - drop_table: *a\n  - drop_table: {name: !!str 5}\n  - !custom {drop_index: {name: i}}\n",
        expect![[r#"
            02_change.yaml:2:17: this value has an anchor (&)
              |
            2 |   - drop_table: &a {name: t}
              |                 ^^^^
              = leave the anchor out, and write the value where it is used

            02_change.yaml:3:17: an alias (*) stands here
              |
            3 |   - drop_table: *a
              |                 ^^
              = write the value itself

            02_change.yaml:4:24: this value has a tag (!)
              |
            4 |   - drop_table: {name: !!str 5}
              |                        ^^^^^^^
              = leave the tag out; a text that looks like a number is quoted

            02_change.yaml:5:5: this value has a tag (!)
              |
            5 |   - !custom {drop_index: {name: i}}
              |     ^^^^^^^^^
              = leave the tag out; a text that looks like a number is quoted"#]],
    );
    refuse(
        "operations: [{drop_table: {name: a, name: b}}]\noperations: []\n",
        expect![[r#"
        02_change.yaml:1:37: "name" stands here twice
          |
        1 | operations: [{drop_table: {name: a, name: b}}]
          |                                     ^^^^
          = leave one of them out

        02_change.yaml:2:1: "operations" stands here twice
          |
        2 | operations: []
          | ^^^^^^^^^^
          = leave one of them out"#]],
    );
    refuse(
        "operations: [{drop_table: {name: a}}]\n---\noperations: []\n",
        expect![[r#"
        02_change.yaml:2:1: a second document begins here
          |
        2 | ---
          | ^^^
          = write one document a file"#]],
    );
    refuse(
        "operations:\n  - drop_table: {name: a\n",
        expect![[r#"
        02_change.yaml:2:25: not YAML: while parsing a flow mapping, did not find expected ',' or '}'
          |
        2 |   - drop_table: {name: a
          |                         ^
          = see https://yaml.org/spec/1.2.2/"#]],
    );
    refuse(
        "operations:\n\t- drop_table: {name: a}\n",
        expect![[r#"
        02_change.yaml:2:2: not YAML: tabs disallowed within this context (block indentation)
          |
        2 | 	- drop_table: {name: a}
          | 	^
          = see https://yaml.org/spec/1.2.2/"#]],
    );
    refuse(
        "",
        expect![[r#"
        02_change.yaml:1:1: the file is empty
          |
        1 | 
          | ^
          = write: operations: [...]"#]],
    );
    refuse(
        "# nothing\n",
        expect![[r#"
        02_change.yaml:1:1: the file is empty
          |
        1 | # nothing
          | ^
          = write: operations: [...]"#]],
    );
    refuse(
        "- drop_table: {name: a}\n",
        expect![[r#"
            02_change.yaml:1:1: the file must be a map, not a list
              |
            1 | - drop_table: {name: a}
              | ^^^^^^^^^^^^^^^^^^^^^^^
              = write: {"operations": [{"drop_index": {"name": "users_by_name"}}]}"#]],
    );
    refuse(
        "? [a]\n: b\n1: c\n",
        expect![[r#"
            02_change.yaml:1:1: the file has no "operations"
              |
            1 | ? [a]
              | ^
              = write: operations: [{"drop_index": {"name": "users_by_name"}}]

            02_change.yaml:1:3: a key must be a text, not a list
              |
            1 | ? [a]
              |   ^^^
              = write it in quotes

            02_change.yaml:3:1: a key must be a text, not a number
              |
            3 | 1: c
              | ^
              = write it in quotes"#]],
    );
    refuse(
        &format!("operations: {}{}", "[".repeat(40), "]".repeat(40)),
        expect![[r#"
        02_change.yaml:1:28: more than 16 lists and maps lie in each other here
          |
        1 | operations: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]
          |                            ^
          = no operation needs as many"#]],
    );
    refuse_file(
        "02_change.json",
        "{\"operations\": [}",
        expect![[r#"
        02_change.json:1:17: not JSON: while parsing a node, did not find expected node content
          |
        1 | {"operations": [}
          |                 ^
          = see https://yaml.org/spec/1.2.2/"#]],
    );
}

#[test]
fn a_long_file_is_not_read() {
    let mistakes = parse(&" ".repeat((1 << 20) + 1), "02_change.yaml").unwrap_err();
    assert_eq!(mistakes.len(), 1);
    assert_eq!(mistakes[0].cause, "the file is longer than 1048576 bytes");
}

#[test]
fn a_file_of_nothing_but_mistakes_is_answered_soon() {
    assert_eq!(parse(&"a: b\n".repeat(200_000), "02_change.yaml").unwrap_err().len(), 200);
}

#[test]
fn no_file_takes_the_stack_or_hangs() {
    for text in [
        "[", "{", "- ", "? ", "a: ", "\"", "'", "&a ", "!a ", "*a ", "|\n ", "\t", "---\n", "{\"a\":", "\u{feff}", "\r",
    ] {
        let _ = parse(&text.repeat(20_000), "02_change.yaml");
    }
}
