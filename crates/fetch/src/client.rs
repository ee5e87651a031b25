//! What asks: whom it trusts, and one request from its beginning to its end.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::answer::Answer;
use crate::bounds::Bounds;
use crate::connect::{Line, connect};
use crate::error::FetchError;
use crate::exchange::exchange;
use crate::request::Request;

/// Asks over HTTP/1.1. Cheap to clone; trusts the authorities that this system does, read when they are needed first.
#[derive(Debug, Clone, Default)]
pub struct Client {
    tls: Arc<OnceCell<Arc<ClientConfig>>>,
}

impl Client {
    /// A client that trusts what this system does (`SSL_CERT_FILE` and `SSL_CERT_DIR` are heeded, as OpenSSL does).
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The answer to `request`.
    ///
    /// Guarantees: ends within `bounds`; what is answered is whole and no redirect. Nothing is tried twice.
    /// Cancellation safe: dropped, it closes its connection.
    ///
    /// # Errors
    /// Everything that is no whole answer within the bounds. After any of them but those of connecting, the other side may
    /// have seen the request.
    pub async fn fetch(&self, request: Request, bounds: Bounds) -> Result<Answer, FetchError> {
        let most = bounds.answer_bytes;
        self.ask(request, bounds, Some(most)).await
    }

    /// The head of the answer to `request`, as soon as it is there: an answer without its body.
    ///
    /// Guarantees: as [`Client::fetch`], but that nothing is said of a body, which is not read.
    ///
    /// # Errors
    /// Everything that is no whole head within the bounds.
    pub async fn fetch_head(&self, request: Request, bounds: Bounds) -> Result<Answer, FetchError> {
        self.ask(request, bounds, None).await
    }

    async fn ask(&self, request: Request, bounds: Bounds, most: Option<usize>) -> Result<Answer, FetchError> {
        let whole = async {
            let secure = request.url.is_secure();
            let tls = if secure { Some(self.tls.get_or_try_init(system_tls).await?) } else { None };
            match connect(&request.url, tls, bounds.connect).await? {
                Line::Plain(line) => exchange(line, request, most).await,
                Line::Tls(line) => exchange(line, request, most).await,
            }
        };
        timeout(bounds.whole, whole).await.unwrap_or(Err(FetchError::TimedOut(bounds.whole)))
    }

    #[cfg(test)]
    pub(crate) fn trusting(roots: RootCertStore) -> Self {
        Self { tls: Arc::new(OnceCell::new_with(Some(config(roots)))) }
    }
}

/// TLS with the authorities of this system. Reads files, so not on the runtime's own thread.
async fn system_tls() -> Result<Arc<ClientConfig>, FetchError> {
    let read = tokio::task::spawn_blocking(|| {
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if added == 0 { Err(FetchError::NoAuthorities) } else { Ok(config(roots)) }
    });
    read.await.unwrap_or(Err(FetchError::NoAuthorities))
}

fn config(roots: RootCertStore) -> Arc<ClientConfig> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs carries TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}
