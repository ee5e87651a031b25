//! The line to a real server that speaks TLS, and to one that does not.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use switchover_postgres::{ConnectError, Database};
use switchover_testkit::postgres::{Durability, Major, Server, Session};

/// A server on loopback TCP, with a certificate for `localhost` when it speaks TLS.
struct Bed {
    server: Server,
    port: u16,
    authority: PathBuf,
}

impl Bed {
    async fn start(speaks_tls: bool) -> Option<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = [("listen_addresses", "127.0.0.1"), ("port", &port.to_string())];
        let server = Server::start_with(Major::V15, Durability::Fast, &settings)?;
        let authority = server.data().join("authority.pem");
        let keys = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        std::fs::write(&authority, params.self_signed(&keys).unwrap().pem()).unwrap();
        let issuer = Issuer::new(params, keys);
        let keys = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&keys, &issuer).unwrap();
        let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(server.data()).unwrap());
        for (name, text) in [("server.crt", certificate.pem()), ("server.key", keys.serialize_pem())] {
            let path = server.data().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            chown(&path, Some(owner), Some(owner)).unwrap();
        }
        std::fs::write(server.data().join("pg_hba.conf"), "local all all trust\nhost all all 127.0.0.1/32 trust\n")
            .unwrap();
        let session = Session::open(&by_socket(&server, port)).await;
        if speaks_tls {
            session.batch_execute("ALTER SYSTEM SET ssl = on").await.unwrap();
        }
        session.batch_execute("SELECT pg_reload_conf()").await.unwrap();
        let told = "SELECT current_setting('ssl') = 'on' AND NOT EXISTS (SELECT FROM pg_hba_file_rules WHERE auth_method = 'scram-sha-256')";
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while session.query_one(told, &[]).await.unwrap().get::<_, bool>(0) != speaks_tls {
            assert!(std::time::Instant::now() < deadline, "the server does not take its settings");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        Some(Self { server, port, authority })
    }

    fn url(&self, host: &str, query: &str) -> String {
        format!("postgres://postgres@{host}:{}/postgres?{query}", self.port)
    }

    /// Whether the line was encrypted, as the server sees it.
    async fn connect(&self, host: &str, query: &str) -> Result<bool, ConnectError> {
        let query = query.replace("AUTHORITY", &self.authority.display().to_string());
        let _connected = Database::connect(&self.url(host, &query)).await?;
        let session = Session::open(&by_socket(&self.server, self.port)).await;
        let seen =
            "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'switchover'";
        Ok(session.query_one(seen, &[]).await.unwrap().get(0))
    }
}

/// The server's socket is named after its port.
fn by_socket(server: &Server, port: u16) -> String {
    format!("{}:{port}/postgres", server.url("postgres").strip_suffix("/postgres").unwrap())
}

#[tokio::test]
async fn a_line_is_as_encrypted_and_as_trusted_as_its_url_asks_for() {
    let Some(bed) = Bed::start(true).await else { return };
    for (host, query, encrypted) in [
        ("localhost", "", true),
        ("127.0.0.1", "sslmode=disable", false),
        ("127.0.0.1", "sslmode=require", true),
        ("127.0.0.1", "sslmode=verify-ca&sslrootcert=AUTHORITY", true),
        ("localhost", "sslmode=verify-full&sslrootcert=AUTHORITY", true),
    ] {
        assert_eq!(bed.connect(host, query).await.unwrap(), encrypted, "{host} {query}");
    }
    for (host, query) in [
        ("127.0.0.1", "sslmode=verify-full&sslrootcert=AUTHORITY"),
        ("localhost", "sslmode=verify-full"),
        ("localhost", "sslmode=verify-ca"),
    ] {
        let refused = bed.connect(host, query).await.unwrap_err();
        assert!(refused.to_string().contains("certificate"), "{host} {query}: {refused}");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_asked_for() {
    let Some(bed) = Bed::start(false).await else { return };
    assert!(!bed.connect("localhost", "").await.unwrap());
    let refused = bed.connect("localhost", "sslmode=require").await.unwrap_err();
    assert!(refused.to_string().contains("TLS"), "{refused}");
}
