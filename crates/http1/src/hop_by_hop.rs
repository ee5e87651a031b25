//! What `Connection` says, and which fields it takes with it (RFC 9110 7.6.1).

use crate::Version;
use crate::bounds::CONNECTION_OPTIONS_MAX;
use crate::fields::FieldTable;
use crate::grammar;
use crate::name::Name;
use crate::refusal::Refusal;

/// The options a `Connection` field can have that mean something by themselves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionOptions {
    pub(crate) close: bool,
    pub(crate) keep_alive: bool,
    pub(crate) upgrade: bool,
}

impl ConnectionOptions {
    pub(crate) const NONE: Self = Self { close: false, keep_alive: false, upgrade: false };

    /// RFC 9112 9.3: 1.1 stays open unless told otherwise, 1.0 closes unless told otherwise; `close` wins over all.
    pub(crate) fn is_persistent(self, version: Version) -> bool {
        !self.close
            && match version {
                Version::Http11 => true,
                Version::Http10 => self.keep_alive,
            }
    }

    /// Reads every `Connection` field of a complete head and marks the fields they name as hop-by-hop.
    pub(crate) fn read(head: &[u8], table: &mut FieldTable) -> Result<Self, Refusal> {
        let mut options = Self::NONE;
        let mut count = 0;
        for at in 0..table.spans().len() {
            if table.spans()[at].name() != Name::Connection {
                continue;
            }
            let value = table.spans()[at].value(head);
            for member in value.split(|byte| *byte == b',') {
                let (start, end) = grammar::trimmed(member, 0, member.len());
                let option = &member[start..end];
                if option.is_empty() {
                    continue; // RFC 9110 5.6.1.2: a recipient ignores empty list members
                }
                count += 1;
                if count > CONNECTION_OPTIONS_MAX || !grammar::is_token(option) {
                    return Err(Refusal::ConnectionOptions);
                }
                options.take(head, option, table)?;
            }
        }
        Ok(options)
    }

    fn take(&mut self, head: &[u8], option: &[u8], table: &mut FieldTable) -> Result<(), Refusal> {
        if option.eq_ignore_ascii_case(b"close") {
            self.close = true;
        } else if option.eq_ignore_ascii_case(b"keep-alive") {
            self.keep_alive = true;
        } else if option.eq_ignore_ascii_case(b"upgrade") {
            self.upgrade = true;
        } else if Name::of(option).says_where_it_ends_or_goes() {
            return Err(Refusal::ConnectionOptions);
        } else {
            for span in table.spans_mut() {
                if span.name_bytes(head).eq_ignore_ascii_case(option) {
                    span.is_hop = true;
                }
            }
        }
        Ok(())
    }
}
