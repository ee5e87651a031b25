//! Expressions, types and names that the database would not take.

use expect_test::expect;

use super::super::{refuse, refuse_file};

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
