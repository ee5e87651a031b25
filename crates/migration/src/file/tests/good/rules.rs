//! Constraints and indexes made, and by what rows are known.

use expect_test::expect;

use super::super::{check, operations};
use crate::{Operation, ReplicaIdentity};

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
