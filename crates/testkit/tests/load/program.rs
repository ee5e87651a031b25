//! The driver as a program.

use std::process::Stdio;
use std::time::Duration;

use switchover_testkit::load::Report;
use tokio::process::Command;

use crate::server::Server;

async fn load(arguments: &[&str]) -> (i32, Vec<u8>, String) {
    let running = Command::new(env!("CARGO_BIN_EXE_load"))
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(20), running).await.expect("it ends").unwrap();
    (output.status.code().unwrap(), output.stdout, String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn it_prints_its_report_and_exits_with_zero_when_nobody_complains() {
    let server = Server::sample("r1").await;
    let address = server.address.to_string();
    let flags = ["--quick", "2", "--uploads", "1", "--think", "1ms", "--lasts", "200ms", "--host", "shop.example"];
    let (code, output, _) = load(&[&[address.as_str()], &flags[..]].concat()).await;
    let report: Report = serde_json::from_slice(&output).unwrap();
    assert_eq!(code, 0);
    assert!(report.answered > 0 && report.sum_closes());
}

#[tokio::test]
async fn it_exits_with_one_and_says_why_when_somebody_does() {
    let server = Server::answering(|_, _| "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n".into()).await;
    let address = server.address.to_string();
    let (code, _, said) = load(&[&address, "--quick", "1", "--requests", "2"]).await;
    assert_eq!(code, 1);
    assert!(said.contains("failed by Status"), "{said}");
}

#[tokio::test]
async fn it_tells_how_to_call_it() {
    for arguments in [&[][..], &["127.0.0.1"], &["127.0.0.1:1", "--quack", "1"], &["127.0.0.1:1", "--think", "5"]] {
        let (code, _, said) = load(arguments).await;
        assert_eq!(code, 64);
        assert!(said.contains("load ADDRESS"), "{said}");
    }
}
