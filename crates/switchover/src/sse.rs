//! Server-sent events from bytes (WHATWG HTML, section 9.2.6), and lines from bytes.

/// The longest line that is kept, in bytes; a longer one ends the stream.
const LINE_BYTES: usize = 64 << 20;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its kind; `message` where none was said.
    pub(crate) kind: String,
    /// The last id said.
    pub(crate) id: Option<u64>,
    /// Its lines, joined.
    pub(crate) data: String,
}

/// A line became longer than any that is sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Bytes in, whole lines out.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// The lines that `bytes` complete, without their breaks.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<String>, TooLong> {
        let mut lines = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.rest.len() + part.len() > LINE_BYTES {
                return Err(TooLong);
            }
            self.rest.extend_from_slice(part);
            if self.rest.last() == Some(&b'\n') {
                let line = String::from_utf8_lossy(&self.rest);
                lines.push(line.trim_end_matches(['\n', '\r']).to_owned());
                self.rest.clear();
            }
        }
        Ok(lines)
    }
}

/// Bytes in, events out.
#[derive(Debug, Default)]
pub(crate) struct Events {
    lines: Lines,
    kind: Option<String>,
    id: Option<u64>,
    data: Vec<String>,
}

impl Events {
    /// The events that `bytes` complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, TooLong> {
        let mut events = Vec::new();
        for line in self.lines.push(bytes)? {
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "" if line.is_empty() => {
                    let kind = self.kind.take().unwrap_or_else(|| "message".to_owned());
                    let data = std::mem::take(&mut self.data);
                    if !data.is_empty() {
                        events.push(Event { kind, id: self.id, data: data.join("\n") });
                    }
                }
                "event" => self.kind = Some(value.to_owned()),
                "data" => self.data.push(value.to_owned()),
                "id" => self.id = value.parse().ok().or(self.id),
                // Comments keep the connection alive; unknown fields are for others.
                _ => {}
            }
        }
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_whole_however_their_bytes_are_cut() {
        let text =
            b": hello\n\nid: 7\nevent: record\ndata: {\"a\":\ndata: 1}\n\nevent: status\r\ndata:x\r\n\r\ndata: half";
        let expected = [
            Event { kind: "record".into(), id: Some(7), data: "{\"a\":\n1}".into() },
            Event { kind: "status".into(), id: Some(7), data: "x".into() },
        ];
        for cut in 0..text.len() {
            let mut events = Events::default();
            let mut found = events.push(&text[..cut]).unwrap();
            found.extend(events.push(&text[cut..]).unwrap());
            assert_eq!(found, expected, "cut at {cut}");
        }
    }
}
