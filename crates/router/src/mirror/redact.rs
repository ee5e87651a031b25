//! What of requests and answers may be kept and shown: never what opens anything.

use serde_json::Value;

/// What stands in the place of what is not shown.
const HIDDEN: &str = "(hidden)";
/// Longest value that is shown (characters).
const SHOWN_MAX: usize = 60;
/// Longest path that is shown (characters).
const PATH_SHOWN_MAX: usize = 120;
/// Shortest run of letters and digits that may be a token: shorter ones guard nothing.
const TOKEN_BYTES_MIN: usize = 20;
/// So many digits may be a card's number.
const DIGITS_MIN: usize = 12;
/// Parts of names of what is secret, in lower case and without `-` and `_`.
const SECRET_PARTS: [&str; 19] = [
    "authori",
    "authenti",
    "oauth",
    "cookie",
    "token",
    "secret",
    "passw",
    "passphrase",
    "apikey",
    "privatekey",
    "accesskey",
    "session",
    "csrf",
    "xsrf",
    "jwt",
    "bearer",
    "signature",
    "credential",
    "creditcard",
];
/// Whole names of it.
const SECRET_WORDS: [&str; 9] = ["auth", "pwd", "otp", "nonce", "pin", "ssn", "iban", "cvv", "cvc"];

/// Whether a header or a field at this path is never shown.
pub(super) fn is_secret(path: &str) -> bool {
    path.split('/').any(|name| {
        let plain = name.chars().filter(|letter| !"-_ .".contains(*letter)).flat_map(char::to_lowercase);
        let name: String = plain.collect();
        SECRET_PARTS.iter().any(|secret| name.contains(secret)) || SECRET_WORDS.contains(&name.as_str())
    })
}

/// Whether a text looks like something that opens or pays something: a long run without blanks that holds a digit, one that is
/// longer still, or many digits.
fn is_like_a_token(text: &str) -> bool {
    let mut runs = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || "-_+/=.~".contains(letter)));
    runs.any(|run| {
        let digits = run.bytes().filter(u8::is_ascii_digit).count();
        digits >= DIGITS_MIN || run.len() >= TOKEN_BYTES_MIN && (digits > 0 || run.len() >= 2 * TOKEN_BYTES_MIN)
    })
}

/// Whether a text says itself that a part of it is secret: `password=...`, `Bearer ...`.
fn tells_a_secret(text: &str) -> bool {
    let words = || text.split(|letter: char| !(letter.is_alphanumeric() || "-_".contains(letter)));
    let names =
        text.split('=').rev().skip(1).filter_map(|before| {
            before.rsplit(|letter: char| !(letter.is_alphanumeric() || "-_".contains(letter))).next()
        });
    words().any(|word| ["bearer", "basic"].iter().any(|scheme| word.eq_ignore_ascii_case(scheme)))
        || names.into_iter().any(is_secret)
}

/// A text without the query of whatever URL or path it holds.
fn without_query(text: &str) -> String {
    match text.split_once('?') {
        Some((before, _)) if before.contains('/') => format!("{before}?{HIDDEN}"),
        Some(_) | None => text.to_owned(),
    }
}

/// A text called `name` as it may be shown.
pub(super) fn text(name: &str, text: &str) -> String {
    if is_secret(name) || is_like_a_token(text) || tells_a_secret(text) {
        return HIDDEN.to_owned();
    }
    shortened(&without_query(text), SHOWN_MAX)
}

/// A value of field `path` as it may be shown: of lists and objects their size alone.
pub(super) fn value(path: &str, value: Option<&Value>) -> String {
    let Some(value) = value else { return "(absent)".to_owned() };
    if is_secret(path) {
        return HIDDEN.to_owned();
    }
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => shortened(&value.to_string(), SHOWN_MAX),
        Value::String(text) if is_like_a_token(text) || tells_a_secret(text) => HIDDEN.to_owned(),
        Value::String(text) => format!("{:?}", shortened(&without_query(text), SHOWN_MAX)),
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(fields) => format!("an object of {}", fields.len()),
    }
}

/// A key of an object as it stands in a field's name: one that is a number or like a token names a thing, not a field.
pub(super) fn key(key: &str) -> &str {
    let is_number = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit());
    let is_odd = key.is_empty() || key.len() > SHOWN_MAX || key.contains('/') || key.chars().any(char::is_control);
    if is_number || is_odd || is_like_a_token(key) || key.contains('@') { "*" } else { key }
}

/// Method and path as they may be shown, without the query.
pub(super) fn request(method_and_path: &[u8]) -> String {
    let request = String::from_utf8_lossy(method_and_path);
    let segments = request.split('/').map(|segment| if is_like_a_token(segment) { "*" } else { segment });
    shortened(&segments.collect::<Vec<_>>().join("/"), PATH_SHOWN_MAX)
}

fn shortened(text: &str, most: usize) -> String {
    let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
    let mut shown: String = text.chars().take(most).map(plain).collect();
    if text.chars().nth(most).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_that_opens_anything_is_shown() {
        for name in [
            "Authorization",
            "Set-Cookie",
            "X-Api-Key",
            "access_token",
            "user/password",
            "csrfToken",
            "SESSION_ID",
            "card/PIN",
        ] {
            assert!(is_secret(name), "{name}");
            assert_eq!(value(name, Some(&json!("short"))), HIDDEN);
        }
        for secret in [
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
            "0123456789abcdef0123456789abcdef",
            "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
            "4111-1111-1111-1111",
            "https://a.example/?t=0123456789abcdef0123456789abcdef",
        ] {
            assert_eq!(value("/data", Some(&json!(secret))), HIDDEN, "{secret}");
            assert_eq!(text("location", secret), HIDDEN);
        }
        for secret in ["password=hunter2", "/login?password=hunter2", "Bearer abc", "basic dTpw", "a; api_key=short"] {
            assert_eq!(
                (value("/data", Some(&json!(secret))), text("location", secret)),
                (HIDDEN.into(), HIDDEN.into())
            );
        }
        assert_eq!(text("location", "/next?step=2"), "/next?(hidden)");
        assert_eq!(key("ann@example.com"), "*");
        assert_eq!(key("0123456789abcdef0123456789abcdef"), "*");
        assert_eq!(request(b"GET /reset/0123456789abcdef0123456789abcdef/x"), "GET /reset/*/x");
    }

    #[test]
    fn what_tells_something_is_shown_and_is_short() {
        for name in ["price", "Content-Type", "updated_at", "shipping", "author", "discards/0"] {
            assert!(!is_secret(name), "{name}");
        }
        assert_eq!(value("/price", Some(&json!(12.5))), "12.5");
        assert_eq!(value("/name", Some(&json!("Ann\nB"))), "\"Ann B\"");
        assert_eq!(value("/name", None), "(absent)");
        assert_eq!(value("/items", Some(&json!([1, 2]))), "a list of 2");
        let long = value("/text", Some(&json!("word ".repeat(100))));
        assert!(long.chars().count() < SHOWN_MAX + 4 && long.ends_with("…\""), "{long}");
        assert_eq!((key("total"), key("42"), key("a/b"), key("")), ("total", "*", "*", "*"));
        assert_eq!(text("content-type", "application/json; charset=utf-8"), "application/json; charset=utf-8");
        assert_eq!(text("set-cookie", "a=b"), HIDDEN);
    }
}
