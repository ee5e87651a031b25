//! The rules that lead requests to an arm whatever the shares are, made ready to be asked.

use switchover_http1::RequestHead;
use switchover_model::seam::{Condition, Match};

use crate::split::cookie;

/// A rule whose arm is known by its place.
#[derive(Debug)]
pub(crate) struct Rule {
    /// The place of the arm that it leads to.
    pub(crate) arm: usize,
    when: Vec<Condition>,
}

impl Rule {
    /// `rule`, which leads to the arm at this place.
    pub(crate) fn new(rule: &Match, arm: usize) -> Self {
        Self { arm, when: rule.when.clone() }
    }

    /// Whether a request meets every condition. Takes no memory.
    pub(crate) fn is_met(&self, head: &RequestHead<'_>) -> bool {
        self.when.iter().all(|condition| match condition {
            Condition::Header { name, value } => head.fields().first(name.as_str()) == Some(value.as_bytes()),
            Condition::Cookie { name, value } => cookie(head, name.as_str()) == Some(value.as_bytes()),
            Condition::Query { name, value } => parameter_is(&head.path_and_query(), name, value),
            Condition::Method { method } => head.method_bytes() == method.as_bytes(),
        })
    }
}

/// Whether the first parameter `name` of a target has this value.
fn parameter_is(target: &[u8], name: &str, value: &str) -> bool {
    let Some(at) = target.iter().position(|byte| *byte == b'?') else { return false };
    let named = |pair: &&[u8]| decoded(pair.split(|byte| *byte == b'=').next().unwrap_or(pair)).eq(name.bytes());
    target[at + 1..].split(|byte| *byte == b'&').find(named).is_some_and(|pair| {
        let value_at = pair.iter().position(|byte| *byte == b'=').map_or(pair.len(), |at| at + 1);
        decoded(&pair[value_at..]).eq(value.bytes())
    })
}

/// The bytes that `text` stands for, as forms write them (WHATWG URL 5.1): `+` is a space, `%XX` a byte; a `%` with anything
/// else behind it is itself.
fn decoded(text: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (first, behind) = rest.split_first()?;
        let digit = |at: usize| behind.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        let (byte, used) = match (*first, digit(0), digit(1)) {
            (b'+', ..) => (b' ', 1),
            (b'%', Some(high), Some(low)) => (u8::try_from(high * 16 + low).unwrap_or(b'%'), 3),
            (byte, ..) => (byte, 1),
        };
        rest = &rest[used..];
        Some(byte)
    })
}

#[cfg(test)]
mod tests {
    use switchover_http1::{Progress, RequestParser};
    use switchover_model::{RevisionId, Slot};

    use super::*;

    fn meets(condition: Condition, head: &str) -> bool {
        let text = format!("{head}\r\n\r\n");
        let mut parser = RequestParser::new();
        assert!(matches!(parser.parse(text.as_bytes()), Ok(Progress::Complete { .. })), "{text}");
        let rule = Match { slot: Slot::Green, revision: RevisionId(2), when: vec![condition] };
        Rule::new(&rule, 0).is_met(&parser.head(text.as_bytes()))
    }

    #[test]
    fn a_header_is_compared_exactly_and_the_first_one_counts() {
        let header = || Condition::Header { name: "X-Beta".parse().unwrap(), value: "yes".to_owned() };
        let with = |fields: &str| meets(header(), &format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}"));
        assert!(with("x-beta:  yes  ") && with("X-BETA: yes\r\nX-Beta: no"));
        for other in
            ["X-Beta: Yes", "X-Beta: yes!", "X-Beta:", "X-Bet: yes", "X-Beta: no\r\nX-Beta: yes", "X_Beta: yes"]
        {
            assert!(!with(other), "{other}");
        }
    }

    #[test]
    fn a_cookie_is_one_pair_of_all_fields_and_the_first_one_counts() {
        let beta = || Condition::Cookie { name: "beta".parse().unwrap(), value: "1".to_owned() };
        let with = |fields: &str| meets(beta(), &format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}"));
        assert!(with("Cookie: a=b; beta=1; c") && with("Cookie: a=b\r\nCookie:beta=1") && with("Cookie: ;;;beta=1;"));
        let many = format!("Cookie: {}beta=1", "a=b;".repeat(3_000));
        assert!(with(&many));
        for other in [
            "Cookie: beta=12",
            "Cookie: beta",
            "Cookie: xbeta=1",
            "Cookie: Beta=1",
            "Cookie: beta=2; beta=1",
            "X: beta=1",
        ] {
            assert!(!with(other), "{other}");
        }
    }

    #[test]
    fn a_query_parameter_is_compared_after_decoding_and_the_first_one_counts() {
        let query = |name: &str, value: &str| Condition::Query { name: name.to_owned(), value: value.to_owned() };
        let is = |target: &str, name: &str, value: &str| {
            meets(query(name, value), &format!("GET {target} HTTP/1.1\r\nHost: a"))
        };
        assert!(is("/?v=b", "v", "b") && is("/p?x=1&v=b&v=c", "v", "b") && is("/?v", "v", "") && is("/?v=", "v", ""));
        assert!(is("/?a%20b=c+d%2B", "a b", "c d+") && is("/?v=%zz%4", "v", "%zz%4") && is("/?v=a=b", "v", "a=b"));
        assert!(is("http://a?v=b", "v", "b") && is("/?v=%C3%A9", "v", "é"));
        for target in ["/", "/v=b", "/?", "/?v=c&v=b", "/?vv=b", "/?v=bb", "/?V=b", "/?&&&"] {
            assert!(!is(target, "v", "b"), "{target}");
        }
    }

    #[test]
    fn a_method_is_compared_with_its_case_and_a_rule_wants_all_it_names() {
        let method = |method: &str| Condition::Method { method: method.to_owned() };
        assert!(
            meets(method("POST"), "POST / HTTP/1.1\r\nHost: a")
                && meets(method("PURGE"), "PURGE / HTTP/1.1\r\nHost: a")
        );
        assert!(!meets(method("POST"), "GET / HTTP/1.1\r\nHost: a"));
    }
}
