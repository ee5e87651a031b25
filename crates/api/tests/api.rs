//! The API over its real socket: who is admitted, what each route answers, what is refused and how.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use switchover_controller::{Controller, Parts};
use switchover_journal::SqliteJournal;
use switchover_model::config::AppConfig;
use switchover_model::revision::{Revision, Source};
use switchover_model::seam::{
    Abilities, Builder, Evidence, HookAnswer, HookCall, Platform, PlatformSeen, Routes, SeamError, SlotSpec, Traffic,
    TrafficSeen,
};
use switchover_model::{AppName, Problem, RevisionId, Slot, Timestamp};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// How long a test waits for what must come.
const DEADLINE: Duration = Duration::from_secs(20);
const SECRET: &str = "not-to-be-seen";

/// A world in which nothing runs and every build fails.
struct Nothing;

#[async_trait]
impl Platform for Nothing {
    async fn observe(&self, _: &AppName) -> Result<PlatformSeen, SeamError> {
        Ok(PlatformSeen { at: now(), ..PlatformSeen::default() })
    }
    async fn ensure(&self, _: &SlotSpec) -> Result<(), SeamError> {
        Ok(())
    }
    async fn stop(&self, _: &AppName, _: Slot) -> Result<(), SeamError> {
        Ok(())
    }
}

#[async_trait]
impl Traffic for Nothing {
    async fn observe(&self, _: &AppName) -> Result<TrafficSeen, SeamError> {
        Ok(TrafficSeen { at: now(), ..TrafficSeen::default() })
    }
    async fn ensure(&self, _: &Routes) -> Result<(), SeamError> {
        Ok(())
    }
    async fn remove(&self, _: &AppName) -> Result<(), SeamError> {
        Ok(())
    }
    fn evidence(&self) -> Evidence {
        Evidence::SettingOnly
    }
    fn abilities(&self) -> Abilities {
        Abilities::default()
    }
}

#[async_trait]
impl Builder for Nothing {
    async fn build(
        &self,
        _: &AppConfig,
        _: RevisionId,
        _: &Source,
        _: &BTreeMap<String, String>,
    ) -> Result<Revision, Problem> {
        Err(Problem::new("BUILD-FAILED", "It does not build.", "Repair it."))
    }
    async fn hook(&self, _: &AppConfig, _: &Revision, _: &HookCall) -> Result<HookAnswer, Problem> {
        Ok(HookAnswer::Passed(Vec::new()))
    }
    async fn keep(&self, _: &AppName, _: &[RevisionId]) -> Result<(), SeamError> {
        Ok(())
    }
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

struct House {
    directory: tempfile::TempDir,
    controller: Controller,
    server: switchover_api::Server,
}

impl House {
    async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let nothing = Arc::new(Nothing);
        let parts = Parts {
            journal: Arc::new(SqliteJournal::open(directory.path()).expect("a journal")),
            platform: nothing.clone(),
            builder: nothing.clone(),
            traffic: nothing,
            schema: Arc::new(switchover_postgres::PostgresSchema::default()),
            keeper: None,
            changed: None,
            logs: None,
            state: directory.path().to_owned(),
            http: None,
            lanes: None,
        };
        let controller = Controller::with(parts).await.expect("a controller");
        let server = switchover_api::serve(controller.clone(), &directory.path().join("control.sock")).await;
        Self { controller, server: server.expect("a server"), directory }
    }

    async fn connect(&self) -> UnixStream {
        UnixStream::connect(self.directory.path().join("control.sock")).await.expect("a connection")
    }

    /// One exchange; the status and the body.
    async fn ask(&self, head: &str, body: &str) -> (u16, Value) {
        let length = body.len();
        self.exchange(format!("{head}host: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")).await
    }

    async fn exchange(&self, request: String) -> (u16, Value) {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        timeout(DEADLINE, stream.read_to_string(&mut answer)).await.expect("in time").expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.ask(&format!("GET {path} HTTP/1.1\r\n"), "").await
    }

    async fn command(&self, app: &str, key: &str, body: &str) -> (u16, Value) {
        let head = format!("POST /v1/apps/{app}/commands HTTP/1.1\r\nidempotency-key: {key}\r\n");
        self.ask(&head, body).await
    }

    async fn end(self) {
        self.server.shutdown().await;
        self.controller.shutdown().await;
    }
}

fn deploy(app: &str) -> String {
    let text = format!("name = \"{app}\"\n[env]\nKEY = \"{SECRET}\"\n[process.web]\ncommand = \"x\"\n");
    let config = switchover_model::config::parse(&text, "switchover.toml", "/srv".as_ref()).expect("a file");
    let source = Source::Directory { path: "/srv".into() };
    let env = BTreeMap::from([("MORE".to_owned(), SECRET.to_owned())]);
    let command = switchover_model::release::Command::Deploy { config: Box::new(config), source, env, replace: false };
    serde_json::to_string(&command).expect("json")
}

