//! Properties over generated messages: cutting changes nothing, writing and reading are inverse.

use proptest::prelude::*;
use switchover_http1::{ChunkedDecoder, HeadWriter, Progress, RequestParser, ResponseParser, Version, chunk_size_line};

fn name() -> impl Strategy<Value = String> {
    "[A-Za-z][A-Za-z0-9!#$%&'*+.^_`|~-]{0,20}".prop_map(|name| format!("Z-{name}"))
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![0x21..=0x7e_u8, 0x80..=0xff_u8], 0..40)
}

fn fields() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    prop::collection::vec((name(), value()), 0..20)
}

fn request(target: &str, host: &str, fields: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = HeadWriter::request(&mut out, b"PUT", target.as_bytes());
    writer.field("Host", host.as_bytes());
    for (name, value) in fields {
        writer.field(name, value);
    }
    writer.end();
    out
}

proptest! {
    #[test]
    fn a_written_request_is_read_as_it_was(
        target in "/[a-zA-Z0-9/._~?=&%|-]{0,60}", host in "[a-z0-9.-]{1,30}(:[1-9][0-9]{0,3})?", fields in fields(),
    ) {
        let bytes = request(&target, &host, &fields);
        let mut parser = RequestParser::new();
        prop_assert_eq!(parser.parse(&bytes), Ok(Progress::Complete { head_bytes: bytes.len() }));
        let head = parser.head(&bytes);
        prop_assert_eq!(&*head.path_and_query(), target.as_bytes());
        prop_assert_eq!(head.host(), Some(host.as_bytes()));
        let read: Vec<_> = head.fields().into_iter().skip(1)
            .map(|field| (String::from_utf8(field.name_bytes().to_vec()).unwrap(), field.value().to_vec())).collect();
        prop_assert_eq!(read, fields);
    }

    #[test]
    fn a_request_cut_at_any_byte_is_the_same_request(fields in fields()) {
        let bytes = request("/a?b", "example.com", &fields);
        for cut in 0..bytes.len() {
            let mut parser = RequestParser::new();
            prop_assert_eq!(parser.parse(&bytes[..cut]), Ok(Progress::Partial));
            prop_assert_eq!(parser.parse(&bytes), Ok(Progress::Complete { head_bytes: bytes.len() }));
            prop_assert_eq!(parser.head(&bytes).fields().len(), fields.len() + 1);
        }
    }

    #[test]
    fn a_written_response_is_read_as_it_was(status in 100_u16..=999, reason in "[ -~]{0,20}", fields in fields()) {
        let mut bytes = Vec::new();
        let mut writer = HeadWriter::response(&mut bytes, Version::Http11, status, reason.as_bytes());
        for (name, value) in &fields {
            writer.field(name, value);
        }
        writer.end();
        let mut parser = ResponseParser::new();
        for end in 0..bytes.len() {
            prop_assert_eq!(parser.parse(&bytes[..end]), Ok(Progress::Partial));
        }
        prop_assert_eq!(parser.parse(&bytes), Ok(Progress::Complete { head_bytes: bytes.len() }));
        let head = parser.head(&bytes);
        prop_assert_eq!((head.status(), head.reason()), (status, reason.as_bytes()));
        prop_assert_eq!(head.fields().len(), fields.len());
    }

    #[test]
    fn chunks_come_back_however_they_were_made(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..20)) {
        let mut coded = Vec::new();
        for piece in &pieces {
            coded.extend_from_slice(chunk_size_line(piece.len(), &mut [0; 18]));
            coded.extend_from_slice(piece);
            coded.extend_from_slice(b"\r\n");
        }
        coded.extend_from_slice(b"0\r\nZ: 1\r\n\r\n");
        let coded_len = coded.len();
        let gathered = ChunkedDecoder::new().gather(&mut coded).unwrap();
        prop_assert_eq!((gathered.consumed, gathered.over), (coded_len, Some(8)));
        let content = pieces.concat();
        prop_assert_eq!(&coded[..gathered.content], content.as_slice());
    }
}
