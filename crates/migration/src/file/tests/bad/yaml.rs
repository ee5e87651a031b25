//! Files that are no plain YAML, or too much of it.

use expect_test::expect;

use super::super::{parse, refuse, refuse_file};

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
