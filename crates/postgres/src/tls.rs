//! TLS to the database, as the `sslmode` and `sslrootcert` of its URL ask for it.
//!
//! The modes are libpq's (PostgreSQL documentation, "SSL Support", table "SSL Mode Descriptions"), so that a URL means here
//! what it means to the app. A socket of this machine's own file system is never encrypted, as there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls_improved::MakeRustlsConnect;

/// How much of the server's certificate has to be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// Nothing: the line is encrypted, whoever is at its other end.
    Anyone,
    /// A trusted authority has signed it.
    Authority,
    /// And it is made out to the host that was asked for.
    Host,
}

/// What a URL says about TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsWish {
    /// Whether a line without TLS will do.
    pub(crate) mode: SslMode,
    trust: Trust,
    roots: Option<PathBuf>,
}

/// Takes `sslmode` and `sslrootcert` out of `url`: the URL without them, and what they ask for.
///
/// # Errors
/// A mode that is none, or a file of roots without a mode that looks at it.
pub(crate) fn wish(url: &str) -> Result<(String, TlsWish), String> {
    let (mut mode, mut roots, mut other) = (None, None, Vec::new());
    let (place, query) = match url.split_once('?') {
        Some((place, query)) if is_url(url) => (place, query),
        _ => (url, ""),
    };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", value)) => mode = Some(value),
            Some(("sslrootcert", value)) => roots = Some(decoded(value)?),
            _ => other.push(pair),
        }
    }
    // With a file of roots, libpq's `require` looks at the authority (same document).
    let (mode, trust) = match (mode.unwrap_or("prefer"), &roots) {
        ("disable", _) => (SslMode::Disable, Trust::Anyone),
        ("allow" | "prefer", None) => (SslMode::Prefer, Trust::Anyone),
        ("require", None) => (SslMode::Require, Trust::Anyone),
        ("require" | "verify-ca", _) => (SslMode::Require, Trust::Authority),
        ("verify-full", _) => (SslMode::Require, Trust::Host),
        ("allow" | "prefer", Some(_)) => {
            return Err(
                "sslrootcert says whom to trust, sslmode=prefer trusts anyone: write sslmode=verify-full".into()
            );
        }
        (other, _) => {
            return Err(format!("sslmode is `{other}`, and can be disable, prefer, require, verify-ca or verify-full"));
        }
    };
    let query = if other.is_empty() { String::new() } else { format!("?{}", other.join("&")) };
    Ok((format!("{place}{query}"), TlsWish { mode, trust, roots }))
}

/// Whether it is written as a URL, and not as `key=value` pairs.
fn is_url(text: &str) -> bool {
    ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme))
}

/// Undoes percent-encoding (RFC 3986 2.1).
fn decoded(text: &str) -> Result<PathBuf, String> {
    let text = percent_encoding::percent_decode_str(text).decode_utf8();
    text.map(|text| PathBuf::from(text.into_owned())).map_err(|_| "sslrootcert is no text".to_owned())
}

impl TlsWish {
    /// What makes the line.
    ///
    /// # Errors
    /// The file of roots can not be read or has none, or the system has none.
    pub(crate) fn connector(&self) -> Result<MakeRustlsConnect, String> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let authority = match self.trust {
            Trust::Anyone => None,
            Trust::Authority | Trust::Host => {
                let roots = Arc::new(roots(self.roots.as_deref())?);
                let built = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
                Some(built.map_err(|error| format!("the roots can not be used: {error}"))?)
            }
        };
        let verifier = Verifier { authority, trust: self.trust, provider: Arc::clone(&provider) };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(MakeRustlsConnect::new(config))
    }
}

fn roots(file: Option<&Path>) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    let certificates = match file {
        Some(file) => {
            let shown = file.display();
            let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            read.map_err(|error| format!("sslrootcert {shown} can not be read: {error}"))?
        }
        None => rustls_native_certs::load_native_certs().certs,
    };
    let (added, _) = store.add_parsable_certificates(certificates);
    match (added, file) {
        (0, Some(file)) => Err(format!("sslrootcert {} has no certificate", file.display())),
        (0, None) => Err("this system trusts no authority: name a file with sslrootcert".to_owned()),
        _ => Ok(store),
    }
}

/// Looks at as much of a certificate as [`Trust`] says. That who shows it has its key is looked at always.
#[derive(Debug)]
struct Verifier {
    authority: Option<Arc<WebPkiServerVerifier>>,
    trust: Trust,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(authority) = &self.authority else { return Ok(ServerCertVerified::assertion()) };
        match authority.verify_server_cert(certificate, between, name, ocsp, now) {
            // The name is looked at last, after the chain.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.trust == Trust::Authority => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(url: &str) -> (String, SslMode, Trust) {
        let (rest, wish) = wish(url).expect("a wish");
        (rest, wish.mode, wish.trust)
    }

    #[test]
    fn a_mode_means_what_it_means_to_libpq() {
        let plain = "postgres://shop@db.example/shop".to_owned();
        for (query, mode, trust) in [
            ("", SslMode::Prefer, Trust::Anyone),
            ("?sslmode=disable", SslMode::Disable, Trust::Anyone),
            ("?sslmode=require", SslMode::Require, Trust::Anyone),
            ("?sslmode=require&sslrootcert=/ca.pem", SslMode::Require, Trust::Authority),
            ("?sslmode=verify-ca", SslMode::Require, Trust::Authority),
            ("?sslrootcert=/a%20b.pem&sslmode=verify-full", SslMode::Require, Trust::Host),
        ] {
            assert_eq!(asked(&format!("{plain}{query}")), (plain.clone(), mode, trust), "{query}");
        }
        let (rest, wish) = wish("postgres://h/d?sslmode=verify-full&options=-c%20a=b&sslrootcert=/a%20b").expect("it");
        assert_eq!((rest.as_str(), wish.roots), ("postgres://h/d?options=-c%20a=b", Some("/a b".into())));
    }

    #[test]
    fn a_wish_that_contradicts_itself_or_is_none_is_refused() {
        assert!(wish("postgres://h/d?sslmode=sometimes").is_err());
        assert!(wish("postgres://h/d?sslrootcert=/ca.pem").is_err());
        let (_, wish) = wish("postgres://h/d?sslmode=verify-full&sslrootcert=/missing.pem").expect("a wish");
        assert!(wish.connector().err().is_some_and(|error| error.contains("/missing.pem")));
    }
}
