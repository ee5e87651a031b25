//! A line to the other side: its address, TCP, and TLS where the URL says so.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use switchover_model::Url;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::error::FetchError;

/// A line that a request can go over.
pub(crate) enum Line {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Connects to where `url` leads, one address after the other, all within `limit`.
pub(crate) async fn connect(url: &Url, tls: Option<&Arc<ClientConfig>>, limit: Duration) -> Result<Line, FetchError> {
    let connected = async {
        let stream = tcp(url).await?;
        match tls {
            None => Ok(Line::Plain(stream)),
            Some(config) => secured(url, config, stream).await,
        }
    };
    let timed_out = || FetchError::ConnectTimedOut { place: place(url), limit };
    timeout(limit, connected).await.unwrap_or_else(|_| Err(timed_out()))
}

async fn tcp(url: &Url) -> Result<TcpStream, FetchError> {
    let unknown = |cause| FetchError::Name { name: url.name().to_owned(), cause };
    let mut last = None;
    for address in lookup_host((url.name(), url.port())).await.map_err(unknown)? {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // A request is one write; without this a small second one would wait for the other side's ACK.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(cause) => last = Some(cause),
        }
    }
    Err(match last {
        Some(cause) => FetchError::Connect { place: place(url), cause },
        None => unknown(io::Error::new(io::ErrorKind::NotFound, "it has no address")),
    })
}

async fn secured(url: &Url, config: &Arc<ClientConfig>, stream: TcpStream) -> Result<Line, FetchError> {
    let failed = |cause| FetchError::Tls { place: place(url), cause };
    let name = ServerName::try_from(url.name().to_owned()).map_err(|error| failed(io::Error::other(error)))?;
    let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await.map_err(failed)?;
    Ok(Line::Tls(Box::new(stream)))
}

/// Host and port, for people.
fn place(url: &Url) -> String {
    let name = url.name();
    if name.contains(':') { format!("[{name}]:{}", url.port()) } else { format!("{name}:{}", url.port()) }
}
