//! Chunked bodies: what is taken, what is refused.

use switchover_http1::{ChunkPart, ChunkedDecoder, Refusal, bounds, chunk_size_line};

/// Content, trailers and bytes used, or why not. `None` when the body is not over.
type Decoded = Result<Option<(Vec<u8>, Vec<(String, String)>, usize)>, Refusal>;

fn decode(input: &[u8]) -> Decoded {
    let mut decoder = ChunkedDecoder::new();
    let mut buffer = input.to_vec();
    let gathered = decoder.gather(&mut buffer)?;
    Ok(gathered.over.map(|section| {
        let section = &input[gathered.consumed - section..gathered.consumed];
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("ASCII");
        let trailers = decoder
            .trailers(section)
            .into_iter()
            .map(|field| (text(field.name_bytes()), text(field.value())))
            .collect();
        (buffer[..gathered.content].to_vec(), trailers, gathered.consumed)
    }))
}

#[test]
fn bodies_are_gathered_and_end_where_they_end() {
    assert_eq!(decode(b"0\r\n\r\nGET"), Ok(Some((vec![], vec![], 5))));
    assert_eq!(
        decode(b"5\r\nhello\r\n6;a=b ; c = \"d\\\"e\"\r\n world\r\n000\r\n\r\n"),
        Ok(Some((b"hello world".to_vec(), vec![], 45)))
    );
    let trailers = vec![("X-Sum".to_owned(), "1".to_owned()), ("Y".to_owned(), String::new())];
    assert_eq!(decode(b"1\r\na\r\n0\r\nX-Sum: 1\r\nY:\r\n\r\n"), Ok(Some((b"a".to_vec(), trailers, 25))));
    for cut in 0..b"1\r\na\r\n0\r\nX: 1\r\n\r\n".len() {
        assert_eq!(decode(&b"1\r\na\r\n0\r\nX: 1\r\n\r\n"[..cut]), Ok(None), "cut at {cut}");
    }
}

#[test]
fn ambiguous_chunks_are_refused() {
    use Refusal as R;
    for (input, expected) in [
        ("\r\n", R::ChunkSize),
        ("g\r\n", R::ChunkSize),
        ("-1\r\n", R::ChunkSize),
        ("+1\r\n", R::ChunkSize),
        ("0x1\r\n", R::ChunkSize),
        (" 1\r\n", R::ChunkSize),
        ("1_0\r\n", R::ChunkSize),
        ("8000000000000000\r\n", R::ChunkSize),
        ("ffffffffffffffff\r\n", R::ChunkSize),
        ("00000000000000001\r\n", R::ChunkSize),
        ("1\na\r\n0\r\n\r\n", R::BareLf),
        ("1;a\nb\r\n", R::BareLf),
        ("1\r\r\n", R::ChunkSize),
        ("1 \r\n", R::ChunkExtension),
        ("1;\r\n", R::ChunkExtension),
        ("1;a=\r\n", R::ChunkExtension),
        ("1;a=\"b\r\n", R::ChunkExtension),
        ("1;a\rb\r\n", R::ChunkExtension),
        ("1;a b\r\n", R::ChunkExtension),
        ("1\r\nab\r\n", R::ChunkEnd),
        ("1\r\na\n0\r\n\r\n", R::ChunkEnd),
        ("1\r\na\rb", R::ChunkEnd),
        ("0\r\nA: b\n\r\n", R::BareLf),
        ("0\r\n A: b\r\n\r\n", R::ObsoleteFold),
        ("0\r\nA : b\r\n\r\n", R::SpaceBeforeColon),
        ("0\r\nContent-Length: 5\r\n\r\n", R::TrailerForbidden),
        ("0\r\nTransfer-Encoding: chunked\r\n\r\n", R::TrailerForbidden),
        ("0\r\nHost: a\r\n\r\n", R::TrailerForbidden),
        ("0\r\nX-Forwarded-For: a\r\n\r\n", R::TrailerForbidden),
    ] {
        assert_eq!(decode(input.as_bytes()), Err(expected), "{input:?}");
    }
}

#[test]
fn extensions_and_trailers_are_bounded() {
    let line = format!("1;{}\r\n", "a".repeat(bounds::CHUNK_LINE_BYTES_MAX));
    assert_eq!(decode(line.as_bytes()), Err(Refusal::ChunkLineTooLong));
    let many = format!("1;{}\r\nx\r\n", "a".repeat(200)).repeat(100);
    assert_eq!(decode(many.as_bytes()), Err(Refusal::ChunkLineTooLong));
    let trailer = format!("0\r\nA: {}\r\n\r\n", "b".repeat(bounds::TRAILER_BYTES_MAX));
    assert_eq!(decode(trailer.as_bytes()), Err(Refusal::TrailerTooLarge));
    let fields = format!("0\r\n{}\r\n", "A: b\r\n".repeat(bounds::FIELDS_MAX + 1));
    assert_eq!(decode(fields.as_bytes()), Err(Refusal::TooManyFields));
}

#[test]
fn size_lines_are_plain_hexadecimal() {
    for size in [0, 1, 9, 10, 15, 16, 255, 4096, 16384, usize::MAX] {
        assert_eq!(chunk_size_line(size, &mut [0; 18]), format!("{size:x}\r\n").as_bytes());
    }
}

#[test]
fn nothing_is_read_behind_the_end() {
    let mut decoder = ChunkedDecoder::new();
    assert_eq!(decoder.next(b"0\r\n\r\n5\r\n"), Ok(ChunkPart::Frame { bytes: 3 }));
    assert_eq!(decoder.next(b"\r\n5\r\n"), Ok(ChunkPart::End { bytes: 2 }));
    assert!(decoder.is_over());
    assert_eq!(decoder.next(b"5\r\nhello"), Ok(ChunkPart::Starved));
}
