//! Every size that a peer can influence, and its bound.

/// Longest head, start line and closing empty line included (bytes). Larger: 431.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Most field lines in a head or in a trailer section. More: 431.
pub const FIELDS_MAX: usize = 100;
/// Longest request target (bytes). Larger: 414.
pub const TARGET_BYTES_MAX: usize = 8 * 1024;
/// Longest method name (bytes). Larger: 501.
pub const METHOD_BYTES_MAX: usize = 32;
/// Longest host with its port (bytes): a DNS name has at most 253.
pub const HOST_BYTES_MAX: usize = 262;
/// Most options named in the `Connection` fields of one head.
pub const CONNECTION_OPTIONS_MAX: usize = 32;
/// Longest chunk-size line, extensions and CRLF included (bytes).
pub const CHUNK_LINE_BYTES_MAX: usize = 256;
/// Most bytes of chunk extensions in one body: they carry nothing and are thrown away.
pub const CHUNK_EXTENSION_BYTES_MAX: u32 = 16 * 1024;
/// Longest trailer section, closing empty line included (bytes).
pub const TRAILER_BYTES_MAX: usize = 8 * 1024;

// Offsets into a head are kept as u16.
const _: () = assert!(HEAD_BYTES_MAX < u16::MAX as usize && TRAILER_BYTES_MAX <= HEAD_BYTES_MAX);
