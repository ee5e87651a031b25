//! Which bytes may stand where.

const TOKEN: u8 = 1;
const VALUE: u8 = 2;
const TARGET: u8 = 4;
const HOST: u8 = 8;

/// One table for all classes: a byte's classes are bits.
static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0_u8; 256];
    let mut byte = 0_usize;
    while byte < 256 {
        let b = byte as u8;
        let mut class = 0;
        // RFC 9110 5.6.2: tchar.
        if b.is_ascii_alphanumeric()
            || matches!(
                b,
                b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
            )
        {
            class |= TOKEN;
        }
        // RFC 9110 5.5: VCHAR, obs-text, SP and HTAB.
        if matches!(b, b'\t' | b' '..=b'~' | 0x80..=0xff) {
            class |= VALUE;
        }
        // RFC 9112 3.2 with RFC 3986, but also the visible bytes that browsers leave unescaped in a query ("|", "{", ...).
        // Never white space, never "#": a fragment is not sent, and one end of the chain might cut the target there.
        if b.is_ascii_graphic() && b != b'#' {
            class |= TARGET;
        }
        // RFC 3986 3.2.2: the part of reg-name that names of hosts have.
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_') {
            class |= HOST;
        }
        table[byte] = class;
        byte += 1;
    }
    table
}

fn all(bytes: &[u8], class: u8) -> bool {
    bytes.iter().all(|byte| CLASSES[usize::from(*byte)] & class != 0)
}

/// True for a token (RFC 9110 5.6.2): what a method, a field name or a list member looks like.
#[must_use]
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && all(bytes, TOKEN)
}

/// True for bytes that may be the value of a field (RFC 9110 5.5).
#[must_use]
pub fn is_field_value(bytes: &[u8]) -> bool {
    all(bytes, VALUE)
}

pub(crate) fn is_target(bytes: &[u8]) -> bool {
    !bytes.is_empty() && all(bytes, TARGET)
}

pub(crate) fn is_host_name(bytes: &[u8]) -> bool {
    !bytes.is_empty() && all(bytes, HOST)
}

pub(crate) fn is_token_byte(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & TOKEN != 0
}

/// Length of the token at the start of `bytes`.
pub(crate) fn token_len(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| !is_token_byte(*byte)).unwrap_or(bytes.len())
}

pub(crate) fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// Range of `bytes[start..end]` without the white space around it.
pub(crate) fn trimmed(bytes: &[u8], mut start: usize, mut end: usize) -> (usize, usize) {
    while start < end && is_blank(bytes[start]) {
        start += 1;
    }
    while start < end && is_blank(bytes[end - 1]) {
        end -= 1;
    }
    (start, end)
}
