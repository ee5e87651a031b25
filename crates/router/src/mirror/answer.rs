//! An answer as far as it is compared.

use std::io::Read as _;

use flate2::read::MultiGzDecoder;
use switchover_http1::ResponseHead;
use switchover_model::seam::LeftOut;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The values of the headers that are compared, in their order; of several of one name the first.
    pub(super) headers: Vec<Option<Vec<u8>>>,
    pub(super) is_json: bool,
    coding: Coding,
    pub(super) body: Vec<u8>,
}

/// How its body is encoded (RFC 9110 8.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Plain,
    Gzip,
    Unknown,
}

impl Answer {
    /// One with this head, whose body has not come. `headers` are those that are compared.
    pub(super) fn of(head: &ResponseHead<'_>, headers: &[String]) -> Self {
        let fields = head.fields();
        let is_json = fields.first("content-type").is_some_and(|value| {
            let kind = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
            kind == b"application/json" || kind.ends_with(b"+json")
        });
        let coding = match fields.first("content-encoding").map(<[u8]>::to_ascii_lowercase).as_deref() {
            None | Some(b"" | b"identity") => Coding::Plain,
            Some(b"gzip" | b"x-gzip") => Coding::Gzip,
            Some(_) => Coding::Unknown,
        };
        let headers = headers.iter().map(|name| fields.first(name).map(<[u8]>::to_vec)).collect();
        Self { status: head.status(), headers, is_json, coding, body: Vec::new() }
    }

    /// Makes its body plain, of at most `most` bytes.
    pub(super) fn decode(&mut self, most: usize) -> Result<(), LeftOut> {
        let is_empty = self.body.is_empty();
        match self.coding {
            Coding::Plain => Ok(()),
            Coding::Gzip | Coding::Unknown if is_empty => Ok(()),
            Coding::Unknown => Err(LeftOut::Encoded),
            Coding::Gzip => {
                let mut plain = Vec::new();
                let bound = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
                let read = MultiGzDecoder::new(self.body.as_slice()).take(bound).read_to_end(&mut plain);
                read.map_err(|_| LeftOut::Encoded)?;
                if plain.len() > most {
                    return Err(LeftOut::AnswerTooLarge);
                }
                (self.body, self.coding) = (plain, Coding::Plain);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use switchover_http1::{Progress, ResponseParser};

    use super::*;

    fn answer(fields: &str, body: Vec<u8>) -> Answer {
        let text = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
        let mut parser = ResponseParser::new();
        assert!(matches!(parser.parse(text.as_bytes()), Ok(Progress::Complete { .. })));
        Answer { body, ..Answer::of(&parser.head(text.as_bytes()), &["location".to_owned()]) }
    }

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn gzip_is_read_within_the_bound_and_nothing_else_is() {
        let mut good = answer("Content-Encoding: GZIP\r\n", gzip(b"plain"));
        assert_eq!((good.decode(5), good.body.as_slice()), (Ok(()), &b"plain"[..]));
        // A small body that would be a large one.
        let mut bomb = answer("Content-Encoding: gzip\r\n", gzip(&vec![0; 10_000_000]));
        assert!(bomb.body.len() < 100_000);
        assert_eq!(bomb.decode(100_000), Err(LeftOut::AnswerTooLarge));
        assert_eq!(answer("Content-Encoding: gzip\r\n", b"no gzip".to_vec()).decode(100), Err(LeftOut::Encoded));
        assert_eq!(answer("Content-Encoding: br\r\n", b"x".to_vec()).decode(100), Err(LeftOut::Encoded));
        assert_eq!(answer("Content-Encoding: br\r\n", Vec::new()).decode(100), Ok(()), "of HEAD, or a 304");
    }

    #[test]
    fn json_is_known_by_its_type() {
        for (value, is_json) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/problem+json", true),
            ("text/json-seq", false),
            ("text/html", false),
        ] {
            assert_eq!(answer(&format!("Content-Type: {value}\r\n"), vec![]).is_json, is_json, "{value}");
        }
        assert_eq!(answer("Location: /a\r\nLocation: /b\r\n", vec![]).headers, [Some(b"/a".to_vec())]);
    }
}
