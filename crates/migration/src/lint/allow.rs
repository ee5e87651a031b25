//! `-- switchover: allow RULE because REASON`: a person takes a rule's finding on for one statement, and says why.

use std::ops::Range;

/// What such a comment begins with.
const BEGINNING: &str = "switchover:";
/// How one is written.
pub(crate) const WRITTEN: &str = "-- switchover: allow RULE because REASON";

/// One rule that is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Allow {
    pub(crate) at: Range<usize>,
    pub(crate) rule: String,
    pub(crate) reason: String,
}

/// What `comments` allow, and what is wrong with those that try to.
pub(crate) fn allows(comments: &[(Range<usize>, String)], known: &[&str]) -> (Vec<Allow>, Vec<(Range<usize>, String)>) {
    let (mut allows, mut wrong) = (Vec::new(), Vec::new());
    for (at, comment) in comments {
        let text = comment.trim_start_matches(['-', '/', '*', ' ']).trim_end_matches(['*', '/', ' ', '\n']);
        let Some(rest) = text.strip_prefix(BEGINNING) else { continue };
        match read(rest, known) {
            Ok((rule, reason)) => allows.push(Allow { at: at.clone(), rule, reason }),
            Err(cause) => wrong.push((at.clone(), cause)),
        }
    }
    (allows, wrong)
}

fn read(text: &str, known: &[&str]) -> Result<(String, String), String> {
    let mut words = text.split_whitespace();
    if words.next() != Some("allow") {
        return Err("this comment allows nothing".to_owned());
    }
    let rule = words.next().ok_or("it does not name a rule")?;
    if !known.contains(&rule) {
        let near = crate::mistake::nearest(rule, known.iter().copied());
        let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        return Err(format!("there is no rule `{rule}`{near}"));
    }
    let rest: Vec<&str> = words.collect();
    match rest.split_first() {
        Some((&"because", reason)) if !reason.is_empty() => Ok((rule.to_owned(), reason.join(" "))),
        Some(_) | None => Err(format!("it does not say why `{rule}` is allowed here")),
    }
}
