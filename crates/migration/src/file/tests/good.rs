//! One good file for each operation.

use expect_test::expect;

use super::{check, operations};
use crate::{Operation, ReplicaIdentity};

#[test]
fn add_column() {
    check(
        "
add_column:
  table: products
  up: 'round(price * 1.19, 2)'
  column:
    name: gross
    type: numeric(10, 2)
    nullable: true
    unique: false
    default: '0'
    comment: with tax
    check: {name: gross_is_more, constraint: gross >= price, no_inherit: true}
    references: {name: gross_band, table: bands, column: limit, on_delete: SET NULL, on_update: CASCADE, match_type: FULL, initially_deferred: true}
",
        expect![[r#"
            AddColumn(
                AddColumn {
                    table: "products",
                    column: Column {
                        name: "gross",
                        data_type: "numeric(10, 2)",
                        nullable: true,
                        unique: false,
                        primary_key: false,
                        default: Some(
                            `0`,
                        ),
                        check: Some(
                            Check {
                                name: "gross_is_more",
                                expression: `gross >= price`,
                                no_inherit: true,
                            },
                        ),
                        references: Some(
                            References {
                                name: "gross_band",
                                table: "bands",
                                column: Some(
                                    "limit",
                                ),
                                on_delete: SetNull(
                                    [],
                                ),
                                on_update: Cascade,
                                match_full: true,
                                deferrable: true,
                                initially_deferred: true,
                            },
                        ),
                        comment: Some(
                            "with tax",
                        ),
                        generated: None,
                    },
                    up: Some(
                        `round(price * 1.19, 2)`,
                    ),
                },
            )"#]],
    );
}

#[test]
fn add_column_that_fills_itself() {
    check(
        "add_column: {table: t, column: {name: n, type: bigint, generated: {identity: {user_specified_values: BY DEFAULT, sequence_options: START WITH 10 INCREMENT BY 2}}}}",
        expect![[r#"
            AddColumn(
                AddColumn {
                    table: "t",
                    column: Column {
                        name: "n",
                        data_type: "bigint",
                        nullable: false,
                        unique: false,
                        primary_key: false,
                        default: None,
                        check: None,
                        references: None,
                        comment: None,
                        generated: Some(
                            Identity {
                                always: false,
                                options: "START WITH 10 INCREMENT BY 2",
                            },
                        ),
                    },
                    up: None,
                },
            )"#]],
    );
    check(
        "add_column: {table: t, up: '', column: {name: n, type: int, generated: {expression: a + b, }}}",
        expect![[r#"
        AddColumn(
            AddColumn {
                table: "t",
                column: Column {
                    name: "n",
                    data_type: "int",
                    nullable: false,
                    unique: false,
                    primary_key: false,
                    default: None,
                    check: None,
                    references: None,
                    comment: None,
                    generated: Some(
                        Stored(
                            `a + b`,
                        ),
                    ),
                },
                up: None,
            },
        )"#]],
    );
}

#[test]
fn alter_column() {
    check(
        "
alter_column:
  table: orders
  column: total
  type: bigint
  nullable: false
  default: '0'
  comment: in cents
  check:
    name: total_is_known
    constraint: total >= 0
  references: {name: total_band, table: bands}
  unique:
    name: orders_total
  up: >-
    SELECT CASE
      WHEN total IS NULL THEN 0
      ELSE total::bigint
    END
  down: |
    -- as it was
    total::int
",
        expect![[r#"
            AlterColumn(
                AlterColumn {
                    table: "orders",
                    column: "total",
                    data_type: Some(
                        "bigint",
                    ),
                    nullable: Some(
                        false,
                    ),
                    default: Set(
                        `0`,
                    ),
                    comment: Some(
                        Some(
                            "in cents",
                        ),
                    ),
                    check: Some(
                        Check {
                            name: "total_is_known",
                            expression: `total >= 0`,
                            no_inherit: false,
                        },
                    ),
                    references: Some(
                        References {
                            name: "total_band",
                            table: "bands",
                            column: None,
                            on_delete: NoAction,
                            on_update: NoAction,
                            match_full: false,
                            deferrable: false,
                            initially_deferred: false,
                        },
                    ),
                    unique: Some(
                        "orders_total",
                    ),
                    up: Some(
                        `(SELECT CASE
                          WHEN total IS NULL THEN 0
                          ELSE total::bigint
                        END)`,
                    ),
                    down: Some(
                        `total::int`,
                    ),
                },
            )"#]],
    );
    check(
        "alter_column: {table: orders, column: total, default: null, comment: null, up: total, down: total}",
        expect![[r#"
            AlterColumn(
                AlterColumn {
                    table: "orders",
                    column: "total",
                    data_type: None,
                    nullable: None,
                    default: Drop,
                    comment: Some(
                        None,
                    ),
                    check: None,
                    references: None,
                    unique: None,
                    up: Some(
                        `total`,
                    ),
                    down: Some(
                        `total`,
                    ),
                },
            )"#]],
    );
}

#[test]
fn create_table() {
    check(
        "
create_table:
  name: Bookings
  comment: who is where
  columns:
    - name: id
      type: bigserial
      pk: true
    - {name: room, type: int}
    - {name: during, type: tstzrange, nullable: true}
  constraints:
    - {name: one_at_a_time, type: exclude, exclude: {index_method: gist, elements: 'room WITH =, during WITH &&', predicate: during IS NOT NULL}}
    - {name: room_once, type: unique, columns: [room, during], nulls_not_distinct: true, index_parameters: {include_columns: [id], tablespace: fast, storage_parameters: fillfactor = 70}}
    - {name: room_is_known, type: check, check: room > 0, no_inherit: true}
    - name: room_is_there
      type: foreign_key
      columns: [room]
      deferrable: true
      references:
        table: rooms
        columns: [id]
        on_delete: SET DEFAULT
        on_delete_set_columns: [room]
        on_update: RESTRICT
        match_type: SIMPLE
",
        expect![[r#"
            CreateTable(
                CreateTable {
                    name: "Bookings",
                    columns: [
                        Column {
                            name: "id",
                            data_type: "bigserial",
                            nullable: false,
                            unique: false,
                            primary_key: true,
                            default: None,
                            check: None,
                            references: None,
                            comment: None,
                            generated: None,
                        },
                        Column {
                            name: "room",
                            data_type: "int",
                            nullable: false,
                            unique: false,
                            primary_key: false,
                            default: None,
                            check: None,
                            references: None,
                            comment: None,
                            generated: None,
                        },
                        Column {
                            name: "during",
                            data_type: "tstzrange",
                            nullable: true,
                            unique: false,
                            primary_key: false,
                            default: None,
                            check: None,
                            references: None,
                            comment: None,
                            generated: None,
                        },
                    ],
                    constraints: [
                        Constraint {
                            name: "one_at_a_time",
                            kind: Exclude {
                                method: "gist",
                                elements: "room WITH =, during WITH &&",
                                predicate: Some(
                                    `during IS NOT NULL`,
                                ),
                                include: [],
                                storage: IndexStorage {
                                    tablespace: None,
                                    parameters: None,
                                },
                            },
                            deferrable: false,
                            initially_deferred: false,
                        },
                        Constraint {
                            name: "room_once",
                            kind: Unique {
                                columns: [
                                    "room",
                                    "during",
                                ],
                                nulls_not_distinct: true,
                                include: [
                                    "id",
                                ],
                                storage: IndexStorage {
                                    tablespace: Some(
                                        "fast",
                                    ),
                                    parameters: Some(
                                        "fillfactor = 70",
                                    ),
                                },
                            },
                            deferrable: false,
                            initially_deferred: false,
                        },
                        Constraint {
                            name: "room_is_known",
                            kind: Check {
                                expression: `room > 0`,
                                no_inherit: true,
                            },
                            deferrable: false,
                            initially_deferred: false,
                        },
                        Constraint {
                            name: "room_is_there",
                            kind: ForeignKey {
                                columns: [
                                    "room",
                                ],
                                table: "rooms",
                                referred: [
                                    "id",
                                ],
                                on_delete: SetDefault(
                                    [
                                        "room",
                                    ],
                                ),
                                on_update: Restrict,
                                match_full: false,
                            },
                            deferrable: true,
                            initially_deferred: false,
                        },
                    ],
                    comment: Some(
                        "who is where",
                    ),
                },
            )"#]],
    );
    check(
        "create_table: {name: t, columns: [{name: a, type: int}], constraints: [{name: t_pk, type: primary_key, columns: [a]}]}",
        expect![[r#"
            CreateTable(
                CreateTable {
                    name: "t",
                    columns: [
                        Column {
                            name: "a",
                            data_type: "int",
                            nullable: false,
                            unique: false,
                            primary_key: false,
                            default: None,
                            check: None,
                            references: None,
                            comment: None,
                            generated: None,
                        },
                    ],
                    constraints: [
                        Constraint {
                            name: "t_pk",
                            kind: PrimaryKey {
                                columns: [
                                    "a",
                                ],
                                include: [],
                                storage: IndexStorage {
                                    tablespace: None,
                                    parameters: None,
                                },
                            },
                            deferrable: false,
                            initially_deferred: false,
                        },
                    ],
                    comment: None,
                },
            )"#]],
    );
}

#[test]
fn create_constraint() {
    check(
        "create_constraint: {table: t, name: t_ab, type: unique, columns: [a, b], up: {a: a, b: 'b || a'}, down: {a: a, b: b}}",
        expect![[r#"
            CreateConstraint(
                CreateConstraint {
                    table: "t",
                    constraint: Constraint {
                        name: "t_ab",
                        kind: Unique {
                            columns: [
                                "a",
                                "b",
                            ],
                            nulls_not_distinct: false,
                            include: [],
                            storage: IndexStorage {
                                tablespace: None,
                                parameters: None,
                            },
                        },
                        deferrable: false,
                        initially_deferred: false,
                    },
                    up: {
                        "a": `a`,
                        "b": `b || a`,
                    },
                    down: {
                        "a": `a`,
                        "b": `b`,
                    },
                },
            )"#]],
    );
    check(
        "create_constraint: {table: t, name: t_check, type: check, check: a < b, up: {a: 'least(a, b - 1)'}, down: {a: a}}",
        expect![[r#"
            CreateConstraint(
                CreateConstraint {
                    table: "t",
                    constraint: Constraint {
                        name: "t_check",
                        kind: Check {
                            expression: `a < b`,
                            no_inherit: false,
                        },
                        deferrable: false,
                        initially_deferred: false,
                    },
                    up: {
                        "a": `least(a, b - 1)`,
                    },
                    down: {
                        "a": `a`,
                    },
                },
            )"#]],
    );
    check(
        "create_constraint: {table: t, name: t_pk, type: primary_key, columns: [a], up: {}, down: {}}",
        expect![[r#"
        CreateConstraint(
            CreateConstraint {
                table: "t",
                constraint: Constraint {
                    name: "t_pk",
                    kind: PrimaryKey {
                        columns: [
                            "a",
                        ],
                        include: [],
                        storage: IndexStorage {
                            tablespace: None,
                            parameters: None,
                        },
                    },
                    deferrable: false,
                    initially_deferred: false,
                },
                up: {},
                down: {},
            },
        )"#]],
    );
    check(
        "create_constraint: {table: t, name: t_a, type: foreign_key, columns: [a], references: {name: t_a, table: u, columns: [id], on_delete: CASCADE}, up: {a: a}, down: {a: a}}",
        expect![[r#"
            CreateConstraint(
                CreateConstraint {
                    table: "t",
                    constraint: Constraint {
                        name: "t_a",
                        kind: ForeignKey {
                            columns: [
                                "a",
                            ],
                            table: "u",
                            referred: [
                                "id",
                            ],
                            on_delete: Cascade,
                            on_update: NoAction,
                            match_full: false,
                        },
                        deferrable: false,
                        initially_deferred: false,
                    },
                    up: {
                        "a": `a`,
                    },
                    down: {
                        "a": `a`,
                    },
                },
            )"#]],
    );
}

#[test]
fn create_index() {
    check(
        "create_index: {name: by_name, table: users, columns: [name, Email]}",
        expect![[r#"
        CreateIndex(
            CreateIndex {
                name: "by_name",
                table: "users",
                columns: [
                    (
                        "name",
                        IndexColumn {
                            collate: None,
                            operator_class: None,
                            order: Ascending,
                            nulls: None,
                        },
                    ),
                    (
                        "Email",
                        IndexColumn {
                            collate: None,
                            operator_class: None,
                            order: Ascending,
                            nulls: None,
                        },
                    ),
                ],
                predicate: None,
                method: BTree,
                storage_parameters: None,
                unique: false,
            },
        )"#]],
    );
    check(
        "
create_index:
  name: by_name
  table: users
  columns:
    - column: name
      collate: '\"de_DE\"'
      sort: DESC
      nulls: LAST
      opclass:
        name: public.gist_trgm_ops
        params:
          - siglen = 32
    - column: id
  predicate: active AND id > 10
  unique: true
  method: btree
  storage_parameters: fillfactor = 70, deduplicate_items = off
",
        expect![[r#"
            CreateIndex(
                CreateIndex {
                    name: "by_name",
                    table: "users",
                    columns: [
                        (
                            "name",
                            IndexColumn {
                                collate: Some(
                                    "\"de_DE\"",
                                ),
                                operator_class: Some(
                                    "public.gist_trgm_ops (siglen = 32)",
                                ),
                                order: Descending,
                                nulls: Some(
                                    Last,
                                ),
                            },
                        ),
                        (
                            "id",
                            IndexColumn {
                                collate: None,
                                operator_class: None,
                                order: Ascending,
                                nulls: None,
                            },
                        ),
                    ],
                    predicate: Some(
                        `active AND id > 10`,
                    ),
                    method: BTree,
                    storage_parameters: Some(
                        "fillfactor = 70, deduplicate_items = off",
                    ),
                    unique: true,
                },
            )"#]],
    );
    let listed = "[{create_index: {name: i, table: t, columns: [{column: a, sort: DESC}, {column: b}]}}]";
    let mapped = "[{create_index: {name: i, table: t, columns: {a: {sort: DESC, collate: ''}, b: {}}}}]";
    let of = |operations_text: &str| operations(&format!("operations: {operations_text}"));
    assert_eq!(of(listed), of(mapped));
}

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
fn set_replica_identity() {
    let identity = |text: &str| match operations(&format!(
        "operations: [{{set_replica_identity: {{table: t, identity: {text}}}}}]"
    ))
    .remove(0)
    {
        Operation::SetReplicaIdentity(set) => set.identity,
        other => panic!("{other:?}"),
    };
    assert_eq!(identity("{type: full}"), ReplicaIdentity::Full);
    assert_eq!(identity("{type: DEFAULT, index: ''}"), ReplicaIdentity::Default);
    assert_eq!(identity("{type: nothing}"), ReplicaIdentity::Nothing);
    assert_eq!(identity("{type: index, index: by_id}"), ReplicaIdentity::Index(crate::Ident::new("by_id").unwrap()));
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
