//! A standby of a server: a copy that follows it.

use std::process::Command;

use super::server::{Server, append, guarded_directory};
use super::session::Session;

impl Server {
    /// Starts a standby that streams from this server, and calls itself `name` there. It takes no writes.
    ///
    /// # Panics
    /// When it can not be made, or does not start.
    pub async fn standby(&self, name: &str) -> Self {
        let (directory, data, guard) = guarded_directory(self.major(), self.user());
        // By hand (PostgreSQL, 26.3.3): not every installation has `pg_basebackup`.
        let session = Session::open(&self.url("postgres")).await;
        session.column("SELECT pg_backup_start('standby', true)").await.expect("a backup begins");
        // What vanishes meanwhile is not needed.
        let copied = Command::new("cp").arg("-a").arg(self.data().join(".")).arg(&data).output();
        copied.expect("cp can be started");
        let label = session.column("SELECT labelfile FROM pg_backup_stop(false)").await.expect("the backup ends");
        let label = label.into_iter().flatten().next().expect("a label");
        for (file, text) in [("backup_label", label.as_str()), ("standby.signal", "")] {
            std::fs::write(data.join(file), text).expect("a file of the standby");
            self.give(&data.join(file));
        }
        std::fs::remove_file(data.join("postmaster.pid")).expect("the copy runs no server yet");
        let host = self.directory().display();
        let settings = format!(
            "unix_socket_directories = '{}'\nprimary_conninfo = 'host={host} user=postgres application_name={name}'",
            directory.display()
        );
        append(&data.join("postgresql.conf"), &settings);
        self.beside(directory, data, guard)
    }
}