fn code(answer: &Value) -> &str {
    answer["code"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn every_documented_route_is_there_and_answers_with_its_version() {
    let house = House::start().await;
    let (status, answer) = house.command("shop", "k1", &deploy("shop")).await;
    assert_eq!(status, 202, "{answer}");
    assert_eq!((answer["release"].as_u64(), answer["repeated"].as_bool()), (Some(1), Some(false)));
    let (_, again) = house.command("shop", "k1", &deploy("shop")).await;
    assert_eq!((again["release"].as_u64(), again["repeated"].as_bool()), (Some(1), Some(true)));

    let (status, document) = house.get("/openapi.json").await;
    assert_eq!(status, 200);
    let paths = document["paths"].as_object().expect("paths");
    assert_eq!(paths.len(), 16);
    for (path, methods) in paths {
        let real = path.replace("{app}", "shop").replace("{release}", "1");
        let has = |method| methods.get(method).is_some();
        let other = if has("get") { "DELETE" } else { "GET" };
        let (status, answer) = house.ask(&format!("{other} {real} HTTP/1.1\r\n"), "").await;
        assert_eq!((status, code(&answer)), (405, "METHOD-NOT-ALLOWED"), "{path}");
        // Streams, text, and the document itself.
        let is_other = ["/events", "/logs", "/metrics", "/openapi.json"].iter().any(|other| path.ends_with(other));
        if has("get") && !is_other {
            let (status, answer) = house.get(&real).await;
            if path.contains("/experiment/") {
                assert_eq!((status, code(&answer)), (409, "NO-EXPERIMENT"), "this release is none");
                continue;
            }
            assert_eq!((status, answer["schema_version"].as_u64()), (200, Some(1)), "{path}: {answer}");
        }
    }
    house.end().await;
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_code_cause_and_next_step() {
    let house = House::start().await;
    let deploy = deploy("shop");
    house.command("shop", "k1", &deploy).await;
    let rollback = r#"{"command":"rollback","to":"r9"}"#;
    let big = " ".repeat((4 << 20) + 1);
    let no_key = "POST /v1/apps/shop/commands HTTP/1.1\r\n";
    for (asked, status, expected) in [
        (house.get("/v1/nothing").await, 404, "NO-SUCH-ROUTE"),
        (house.get("/v1/apps/Shop/status").await, 400, "PARAMETER-WRONG"),
        (house.get("/v1/apps/blog/status").await, 404, "APP-UNKNOWN"),
        (house.get("/v1/apps/shop/receipt/77").await, 404, "RELEASE-UNKNOWN"),
        (house.get("/v1/apps/shop/wait/77").await, 404, "RELEASE-UNKNOWN"),
        (house.get("/v1/apps/shop/wait/1?until=soon").await, 400, "PARAMETER-WRONG"),
        (house.get("/v1/apps/shop/events?aftr=1").await, 400, "PARAMETER-WRONG"),
        (house.ask(no_key, &deploy).await, 400, "KEY-MISSING"),
        (house.command("shop", "k2", "{").await, 400, "BODY-MALFORMED"),
        (house.command("blog", "k3", &deploy).await, 400, "APP-MISMATCH"),
        (house.command("shop", "k4", &big).await, 413, "BODY-TOO-LARGE"),
        (house.command("blog", "k5", rollback).await, 404, "APP-UNKNOWN"),
    ] {
        let (got, answer) = asked;
        assert_eq!((got, code(&answer)), (status, expected), "{answer}");
        assert!(!answer["cause"].as_str().unwrap_or_default().is_empty(), "{answer}");
        assert!(!answer["next"].as_str().unwrap_or_default().is_empty(), "{answer}");
    }
    let (status, answer) = house.command("shop", "k6", rollback).await;
    assert_eq!(status, 409, "{answer}");
    house.end().await;
}

#[tokio::test]
async fn events_come_in_order_from_where_the_reader_was_and_without_values() {
    let house = House::start().await;
    house.command("shop", "k1", &deploy("shop")).await;
    let mut stream = house.connect().await;
    let head = "GET /v1/apps/shop/events?after=0&status=true HTTP/1.1\r\nhost: x\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut told = String::new();
    let concluded = async {
        let mut bytes = [0; 4096];
        // The build fails, so the release is aborted: the stream tells it to the end.
        while !(told.contains("\"event\":\"settled\"") && told.contains("event: status")) {
            let read = stream.read(&mut bytes).await.expect("read");
            assert!(read > 0, "the stream ended: {told}");
            told.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
    };
    timeout(DEADLINE, concluded).await.expect("in time");
    assert!(!told.contains(SECRET), "{told}");
    let ids: Vec<u64> =
        told.lines().filter_map(|line| line.strip_prefix("id: ")).filter_map(|id| id.trim().parse().ok()).collect();
    assert!(ids.len() > 3, "{told}");
    assert!(ids.iter().zip(1..).all(|(id, expected)| *id == expected), "{ids:?}");
    house.end().await;
}

#[tokio::test]
async fn the_socket_is_its_owners_alone_and_gone_after_the_end() {
    use std::os::unix::fs::PermissionsExt as _;
    let house = House::start().await;
    let path = house.directory.path().join("control.sock");
    let mode = std::fs::metadata(&path).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    house.server.shutdown().await;
    assert!(!path.exists());
    house.controller.shutdown().await;
}
