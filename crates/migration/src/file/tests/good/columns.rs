//! Columns made and changed.

use expect_test::expect;

use super::super::check;

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
