//! The connection to the database, whose driver is owned and whose URL is never shown.

use std::fmt;
use std::time::Duration;

use switchover_model::Problem;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, Connection, NoTls};

use crate::tls;

/// How long a connection is waited for.
const CONNECTED: Duration = Duration::from_secs(10);

/// One session.
pub struct Database {
    client: Client,
    driver: JoinHandle<()>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL is none.
    #[error("the database's URL can not be read: {0}")]
    Url(String),
    /// The server can not be reached, or refuses.
    #[error("the database {place} does not take the connection: {cause}")]
    Refused {
        /// Host and database, without user and password.
        place: String,
        /// What was said.
        cause: String,
    },
}

impl ConnectError {
    /// The same as a user sees it.
    #[must_use]
    pub fn problem(&self) -> Problem {
        match self {
            Self::Url(_) => Problem::new(
                "DATABASE-URL",
                format!("{self}."),
                "Write it as postgres://USER@HOST/DATABASE, the password in the URL; give that by DATABASE_URL, which no list of processes shows.",
            ),
            Self::Refused { .. } => Problem::new(
                "DATABASE-UNREACHABLE",
                format!("{self}."),
                "Look whether it runs, and whether user and password are right.",
            ),
        }
    }
}

impl Database {
    /// Connects.
    pub async fn connect(url: &str) -> Result<Self, ConnectError> {
        refuse_what_could_show_a_password(url)?;
        let (url, wish) = tls::wish(url).map_err(ConnectError::Url)?;
        let mut config: Config =
            url.parse().map_err(|error: tokio_postgres::Error| ConnectError::Url(error.to_string()))?;
        config.connect_timeout(CONNECTED).application_name("switchover").ssl_mode(wish.mode);
        let place = place(&config);
        let refused =
            |error: tokio_postgres::Error| ConnectError::Refused { place: place.clone(), cause: said(&error) };
        if config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_))) {
            config.ssl_mode(SslMode::Disable);
            let (client, connection) = config.connect(NoTls).await.map_err(refused)?;
            return Ok(Self { client, driver: driver(connection) });
        }
        let connector = wish.connector().map_err(ConnectError::Url)?;
        let (client, connection) = config.connect(connector).await.map_err(refused)?;
        Ok(Self { client, driver: driver(connection) })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn client_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

/// An `@` of a password that is not written as `%40` would make a host or a database of its rest, which are shown.
fn refuse_what_could_show_a_password(url: &str) -> Result<(), ConnectError> {
    let place = url.split_once('?').map_or(url, |(place, _)| place);
    let Some((_, place)) = place.split_once("://") else { return Ok(()) };
    let path = place.split_once('/').map_or("", |(_, path)| path);
    if place.matches('@').count() > 1 || path.contains('@') {
        return Err(ConnectError::Url(
            "an `@` in a user, password or database is written as %40 (and `/` as %2F)".to_owned(),
        ));
    }
    Ok(())
}

/// Moves the connection's bytes until it ends; its owner aborts it.
fn driver<S, T>(connection: Connection<S, T>) -> JoinHandle<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "the database's connection ended");
        }
    })
}

impl Drop for Database {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Database")
    }
}

fn place(config: &Config) -> String {
    let hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .map(|host| match host {
            Host::Tcp(host) => host.clone(),
            Host::Unix(path) => path.display().to_string(),
        })
        .collect();
    format!("{} on {}", config.get_dbname().unwrap_or("(its default)"), hosts.join(", "))
}

/// What the server said, with its details; never more than it says itself.
pub(crate) fn said(error: &tokio_postgres::Error) -> String {
    let Some(server) = error.as_db_error() else {
        let source = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
        return format!("{error}{source}");
    };
    let more = [server.detail(), server.hint()].into_iter().flatten().map(|more| format!(" {more}"));
    format!("{}{} ({})", server.message(), more.collect::<String>(), server.code().code())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_is_not_escaped_is_refused_before_any_of_it_is_a_host() {
        for url in
            ["postgres://u:S3cr3t@Pa55@host/db", "postgres://u:S3cr3t@Pa55/x@host/db", "postgres://u:Pa55/x@host/db"]
        {
            let error = refuse_what_could_show_a_password(url).unwrap_err();
            assert!(error.to_string().contains("%40") && !error.to_string().contains("Pa55"), "{error}");
        }
        for url in ["postgres://u:p%40ss@host/db?options=-c%20a@b", "postgres:///db?host=/tmp", "host=h password=a@b@c"]
        {
            assert!(refuse_what_could_show_a_password(url).is_ok(), "{url}");
        }
    }
}
