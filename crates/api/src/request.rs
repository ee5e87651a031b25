//! What is read from a request, strictly.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use serde::de::DeserializeOwned;
use switchover_model::AppName;
use switchover_model::record::IdempotencyKey;

use crate::refusal::Refusal;

/// The longest idempotency key, in bytes.
const KEY_BYTES: usize = 200;

/// How many letters of a wrong value are shown.
const SHOWN: usize = 80;

/// The app named in the path.
pub(crate) fn app(text: &str) -> Result<AppName, Refusal> {
    text.parse().map_err(|error| Refusal::malformed("PARAMETER-WRONG", format!("{error}.")))
}

/// The body as `T`.
pub(crate) fn body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(bytes).map_err(|error| {
        Refusal::malformed("BODY-MALFORMED", format!("The body is not what is asked for here: {error}."))
    })
}

/// The `Idempotency-Key` field: 1 to 200 visible ASCII characters.
pub(crate) fn key(headers: &HeaderMap) -> Result<IdempotencyKey, Refusal> {
    let mut all = headers.get_all("idempotency-key").iter();
    let (first, more) = (all.next(), all.next());
    match (first.and_then(|value| value.to_str().ok()), more) {
        (Some(key), None)
            if (1..=KEY_BYTES).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()) =>
        {
            Ok(IdempotencyKey(key.to_owned()))
        }
        _ => Err(Refusal::malformed(
            "KEY-MISSING",
            "A command carries one Idempotency-Key of 1 to 200 visible ASCII characters, so that a retry is the same command.",
        )),
    }
}

/// The query's parameters; an unknown one is refused.
#[derive(Debug)]
pub(crate) struct Query(BTreeMap<String, String>);

impl Query {
    pub(crate) fn of(given: BTreeMap<String, String>, known: &[&str]) -> Result<Self, Refusal> {
        match given.keys().find(|name| !known.contains(&name.as_str())) {
            Some(unknown) => Err(Refusal::malformed(
                "PARAMETER-WRONG",
                format!("\"{unknown}\" is no parameter here; there are: {}.", known.join(", ")),
            )),
            None => Ok(Self(given)),
        }
    }

    /// The parameter `name`, parsed; nothing when it is missing or empty.
    pub(crate) fn get<T>(&self, name: &str) -> Result<Option<T>, Refusal>
    where
        T: std::str::FromStr,
        T::Err: std::fmt::Display,
    {
        let Some(text) = self.0.get(name).filter(|text| !text.is_empty()) else { return Ok(None) };
        text.parse()
            .map(Some)
            .map_err(|error| Refusal::malformed("PARAMETER-WRONG", format!("{name}=\"{}\": {error}.", shortened(text))))
    }

    /// The parameter `name` as one of `words`; nothing when it is missing or empty.
    pub(crate) fn word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, Refusal> {
        let Some(text) = self.0.get(name).filter(|text| !text.is_empty()) else { return Ok(None) };
        words.iter().find(|(word, _)| word == text).map(|(_, value)| Some(*value)).ok_or_else(|| {
            let all: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            Refusal::malformed("PARAMETER-WRONG", format!("{name}=\"{text}\" is none of: {}.", all.join(", ")))
        })
    }
}

/// As much of a value as says which one it is.
fn shortened(text: &str) -> String {
    let mut letters = text.chars();
    let mut short: String = letters.by_ref().take(SHOWN).collect();
    if letters.next().is_some() {
        short.push_str("...");
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("idempotency-key", value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_command_without_one_clear_key_is_refused() {
        assert_eq!(key(&headers(&["k-1"])).unwrap(), IdempotencyKey("k-1".into()));
        for bad in [&[][..], &[""], &["a b"], &["a", "b"], &[&"x".repeat(201)]] {
            assert_eq!(key(&headers(bad)).unwrap_err().problem.code, "KEY-MISSING", "{bad:?}");
        }
    }

    #[test]
    fn an_unknown_or_wrong_parameter_is_named() {
        let given = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let unknown = Query::of(given("folow", "true"), &["follow"]).unwrap_err();
        assert!(unknown.problem.cause.contains("folow"), "{unknown:?}");
        let wrong = Query::of(given("lines", "many"), &["lines"]).unwrap().get::<usize>("lines").unwrap_err();
        assert!(wrong.problem.cause.contains("lines=\"many\""), "{wrong:?}");
        let words = Query::of(given("until", "soon"), &["until"]).unwrap();
        assert!(words.word("until", &[("switched", 1)]).is_err());
    }
}
