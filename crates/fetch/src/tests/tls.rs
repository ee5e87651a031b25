//! TLS with an authority of the test's own: whom it vouches for is asked, and nobody else.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{RootCertStore, ServerConfig};
use switchover_model::Url;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::other_side::{WIDE, answered, other_side, request};
use crate::{Answer, Client, FetchError, Method, Request};

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), root }
    }

    fn client(&self) -> Client {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        Client::trusting(roots)
    }

    /// A server that shows a certificate for `name`.
    fn server(&self, name: &str) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// What `client` makes of `server` when it asks for `host`; the server says goodbye in TLS when `ends_well`.
async fn asked(
    client: Client,
    server: TlsAcceptor,
    host: &str,
    answer: &'static str,
    ends_well: bool,
) -> Result<Answer, FetchError> {
    let (address, side) = other_side(move |stream: TcpStream| async move {
        let Ok(mut stream) = server.accept(stream).await else { return };
        request(&mut stream).await;
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.flush().await;
        if ends_well {
            let _ = stream.shutdown().await;
        }
    })
    .await;
    let url: Url = format!("https://{host}:{}/", address.port()).parse().unwrap();
    let outcome = client.fetch(Request::new(Method::Get, url), WIDE).await;
    side.await.unwrap();
    outcome
}

const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[tokio::test]
async fn an_answer_comes_over_tls_from_whom_the_authority_vouches_for() {
    let authority = Authority::new();
    for host in ["localhost", "127.0.0.1"] {
        let answer = asked(authority.client(), authority.server(host), host, FINE, true).await.unwrap();
        assert_eq!(answer.text(), "ok");
    }
}

#[tokio::test]
async fn another_name_or_another_authority_is_refused() {
    let authority = Authority::new();
    for (client, name) in [(authority.client(), "other.example"), (Authority::new().client(), "localhost")] {
        let error = asked(client, authority.server(name), "localhost", FINE, true).await.unwrap_err();
        let FetchError::Tls { cause, .. } = &error else { panic!("{error:?}") };
        assert!(cause.to_string().contains("certificate"), "{error}");
    }
}

#[tokio::test]
async fn a_body_that_only_the_connection_ends_is_whole_when_tls_says_so_too() {
    let authority = Authority::new();
    let answer = "HTTP/1.1 200 OK\r\n\r\nok";
    let whole = asked(authority.client(), authority.server("localhost"), "localhost", answer, true).await.unwrap();
    assert_eq!(whole.text(), "ok");
    // RFC 9112 9.8: without close_notify somebody may have cut it.
    let cut = asked(authority.client(), authority.server("localhost"), "localhost", answer, false).await.unwrap_err();
    assert!(matches!(cut, FetchError::BrokenOff(_)), "{cut:?}");
}

#[tokio::test]
async fn a_side_without_tls_is_told_so() {
    let (address, side) = other_side(|mut stream: TcpStream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    let asked = Request::new(Method::Get, format!("https://{address}/").parse().unwrap());
    let error = Authority::new().client().fetch(asked, WIDE).await.unwrap_err();
    side.await.unwrap();
    assert!(matches!(error, FetchError::Tls { .. }), "{error:?}");
    // And the other way round.
    let error = answered(b"\x15\x03\x03\x00\x02\x02\x46".as_slice(), WIDE).await.unwrap_err();
    assert!(matches!(error, FetchError::NotHttp(_) | FetchError::BrokenOff(_)), "{error:?}");
}
