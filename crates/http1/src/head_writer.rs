//! Heads, written for passing a message on.

use crate::fields::{Field, Fields};
use crate::{Version, grammar};

/// Appends one head to a buffer that the caller reuses.
///
/// Assumes: names are tokens and values are valid field values, as everything that came through a parser is.
#[derive(Debug)]
pub struct HeadWriter<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> HeadWriter<'a> {
    /// Begins a request head, in HTTP/1.1.
    pub fn request(out: &'a mut Vec<u8>, method: &[u8], target: &[u8]) -> Self {
        debug_assert!(grammar::is_token(method) && grammar::is_target(target));
        out.extend_from_slice(method);
        out.push(b' ');
        out.extend_from_slice(target);
        out.extend_from_slice(b" HTTP/1.1\r\n");
        Self { out }
    }

    /// Begins a response head. `status` has three digits.
    pub fn response(out: &'a mut Vec<u8>, version: Version, status: u16, reason: &[u8]) -> Self {
        debug_assert!((100..=999).contains(&status) && grammar::is_field_value(reason));
        out.extend_from_slice(match version {
            Version::Http10 => b"HTTP/1.0 ",
            Version::Http11 => b"HTTP/1.1 ",
        });
        let digit = |value: u16| b"0123456789"[usize::from(value % 10)];
        out.extend_from_slice(&[digit(status / 100), digit(status / 10), digit(status), b' ']);
        out.extend_from_slice(reason);
        out.extend_from_slice(b"\r\n");
        Self { out }
    }

    /// Copies the fields that are not hop-by-hop and that `keep` says yes to, as they were sent, in runs.
    pub fn kept(&mut self, fields: Fields<'_>, mut keep: impl FnMut(&Field<'_>) -> bool) -> &mut Self {
        let (mut from, mut to) = (0, 0);
        for field in fields {
            if field.is_hop_by_hop() || !keep(&field) {
                continue;
            }
            let (start, end) = field.line();
            if start != to {
                self.out.extend_from_slice(fields.bytes(from, to));
                from = start;
            }
            to = end;
        }
        self.out.extend_from_slice(fields.bytes(from, to));
        self
    }

    /// Adds a field.
    pub fn field(&mut self, name: &str, value: &[u8]) -> &mut Self {
        self.field_of(name, &[value])
    }

    /// Adds a field whose value is made of parts.
    pub fn field_of(&mut self, name: &str, parts: &[&[u8]]) -> &mut Self {
        debug_assert!(grammar::is_token(name.as_bytes()) && parts.iter().all(|part| grammar::is_field_value(part)));
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b": ");
        for part in parts {
            self.out.extend_from_slice(part);
        }
        self.out.extend_from_slice(b"\r\n");
        self
    }

    /// Ends the head.
    pub fn end(self) {
        self.out.extend_from_slice(b"\r\n");
    }
}
