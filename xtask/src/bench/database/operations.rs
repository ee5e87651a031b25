//! The changes that clients of both versions must not notice: the migration, and what the two versions of the app say.

use switchover_testkit::postgres::Application;

/// One kind of change.
pub(super) struct Operation {
    /// What it is called.
    pub(super) name: &'static str,
    /// The migration.
    pub(super) migration: String,
    /// The app of the version before.
    pub(super) old: Application,
    /// The app of the version that the migration leads to.
    pub(super) new: Application,
    /// Whether the clients use the orders, of which there are a fifth as many as users.
    pub(super) on_orders: bool,
}

/// The schema of the version before, and of the one after.
const SCHEMAS: (&str, &str) = ("public", "public_01_change");

/// A name split in two.
pub(super) const SPLIT: &str = "
operations:
  - add_column: {table: users, up: \"split_part(name, ' ', 1)\", column: {name: first, type: text, nullable: false}}
  - add_column: {table: users, up: \"split_part(name, ' ', 2)\", column: {name: last, type: text, nullable: false}}
  - drop_column: {table: users, column: name, down: \"first || ' ' || last\"}
";

/// Two columns made one.
const MERGE: &str = "
operations:
  - add_column: {table: users, up: \"given || ' ' || family\", column: {name: whole, type: text}}
  - drop_column: {table: users, column: given, down: \"split_part(whole, ' ', 1)\"}
  - drop_column: {table: users, column: family, down: \"split_part(whole, ' ', 2)\"}
";

const RETYPE: &str = "
operations:
  - alter_column: {table: users, column: name, type: bytea, up: \"convert_to(name, 'UTF8')\", down: \"convert_from(name, 'UTF8')\"}
";

pub(super) fn all() -> Vec<Operation> {
    let names = Application { insert: insert("name, email", "$2, $2"), ..Application::of(SCHEMAS.0, "users", "name") };
    let same = |name, operation: &str| of(name, operation, &names, |new| new);
    let mut all = vec![
        of(
            "add-not-null",
            "add_column: {table: users, up: \"'free'\", column: {name: plan, type: text, nullable: false}}",
            &names,
            |new| Application { insert: insert("name, email, plan", "$2, $2, 'paid'"), ..new },
        ),
        of("rename", "rename_column: {table: users, from: name, to: label}", &names, |_| {
            Application::of(SCHEMAS.1, "users", "label")
        }),
        Operation {
            migration: RETYPE.to_owned(),
            ..of("retype", "", &names, |new| Application {
                insert: insert("name", "convert_to($2, 'UTF8')"),
                update: update("name = convert_to($2, 'UTF8')"),
                select: select("convert_from(name, 'UTF8')"),
                ..new
            })
        },
    ];
    let aged = Application {
        insert: insert("name, age", "$2, length($2)"),
        update: update("name = $2, age = length($2)"),
        ..names.clone()
    };
    all.push(of(
        "widen",
        "alter_column: {table: users, column: age, type: bigint, up: age, down: \"age::integer\"}",
        &aged,
        |new| new,
    ));
    all.push(Operation {
        migration: SPLIT.to_owned(),
        ..of("split", "", &names, |new| Application {
            insert: insert("first, last", "split_part($2, ' ', 1), split_part($2, ' ', 2)"),
            update: update("first = split_part($2, ' ', 1), last = split_part($2, ' ', 2)"),
            select: select("first || ' ' || last"),
            ..new
        })
    });
    let halves = Application {
        insert: insert("name, given, family", "$2, split_part($2, ' ', 1), split_part($2, ' ', 2)"),
        update: update("given = split_part($2, ' ', 1), family = split_part($2, ' ', 2)"),
        select: select("given || ' ' || family"),
        ..names.clone()
    };
    all.push(Operation {
        migration: MERGE.to_owned(),
        ..of("merge", "", &halves, |_| Application {
            insert: insert("name, whole", "$2, $2"),
            ..Application::of(SCHEMAS.1, "users", "whole")
        })
    });
    all.extend([
        same("unique", "create_constraint: {table: users, name: once, type: unique, columns: [name], up: {name: name}, down: {name: name}}"),
        same("check", "create_constraint: {table: users, name: named, type: check, columns: [name], check: length(name) > 0, up: {name: name}, down: {name: name}}"),
        same("not-null", "alter_column: {table: users, column: email, nullable: false, up: email, down: email}"),
        same("index", "create_index: {name: users_by_name, table: users, columns: [name]}"),
        same("drop-column", "drop_column: {table: users, column: family, down: \"''\"}"),
        of("rename-table", "rename_table: {from: users, to: people}", &names, |_| Application::of(SCHEMAS.1, "people", "name")),
    ]);
    let orders = Application::of(SCHEMAS.0, "orders", "sku");
    let foreign_key = "create_constraint: {table: orders, name: of_a_user, type: foreign_key, columns: [user_id], \
                       references: {table: users, columns: [id]}, up: {user_id: user_id}, down: {user_id: user_id}}";
    all.push(Operation { on_orders: true, ..of("foreign-key", foreign_key, &orders, |new| new) });
    all
}

/// A change of one operation; `change` makes the newer version's app of the older one's.
fn of(
    name: &'static str,
    operation: &str,
    old: &Application,
    change: impl FnOnce(Application) -> Application,
) -> Operation {
    let new = change(Application { search_path: SCHEMAS.1.to_owned(), ..old.clone() });
    Operation { name, migration: format!("operations:\n  - {operation}\n"), old: old.clone(), new, on_orders: false }
}

fn insert(columns: &str, values: &str) -> String {
    format!("INSERT INTO users (id, {columns}) VALUES ($1, {values})")
}

fn update(set: &str) -> String {
    format!("UPDATE users SET {set} WHERE id = $1")
}

fn select(value: &str) -> String {
    format!("SELECT {value} FROM users WHERE id = $1")
}
