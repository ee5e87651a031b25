//! The examples' files are understood, and what they say runs.
#![expect(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use switchover_model::config::{AppConfig, Handover, ProcessKind, parse};
use switchover_testkit::load::{Expect, Plan, start};

fn example(name: &str) -> (PathBuf, AppConfig) {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
    let text = std::fs::read_to_string(dir.join("switchover.toml")).unwrap();
    let config = parse(&text, "switchover.toml", &dir).unwrap_or_else(|mistakes| panic!("{name}: {mistakes:#?}"));
    (dir, config)
}

/// A process that ends with the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_file_of_django_says_what_the_readme_says() {
    let (dir, config) = example("django");
    assert_eq!(config.name.as_str(), "guestbook");
    let worker = config.processes.iter().find(|(name, _)| name.as_str() == "worker").unwrap().1;
    assert_eq!(worker.kind, ProcessKind::Worker { handover: Handover::Drain });
    let hosts = &config.env["DJANGO_ALLOWED_HOSTS"];
    for host in &config.route.hosts {
        assert!(hosts.split(',').any(|allowed| allowed == host.as_str()), "the health question would get a 400");
    }
    let preview = config.route.preview.unwrap().host;
    assert!(hosts.split(',').any(|allowed| allowed == preview.as_str()), "the preview would get a 400");
    assert!(dir.join("app/build.sh").is_file());
}

#[tokio::test]
async fn the_command_of_http_server_serves_its_files() {
    let (dir, config) = example("http-server");
    let (_, web) = config.processes.iter().next().unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(&web.command).env("PORT", address.port().to_string()).current_dir(dir);
    let _server = Ends(command.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn().unwrap());
    let plan =
        Plan { single: 1, quick_path: "/".to_owned(), expects: Expect::AnyApp, ..Plan::nobody(address, "hello") };
    let running = start(plan);
    // Until it listens, requests fail to connect; after that none may fail.
    let seen = running.wait_until(Duration::from_secs(20), |seen| seen.answered > 0).await.expect("it answers");
    let failed_before = seen.failed;
    running.wait_until(Duration::from_secs(20), |seen| seen.answered > 20).await.expect("it answers");
    let report = running.stop().await;
    assert_eq!(report.failed, failed_before, "{:#?}", report.failure_samples);
    assert_eq!(report.by_status.keys().copied().collect::<Vec<_>>(), [200]);
}
