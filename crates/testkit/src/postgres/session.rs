//! One connection whose driver is owned: it ends with the session.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, Error, NoTls};

/// The longest that a connection is waited for.
const CONNECTED: Duration = Duration::from_secs(20);

/// A connection to a server. Dropped, it is closed.
#[derive(Debug)]
pub struct Session {
    client: Client,
    driver: JoinHandle<Result<(), Error>>,
}

impl Session {
    /// Connects.
    ///
    /// # Panics
    /// When it cannot.
    pub async fn open(url: &str) -> Self {
        Self::try_open(url).await.unwrap_or_else(|error| panic!("no connection to {url}: {error:?}"))
    }

    /// Connects, or tells why not.
    ///
    /// # Errors
    /// What the server or the way to it said.
    ///
    /// # Panics
    /// When `url` is none.
    pub async fn try_open(url: &str) -> Result<Self, Error> {
        let mut config: Config = url.parse().expect("a URL of a database");
        config.connect_timeout(CONNECTED);
        if config.get_application_name().is_none() {
            config.application_name("testkit");
        }
        Self::connect(&config).await
    }

    /// Connects as `config` says.
    ///
    /// # Errors
    /// What the server or the way to it said.
    pub async fn connect(config: &Config) -> Result<Self, Error> {
        let (client, connection) = config.connect(NoTls).await?;
        Ok(Self { client, driver: tokio::spawn(connection) })
    }

    /// The first column of all rows as text; NULL is `None`.
    ///
    /// # Errors
    /// What the server said.
    pub async fn column(&self, statement: &str) -> Result<Vec<Option<String>>, Error> {
        let messages = self.client.simple_query(statement).await?;
        let rows = messages.into_iter().filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).map(str::to_owned)),
            _ => None,
        });
        Ok(rows.collect())
    }
}

impl std::ops::Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl std::ops::DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
