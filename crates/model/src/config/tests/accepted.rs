use std::path::PathBuf;

use crate::config::*;
use crate::time::Span;

use super::good;

#[test]
fn three_lines_are_a_whole_file() {
    let config = good("name = \"shop\"\n[process.web]\ncommand = \"bin/shop\"\n");

    let web = &config.processes[&"web".parse().unwrap()];
    assert_eq!(web.instances, 1);
    let ProcessKind::Routed { paths, health } = &web.kind else { panic!("{:?}", web.kind) };
    assert_eq!(paths, &["/"]);
    assert_eq!((health.path.as_str(), health.any_below_500), ("/", true));
    assert_eq!(web.stop, Stop { signal: StopSignal::Term, grace: Span::from_secs(30) });
    assert!(config.route.hosts.is_empty());
    assert_eq!(config.route.preview.unwrap().host.as_str(), "shop.preview.localhost");
    assert_eq!(config.release.bake, Span::from_secs(600));
    assert_eq!(config.release.keep_warm, Span::from_secs(3600));
    assert_eq!(config.build, None);
}

#[test]
fn every_key_is_read() {
    let config = good(FULL);
    assert_eq!(config.secrets_file, Some(PathBuf::from("/srv/secrets.env")));
    assert_eq!(config.env["RAILS_ENV"], "production");
    let build = config.build.unwrap();
    assert_eq!(build.command.as_deref(), Some("./build.sh"));
    assert_eq!(build.source, Some(PathBuf::from("app")));
    assert_eq!((build.timeout, build.on_crash), (Span::from_secs(300), OnCrash::Fail));
    let web = &config.processes[&"web".parse().unwrap()];
    assert_eq!(web.instances, 2);
    let ProcessKind::Routed { paths, health } = &web.kind else { panic!("{:?}", web.kind) };
    assert_eq!(paths, &["/api", "/feed"]);
    assert_eq!(
        health,
        &Health {
            path: "/up?deep=1".into(),
            any_below_500: false,
            interval: Span::from_millis(250),
            timeout: Span::from_secs(1),
            deadline: Span::from_secs(90)
        }
    );
    assert_eq!(web.stop, Stop { signal: StopSignal::Int, grace: Span::from_secs(5) });
    let mailer = &config.processes[&"mailer".parse().unwrap()];
    assert_eq!(mailer.kind, ProcessKind::Worker { handover: Handover::Lease });
    assert_eq!(config.shared, [PathBuf::from("media"), PathBuf::from("var/spool")]);
    assert_eq!(config.route.hosts.len(), 2);
    let preview = config.route.preview.unwrap();
    assert_eq!(preview.host.as_str(), "idle.shop.example.com");
    assert_eq!(preview.networks, ["10.0.0.0/8", "::1/128"]);
    assert_eq!(config.route.drain, Span::from_secs(20));
    let release = config.release;
    assert!(release.approve);
    assert_eq!(release.approve_timeout, Span::from_secs(7200));
    assert_eq!((release.bake, release.keep_warm), (Span::from_secs(60), Span::ZERO));
    assert_eq!(release.keep_revisions, 3);
    assert_eq!(config.drift, Drift::Report);
    assert_eq!(
        config.database,
        Some(Database {
            url: "SHOP_DATABASE".into(),
            schema: "shop".into(),
            level: Level::Files(PathBuf::from("db/migrations")),
            vouch: Vec::new(),
            lock_timeout: Span::from_secs(30),
            backfill_timeout: Span::from_secs(7200),
            backfill_rate: Some(5000),
            backfill_lag: Span::from_secs(30),
            old_rows: OldRows::Accept,
            quiet: Span::from_secs(300),
            attic: Span::from_secs(7 * 86_400),
            restore_point: false,
            backup: Some(Backup { command: "./backup.sh".into(), timeout: Span::from_secs(1800) }),
            invariants: vec![Invariant {
                name: "orders have users".into(),
                query: "SELECT id FROM orders WHERE user_id IS NULL".into(),
                timeout: Span::from_secs(2)
            }],
        })
    );
}

/// A file with every key that is carried out.
pub(super) const FULL: &str = r#"
name = "shop"
drift = "report"

