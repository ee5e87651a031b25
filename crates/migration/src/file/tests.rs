use expect_test::{Expect, expect};

use super::parse;

mod bad;
mod good;

/// The operations of a file that has no mistake.
fn operations(text: &str) -> Vec<crate::Operation> {
    match parse(text, "migrations/02_change.yaml") {
        Ok(migration) => migration.operations,
        Err(mistakes) => panic!("{}", told(&mistakes)),
    }
}

fn told(mistakes: &[crate::Mistake]) -> String {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n")
}

/// The single operation of a good file, as values.
#[expect(clippy::needless_pass_by_value, reason = "expect! makes a value")]
fn check(operation: &str, expect: Expect) {
    let lines: Vec<String> = operation.trim().lines().map(|line| format!("    {line}")).collect();
    let text = format!("operations:\n  - {}\n", lines.join("\n").trim_start());
    let operations = operations(&text);
    assert_eq!(operations.len(), 1);
    expect.assert_eq(&format!("{:#?}", operations[0]));
}

/// Every mistake of a bad file, as a person reads it.
fn refuse(text: &str, expect: Expect) {
    refuse_file("02_change.yaml", text, expect);
}

#[expect(clippy::needless_pass_by_value, reason = "expect! makes a value")]
fn refuse_file(path: &str, text: &str, expect: Expect) {
    let mistakes = parse(text, path).unwrap_err();
    assert!(!mistakes.is_empty());
    expect.assert_eq(&told(&mistakes));
}

#[test]
fn a_file_is_named_after_itself() {
    let text = "name: 02_change\nversion_schema: second\noperations: [{drop_index: {name: by_name}}]\n";
    let migration = parse(text, "/srv/shop/migrations/02_change.yml").unwrap();
    assert_eq!(migration.name.as_str(), "02_change");
    assert_eq!(migration.version_schema.unwrap().as_str(), "second");
    expect!["a65428c7b0eb0df47dead19f8de410460c7a731f33658b105d0444004c70444c"].assert_eq(&migration.checksum);
}

#[test]
fn json_means_what_yaml_means() {
    let json = r#"{
	"name": "02_change",
	"operations": [
		{ "create_table": { "name": "users", "columns": [{ "name": "id", "type": "bigint", "pk": true }], "comment": "a \"b\" \u00e9 \/" } },
		{ "alter_column": { "table": "users", "column": "id", "comment": null, "default": "1" } }
	]
}"#;
    let yaml = "
operations:
  - create_table:
      name: users
      columns:
        - name: id
          type: bigint
          pk: true
      comment: 'a \"b\" é /'
  - alter_column:
      table: users
      column: id
      comment: ~
      default: '1'
";
    let from_json = parse(json, "02_change.json").unwrap_or_else(|mistakes| panic!("{}", told(&mistakes)));
    assert_eq!(from_json.operations, operations(yaml));
}
