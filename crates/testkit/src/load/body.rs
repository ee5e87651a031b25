//! Whether a body is the one that was asked for.

/// What a body must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// JSON text with each of these in it.
    Holding(Vec<String>),
    /// The parts of `/stream`, from the first to the end.
    Stream,
    /// The parts of `/sse`, from the first to the end.
    Events,
}

impl Wanted {
    /// Why `body` is not what was wanted, if it is not.
    pub(super) fn check(&self, body: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(body).map_err(|_| "the body is not text".to_owned())?;
        match self {
            Self::Holding(all) => match all.iter().find(|wanted| !text.contains(wanted.as_str())) {
                None => Ok(()),
                Some(wanted) => Err(format!("no {wanted} in {}", shortened(text))),
            },
            Self::Stream => check_sequence(text, "\n", "end\n", |part| {
                part.strip_prefix("chunk ").and_then(|part| part.split_once(" of "))
            }),
            Self::Events => check_sequence(text, "\n\n", "event: end\ndata: end\n\n", |part| {
                let (id, data) = part.strip_prefix("id: ")?.split_once("\ndata: ")?;
                let (step, of) = data.split_once(" of ")?;
                (id == step).then_some((step, of))
            }),
        }
    }
}

fn check_sequence<'a>(
    text: &'a str,
    separator: &'a str,
    last: &str,
    parse: impl Fn(&'a str) -> Option<(&'a str, &'a str)>,
) -> Result<(), String> {
    let parts = text.strip_suffix(last).ok_or_else(|| format!("the stream has no end: {}", shortened(text)))?;
    let parts = parts.strip_suffix(separator).ok_or_else(|| "the stream has no parts".to_owned())?;
    let (mut seen, mut total) = (0u64, None);
    for part in parts.split(separator) {
        let numbers = parse(part).and_then(|(step, of)| Some((step.parse().ok()?, of.parse().ok()?)));
        let (step, of): (u64, u64) = numbers.ok_or_else(|| format!("no part of a stream: {}", shortened(part)))?;
        if step != seen + 1 || total.is_some_and(|total| total != of) {
            return Err(format!("part {step} of {of} after {seen}"));
        }
        seen = step;
        total = Some(of);
    }
    if total == Some(seen) { Ok(()) } else { Err(format!("{seen} parts of {total:?}")) }
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(120).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_stream_passes() {
        assert_eq!(Wanted::Stream.check(b"chunk 1 of 2\nchunk 2 of 2\nend\n"), Ok(()));
        let events = b"id: 1\ndata: 1 of 2\n\nid: 2\ndata: 2 of 2\n\nevent: end\ndata: end\n\n";
        assert_eq!(Wanted::Events.check(events), Ok(()));
    }

    #[test]
    fn a_stream_with_a_part_missing_repeated_or_swapped_fails() {
        for body in [
            "chunk 1 of 3\nchunk 3 of 3\nend\n",
            "chunk 1 of 2\nchunk 1 of 2\nchunk 2 of 2\nend\n",
            "chunk 2 of 2\nchunk 1 of 2\nend\n",
            "chunk 1 of 2\nend\n",
            "chunk 1 of 2\nchunk 2 of 2\n",
            "chunk 1 of 2\nchunk 2 of 3\nend\n",
            "end\n",
            "",
        ] {
            assert!(Wanted::Stream.check(body.as_bytes()).is_err(), "{body:?}");
        }
        let swapped = b"id: 1\ndata: 2 of 2\n\nid: 2\ndata: 1 of 2\n\nevent: end\ndata: end\n\n";
        assert!(Wanted::Events.check(swapped).is_err());
    }

    #[test]
    fn text_must_hold_all_that_was_wanted() {
        let wanted = Wanted::Holding(vec!["\"id\":\"1\"".into(), "r2".into()]);
        assert_eq!(wanted.check(b"{\"id\":\"1\",\"revision\":\"r2\"}"), Ok(()));
        assert!(wanted.check(b"{\"id\":\"2\",\"revision\":\"r2\"}").is_err());
    }
}