[build]
command = "./build.sh"
source = "app"
timeout = "5m"
on_crash = "fail"

[env]
RAILS_ENV = "production"

[secrets]
file = "../secrets.env"

[process.web]
command = "bin/shop --port $PORT"
instances = 2
route = ["/api/", "/feed"]
health = { path = "/up?deep=1", interval = "250ms", timeout = "1s", deadline = "90s" }
stop = { signal = "SIGINT", grace = "5s" }

[process.mailer]
command = "bin/shop work mail"
handover = "lease"

[shared]
paths = ["media", "./var/spool"]

[route]
hosts = ["shop.example.com", "www.shop.example.com"]
preview = { host = "idle.shop.example.com", networks = ["10.0.0.0/8", "::1/128"] }
drain = "20s"
sticky = { header = "X-User" }

[release]
strategy = "canary"
approve = true
approve_timeout = "2h"
bake = "1m"
keep_warm = "0s"
keep_revisions = 3

allow = ["Mon-Thu 09:00-16:00 Europe/Berlin", "Fri 09:00-12:00 Europe/Berlin"]
freeze = "2026-12-20..2027-01-03 Europe/Berlin"

[[release.step]]
share = "5%"
for = "10m"
approve = true

[[release.hook]]
stage = "verify"
command = "./smoke.sh"
timeout = "2m"
retries = 2
pause = "10s"
on_crash = "rerun"

[[release.hook]]
stage = "shift"
when = "before"
url = "https://change.example.com/ask?for=shop"
method = "PUT"
token = "CHANGE_TOKEN"
timeout = "2h"

[[notify]]
url = "https://chat.example.com/in"
secret = "NOTIFY_SECRET"
events = ["failed", "rolled-back"]
timeout = "20s"

[[notify]]
command = "/usr/local/bin/tell"

[database]
url = "SHOP_DATABASE"
schema = "shop"
migrations = "db/migrations"
lock_timeout = "30s"
backfill_timeout = "2h"
backfill_rate = 5000
backfill_lag = "30s"
old_rows = "accept"
quiet = "5m"
attic = "7d"
restore_point = false
backup = { command = "./backup.sh", timeout = "30m" }

[[database.invariant]]
name = "orders have users"
query = "SELECT id FROM orders WHERE user_id IS NULL"
timeout = "2s"
"#;

/// The keys of `[database]` that do not go together with those of [`FULL`].
pub(super) const FRAMEWORK: &str = r#"
name = "shop"

[process.web]
command = "a"

[database]
framework = "django"
command = ".venv/bin/python manage.py"
vouch = ["shop.0006_fill", "shop.0009_mend"]
"#;

/// The same for commands.
pub(super) const COMMANDS: &str = r#"
name = "shop"

[process.web]
command = "a"

[database.commands]
status = "bin/migrate pending"
expand = "bin/migrate expand"
contract = "bin/migrate contract"
sql = "bin/migrate sql"
"#;

#[test]
fn who_changes_the_schema_is_one_of_three() {
    let level = |rest: &str| {
        let text = format!("name = \"shop\"\n[process.web]\ncommand = \"a\"\n[database]\n{rest}\n");
        good(&text).database.unwrap().level
    };
    let django = |command: &str| Level::Framework(Framework::Django { command: command.into() });
    assert_eq!(level("framework = \"django\""), django("python manage.py"));
    assert_eq!(level("framework = \"alembic\""), Level::Framework(Framework::Alembic { command: "alembic".into() }));
    let database = good(FRAMEWORK).database.unwrap();
    assert_eq!(database.level, django(".venv/bin/python manage.py"));
    assert_eq!(database.vouch, ["shop.0006_fill", "shop.0009_mend"]);
    assert_eq!(
        good(COMMANDS).database.unwrap().level,
        Level::Framework(Framework::Commands(Commands {
            status: "bin/migrate pending".into(),
            expand: "bin/migrate expand".into(),
            contract: Some("bin/migrate contract".into()),
            sql: Some("bin/migrate sql".into()),
        }))
    );
}

