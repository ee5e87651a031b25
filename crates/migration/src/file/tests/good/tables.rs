//! Tables made.

use expect_test::expect;

use super::super::check;

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
