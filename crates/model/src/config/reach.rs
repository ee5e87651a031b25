//! How far back in time a query's answer reaches.

use super::NumberFrom;
use crate::time::Span;

impl NumberFrom {
    /// How much time before it a value describes: of a query the longest of its ranges (`[5m]`), with the ranges of its subqueries
    /// and its longest offset; nothing of a number that says nothing of that.
    #[must_use]
    pub fn reach(&self) -> Span {
        match self {
            Self::Prometheus { query, .. } => reach(query).unwrap_or_default(),
            Self::Command { .. } | Self::Url { .. } => Span::ZERO,
        }
    }
}

/// Nothing where a range or an offset is no duration.
///
/// `[5m]` and `[1h:1m]` are ranges (the Prometheus documentation, "Querying basics"). What stands in quotes or after `#` is text.
pub(super) fn reach(query: &str) -> Option<Span> {
    let (mut range, mut subqueries, mut offset) = (0_u64, 0_u64, 0_u64);
    let mut rest = query;
    while let Some(next) = rest.chars().next() {
        match next {
            '"' | '\'' | '`' => rest = after_text(&rest[1..], next),
            '#' => rest = rest.split_once('\n').map_or("", |(_, after)| after),
            '[' => {
                let (inside, after) = rest[1..].split_once(']')?;
                match inside.split_once(':') {
                    Some((of, _)) => subqueries = subqueries.saturating_add(duration(of.trim())?),
                    None => range = range.max(duration(inside.trim())?),
                }
                rest = after;
            }
            _ if next.is_alphanumeric() || next == '_' => {
                let end = rest.find(|other: char| !other.is_alphanumeric() && other != '_').unwrap_or(rest.len());
                let (word, after) = rest.split_at(end);
                rest = after;
                if word.eq_ignore_ascii_case("offset") && after.starts_with(char::is_whitespace) {
                    let by = after.trim_start();
                    let of = by.strip_prefix('-').unwrap_or(by);
                    let end = of.find(|other: char| !other.is_alphanumeric() && other != '.').unwrap_or(of.len());
                    // One that is negative asks for a time to come.
                    let of = duration(&of[..end])?;
                    offset = if by.starts_with('-') { offset } else { offset.max(of) };
                }
            }
            _ => rest = &rest[next.len_utf8()..],
        }
    }
    Some(Span::from_micros(range.saturating_add(subqueries).saturating_add(offset)))
}

/// What follows a text that `quote` ends.
fn after_text(text: &str, quote: char) -> &str {
    let mut is_escaped = false;
    for (at, next) in text.char_indices() {
        if next == quote && !is_escaped {
            return &text[at + 1..];
        }
        is_escaped = next == '\\' && !is_escaped && quote != '`';
    }
    ""
}

/// `1h30m`, `500ms`, or seconds as a plain number; in microseconds.
fn duration(text: &str) -> Option<u64> {
    if let Ok(seconds) = text.parse::<f64>() {
        let micros = seconds * 1e6;
        return (0.0..1e18).contains(&micros).then_some(micros as u64);
    }
    let mut micros = 0_u64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|other: char| !other.is_ascii_digit())?;
        let (number, after) = rest.split_at(digits);
        let unit = after.find(|other: char| other.is_ascii_digit()).unwrap_or(after.len());
        let of: u64 = match &after[..unit] {
            "ms" => 1_000,
            "s" => 1_000_000,
            "m" => 60_000_000,
            "h" => 3_600_000_000,
            "d" => 86_400_000_000,
            "w" => 604_800_000_000,
            "y" => 31_536_000_000_000,
            _ => return None,
        };
        micros = micros.checked_add(number.parse::<u64>().ok()?.checked_mul(of)?)?;
        rest = &after[unit..];
    }
    (!text.is_empty()).then_some(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_reaches_as_far_back_as_its_ranges_say() {
        for (query, seconds) in [
            ("up{slot=\"$SLOT\"}", 0),
            ("sum(rate(errors{slot=\"$SLOT\"}[1m])) / sum(rate(all{slot=\"$SLOT\"}[5m]))", 300),
            ("rate(errors{path=~\"/[a-z]+\", slot='a\\'[9h]'}[90s])", 90),
            ("max_over_time(rate(errors[2m])[1h30m:10s])", 5_520),
            ("rate(errors[300]) # not [1d]", 300),
            ("rate(errors[1m] offset 1h) - rate(errors[1m] OFFSET -1w)", 3_660),
            ("offset_total{a=`[5m]`}", 0),
        ] {
            assert_eq!(reach(query), Some(Span::from_secs(seconds)), "{query}");
        }
        for query in
            ["rate(errors[$window])", "rate(errors[5])  + rate(errors[5x])", "rate(errors[5m)", "rate(errors[])"]
        {
            assert_eq!(reach(query), None, "{query}");
        }
    }
}