#[test]
fn a_journaled_file_is_read_whoever_changes_its_schema() {
    for text in [FULL, FRAMEWORK, COMMANDS] {
        let database = good(text).database;
        let written = serde_json::to_value(&database).unwrap();
        assert_eq!(serde_json::from_value::<Option<Database>>(written).unwrap(), database);
    }
    // As it was written before there was a choice.
    let written = serde_json::to_value(good(FULL).database).unwrap();
    assert_eq!(written["migrations"], "db/migrations");
    assert!(written.get("vouch").is_none(), "{written}");
}

#[test]
fn who_takes_requests_follows_from_name_number_and_keys() {
    let kinds = |text: &str| {
        good(&format!("name = \"shop\"\n{text}"))
            .processes
            .iter()
            .map(|(name, process)| match &process.kind {
                ProcessKind::Routed { paths, .. } => format!("{name} takes {}", paths.join(" ")),
                ProcessKind::Worker { handover } => format!("{name} works {handover:?}"),
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(kinds("[process.api]\ncommand = \"a\""), ["api takes /"]);
    assert_eq!(kinds("[process.queue]\ncommand = \"a\"\nhandover = \"drain\""), ["queue works Drain"]);
    assert_eq!(
        kinds("[process.web]\ncommand = \"a\"\n[process.queue]\ncommand = \"b\""),
        ["queue works StopFirst", "web takes /"]
    );
    assert_eq!(
        kinds("[process.api]\ncommand = \"a\"\nhealth = { path = \"/up\" }\n[process.queue]\ncommand = \"b\""),
        ["api takes /", "queue works StopFirst"]
    );
    assert_eq!(
        kinds(
            "[process.web]\ncommand = \"a\"\nroute = \"/\"\n[process.api]\ncommand = \"b\"\nroute = [\"/api\", \"/v1/\"]"
        ),
        ["api takes /api /v1", "web takes /"]
    );
}

#[test]
fn the_default_preview_host_follows_the_first_host() {
    let config =
        good("name = \"shop\"\n[process.web]\ncommand = \"a\"\n[route]\nhosts = [\"shop.example.com\", \"b.example\"]");
    assert_eq!(config.route.preview.unwrap().host.as_str(), "preview.shop.example.com");
}

#[test]
fn a_parsed_file_survives_its_journey_as_json() {
    let config = good(FULL);
    let json = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<AppConfig>(&json).unwrap(), config);
}

#[test]
fn a_diff_names_what_changes_and_hides_environment_values_and_queries() {
    let old = good(FULL);
    let text = FULL
        .replace("\"production\"", "\"topsecret\"")
        .replace("?for=shop", "?for=shop&key=topsecret")
        .replace("instances = 2", "instances = 3")
        .replace("hosts = [\"shop.example.com\", \"www.shop.example.com\"]", "hosts = [\"shop.example.com\"]")
        .replace("bin/shop work mail", "bin/shop work post");
    let shown = diff(Some(&old), &good(&text)).iter().map(Change::to_string).collect::<Vec<_>>().join("\n");
    expect_test::expect![[r#"
        ~ env.RAILS_ENV: another value (not shown)
        ~ process.mailer.command: "bin/shop work mail" -> "bin/shop work post"
        ~ process.web.instances: 2 -> 3
        ~ release.hook.2.url: another value (not shown)
        ~ route.hosts: shop.example.com, www.shop.example.com -> shop.example.com"#]]
    .assert_eq(&shown);
    assert!(diff(Some(&old), &old).is_empty());
    assert!(!serde_json::to_string(&diff(None, &good(&text))).unwrap().contains("topsecret"));
    let asks = |key: &str| {
        let check = format!("name = \"a\"\nurl = \"http://a.example/n?slot=$SLOT&key={key}\"\nmax = \"1\"");
        good(&format!("name = \"shop\"\n[process.web]\ncommand = \"a\"\n[[release.check]]\n{check}"))
    };
    let changes = diff(Some(&asks("topsecret")), &asks("another"));
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert!(changes[0].to_string().ends_with("url: another value (not shown)"), "{changes:?}");
}

#[test]
fn a_file_with_mistakes_still_names_its_app() {
    assert_eq!(app_name("name = \"shop\"\nbake = = 3\n[process.web").unwrap().as_str(), "shop");
    assert_eq!(app_name("[release]\nname = \"shop\""), None);
    assert_eq!(app_name("name = \"No Name\""), None);
}
