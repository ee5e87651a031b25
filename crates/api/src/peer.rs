//! Who is at the other end of the socket.

use switchover_model::record::Actor;
use tokio::net::UnixStream;

/// What the kernel says of a connection's other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Its user id; nothing when the kernel would not tell.
    uid: Option<u32>,
}

impl Peer {
    /// Who opened `stream`.
    pub(crate) fn of(stream: &UnixStream) -> Self {
        Self { uid: stream.peer_cred().ok().map(|credentials| credentials.uid()) }
    }

    /// The actor of its commands, when it is root or the user of this process.
    pub(crate) fn admitted(self) -> Option<Actor> {
        let own = rustix::process::geteuid().as_raw();
        self.uid.filter(|uid| *uid == 0 || *uid == own).map(|uid| Actor::Operator { uid, name: user_name(uid) })
    }
}

/// The user's name, for people (passwd(5)).
fn user_name(uid: u32) -> Option<String> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_and_the_unknown_are_not_admitted() {
        let own = rustix::process::geteuid().as_raw();
        assert!(Peer { uid: Some(own) }.admitted().is_some());
        assert!(Peer { uid: Some(0) }.admitted().is_some());
        assert!(Peer { uid: Some(own + 4242) }.admitted().is_none());
        assert!(Peer { uid: None }.admitted().is_none());
    }

    #[test]
    fn root_has_a_name() {
        assert_eq!(user_name(0).as_deref(), Some("root"));
        assert_eq!(user_name(u32::MAX - 7), None);
    }
}
