//! What must hold for any bytes at all, shared by the fuzz target and by a bounded run among the normal tests.

use switchover_http1::{
    ChunkPart, ChunkedDecoder, Framing, HeadWriter, Progress, Refusal, RequestParser, ResponseParser, Version,
    chunk_size_line, is_field_value, is_token,
};

/// Reads `data` as a request, as a response and as a chunked body, whole and in pieces; panics where a promise breaks.
pub(crate) fn any_bytes(data: &[u8]) {
    // The first byte chooses how the rest is cut.
    let Some((step, input)) = data.split_first() else { return };
    let step = usize::from(*step).max(1);
    request(input, step);
    response(input, step);
    chunked(input, step);
}

fn in_pieces(
    input: &[u8],
    step: usize,
    mut parse: impl FnMut(&[u8]) -> Result<Progress, Refusal>,
) -> Result<Progress, Refusal> {
    let mut end = 0;
    loop {
        end = (end + step).min(input.len());
        let result = parse(&input[..end]);
        if result != Ok(Progress::Partial) || end == input.len() {
            return result;
        }
    }
}

fn request(input: &[u8], step: usize) {
    let mut parser = RequestParser::new();
    let whole = parser.parse(input);
    let mut other = RequestParser::new();
    assert_eq!(in_pieces(input, step, |bytes| other.parse(bytes)), whole, "cutting changed the result");
    let Ok(Progress::Complete { head_bytes }) = whole else { return };
    let head = parser.head(input);
    assert!(is_token(head.method_bytes()));
    assert!(!head.path_and_query().iter().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control()));
    assert!(head.host().is_some() || head.version() == Version::Http10);
    assert!(head_bytes <= input.len() && input[..head_bytes].ends_with(b"\r\n\r\n"));

    // What is passed on is read by a strict parser as the same request, with the same fields that are not hop-by-hop.
    let mut out = Vec::new();
    let mut writer = HeadWriter::request(&mut out, head.method_bytes(), &head.path_and_query());
    writer.kept(head.fields(), |_| true);
    if head.framing() == Framing::Chunked {
        writer.field("Transfer-Encoding", b"chunked");
    }
    if head.fields().first("host").is_none() {
        writer.field("Host", head.host().unwrap_or(b"none"));
    }
    writer.end();
    let mut again = RequestParser::new();
    assert_eq!(
        again.parse(&out),
        Ok(Progress::Complete { head_bytes: out.len() }),
        "{:?}",
        String::from_utf8_lossy(&out)
    );
    let passed_on = again.head(&out);
    assert_eq!(passed_on.framing(), head.framing());
    assert_eq!(passed_on.path_and_query(), head.path_and_query());
    let mut kept = head.fields().into_iter().filter(|field| !field.is_hop_by_hop());
    for field in passed_on.fields() {
        assert!(is_token(field.name_bytes()) && is_field_value(field.value()));
        match kept.next() {
            Some(was) => assert_eq!((was.name_bytes(), was.value()), (field.name_bytes(), field.value())),
            None => assert!(matches!(field.name_bytes(), b"Transfer-Encoding" | b"Host")),
        }
    }
    assert!(kept.next().is_none(), "a field was lost");
}

fn response(input: &[u8], step: usize) {
    let mut parser = ResponseParser::new();
    let whole = parser.parse(input);
    let mut other = ResponseParser::new();
    assert_eq!(in_pieces(input, step, |bytes| other.parse(bytes)), whole, "cutting changed the result");
    if let Ok(Progress::Complete { head_bytes }) = whole {
        let head = parser.head(input);
        assert!((100..=999).contains(&head.status()) && head_bytes <= input.len());
        let mut out = Vec::new();
        let mut writer = HeadWriter::response(&mut out, head.version(), head.status(), head.reason());
        writer.kept(head.fields(), |_| true);
        writer.end();
        assert_eq!(ResponseParser::new().parse(&out), Ok(Progress::Complete { head_bytes: out.len() }));
    }
}

/// Content so far, and how it ended: `Some(bytes used)` when over.
fn decode(input: &[u8], step: usize) -> Result<(Vec<u8>, Option<usize>), Refusal> {
    let mut decoder = ChunkedDecoder::new();
    let (mut content, mut used, mut end) = (Vec::new(), 0, 0);
    loop {
        match decoder.next(&input[used..end])? {
            ChunkPart::Starved if end == input.len() => return Ok((content, None)),
            ChunkPart::Starved => end = (end + step).min(input.len()),
            ChunkPart::Frame { bytes } => used += bytes,
            ChunkPart::Data { bytes } => {
                content.extend_from_slice(&input[used..used + bytes]);
                used += bytes;
            }
            ChunkPart::End { bytes } => return Ok((content, Some(used + bytes))),
        }
    }
}

fn chunked(input: &[u8], step: usize) {
    let whole = decode(input, input.len().max(1));
    assert_eq!(decode(input, step), whole, "cutting changed the result");
    let mut buffer = input.to_vec();
    let gathered = ChunkedDecoder::new().gather(&mut buffer);
    match (&whole, gathered) {
        (Ok((content, over)), Ok(gathered)) => {
            assert_eq!(&buffer[..gathered.content], content);
            assert_eq!(gathered.over.map(|_| gathered.consumed), *over);
        }
        (Err(one), Err(other)) => assert_eq!(*one, other),
        (one, other) => panic!("{one:?} and {other:?}"),
    }
    // Any bytes, written as chunks, come back.
    let mut coded = Vec::new();
    for piece in input.chunks(step) {
        coded.extend_from_slice(chunk_size_line(piece.len(), &mut [0; 18]));
        coded.extend_from_slice(piece);
        coded.extend_from_slice(b"\r\n");
    }
    coded.extend_from_slice(b"0\r\n\r\n");
    assert_eq!(decode(&coded, step), Ok((input.to_vec(), Some(coded.len()))));
}
