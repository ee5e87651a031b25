//! What happens in the demo, and what is told of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use switchover_model::ReleaseId;
use switchover_model::answer::{CommandAnswer, HistoryView, ReceiptView};
use switchover_model::receipt::Receipt;
use switchover_model::release::Command;
use switchover_model::revision::Source;
use switchover_testkit::load::{self, Report};
use tokio::signal::unix::{SignalKind, signal};

use super::house::{House, failed};
use super::picture;
use super::users::Users;
use crate::app_file;
use crate::commands::rollback;
use crate::exit::Exit;
use crate::failure::{Done, Failure};
use crate::say;
use crate::show::{self, moment};
use crate::waiting::{Until, Wait};

/// How long users are watched before and after each switch.
const CALM: Duration = Duration::from_millis(1_500);
/// How long one release of the demo may take.
const RELEASE_LIMIT: Duration = Duration::from_secs(20);

/// Tells the story; with `keep` everything is left running at the end.
pub(crate) async fn tell(keep: bool) -> Done {
    // From here on Ctrl-C ends the demo in order, also when it comes while the house is built.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| failed("catch Ctrl-C", &error))?;
    say::line("A daemon, a router and a small web app, in a temporary directory, on free ports.");
    let house = House::build().await?;
    let told = tokio::select! {
        // First: a wait within a chapter hears the same signal, and would tell how to go on with what is removed now.
        biased;
        _ = interrupt.recv() => Ok(Exit::Left),
        told = chapters(&house) => told,
    };
    if keep && matches!(told, Ok(Exit::Succeeded | Exit::Other)) {
        play(house);
        return told;
    }
    if matches!(told, Ok(Exit::Left)) {
        say::fresh_line();
        house.pull_down().await?;
        say::error("stopped, everything removed");
        return told;
    }
    house.pull_down().await?;
    if matches!(told, Ok(Exit::Succeeded)) {
        title("Everything is removed again. With an app of your own, in its directory:");
        say::line("  switchover init && switchover serve");
        say::line("  switchover deploy --wait        # in another terminal");
        say::line("Or play with this one: switchover demo --keep");
    }
    told
}

async fn chapters(house: &House) -> Done {
    title("Release v1: the first one");
    release(house, "v1", "", Exit::Succeeded).await?;
    let address: SocketAddr = house
        .url
        .trim_start_matches("http://")
        .parse()
        .map_err(|_| failed("find its router", &std::io::ErrorKind::InvalidInput.into()))?;
    let users = Users::come(address)?;
    say::line(format_args!("users come to {}: quick, slow, streaming, uploading, on WebSockets", house.url));
    tokio::time::sleep(CALM).await;

    title("Release v2, under load");
    release(house, "v2", "", Exit::Succeeded).await?;
    tokio::time::sleep(CALM).await;

    title("Release v3, whose health never turns green: it is undone, and nobody notices");
    release(house, "v3", "never-healthy", Exit::Undone).await?;

    title("Roll v2 back to v1");
    let answer =
        house.daemon.command(&house.app, &Command::Rollback { to: None, release: None, detach: false }).await?;
    let until = rollback::until(&house.daemon, &house.app, &answer).await?;
    wait(house, &answer, until, Exit::Succeeded).await?;
    tokio::time::sleep(CALM).await;

    let report = users.leave().await?;
    account(house, &report).await
}

/// Deploys what stands in the app's directory and shows it until it ends as `expected`.
async fn release(house: &House, version: &str, sickness: &str, expected: Exit) -> Result<(), Failure> {
    house.write_version(version, sickness)?;
    let file = app_file::read(house.shared.config.as_deref())?;
    let source = Source::Directory { path: house.app_folder() };
    let command = Command::Deploy { config: Box::new(file.config), source, env: BTreeMap::new(), replace: false };
    let answer = house.daemon.command(&house.app, &command).await?;
    wait(house, &answer, Until::Switched, expected).await
}

async fn wait(house: &House, answer: &CommandAnswer, until: Until, expected: Exit) -> Result<(), Failure> {
    let Some(release) = answer.release else { return Ok(()) };
    let waited = Wait {
        shared: &house.shared,
        daemon: &house.daemon,
        app: &house.app,
        release,
        after: answer.sequence.saturating_sub(1),
        until,
        timeout: Some(RELEASE_LIMIT),
    };
    match waited.run().await {
        Ok(exit) if exit == expected => Ok(()),
        Err(Failure::Problem(exit, problem)) if exit == expected => {
            say::problem(&problem);
            Ok(())
        }
        Ok(exit) => Err(failed(
            &format!("see release {release} end as it should ({exit:?})"),
            &std::io::ErrorKind::Other.into(),
        )),
        Err(failure) => Err(failure),
    }
}

/// The receipts beside the users' own count.
async fn account(house: &House, report: &Report) -> Done {
    let history: HistoryView = house.daemon.get(&format!("/v1/apps/{}/history", house.app)).await?;
    let mut receipts = Vec::new();
    for release in &history.releases {
        receipts.push(receipt(house, release.release).await?);
    }
    let zone = jiff::tz::TimeZone::system();
    for receipt in &receipts {
        title("");
        show::receipt::tables(&house.app, receipt, moment::now(), &zone).into_iter().for_each(say::line);
    }
    title("What the users noticed");
    say::line(format_args!("{} requests sent, {} answered, {} failed", report.sent, report.answered, report.failed));
    let switches: Vec<_> = receipts.iter().flat_map(|receipt| receipt.switches.clone()).collect();
    picture::lines(report, &switches).into_iter().for_each(say::line);
    let mut wrong = report.complaints();
    wrong.extend(differences(report, &receipts));
    let lost: u64 = receipts.iter().map(|receipt| receipt.lost + receipt.lost_since_last).sum();
    if wrong.is_empty() && lost == 0 {
        say::line("the receipts and the users count the same; no request was lost");
        return Ok(Exit::Succeeded);
    }
    wrong.iter().for_each(|line| say::error(format_args!("! {line}")));
    say::error(format_args!("{lost} requests lost by the receipts"));
    Ok(Exit::Other)
}

/// Where the users' count and the receipts' differ, oldest receipt first. What came or ended between two releases belongs to
/// no window: it is in the sum of what was accepted, not in the answers of any revision.
fn differences(report: &Report, receipts: &[Receipt]) -> Vec<String> {
    let between: u64 = receipts.iter().map(|receipt| receipt.accepted_since_last).sum();
    if windows_meet(receipts) {
        return load::compare(report, receipts);
    }
    let accepted: u64 = receipts.iter().map(|receipt| receipt.accepted).sum();
    let unbalanced = receipts.iter().filter(|receipt| !receipt.balanced);
    let mut differences: Vec<String> =
        unbalanced.map(|receipt| format!("the sum of release {} does not close", receipt.release)).collect();
    if accepted + between != report.sent {
        differences.push(format!("users count {}, receipts {accepted} and {between} between releases", report.sent));
    }
    differences
}

/// Whether nothing came or ended between two releases.
fn windows_meet(receipts: &[Receipt]) -> bool {
    receipts
        .array_windows()
        .all(|[one, next]| next.accepted_since_last == 0 && one.in_flight_after == next.in_flight_before)
}

async fn receipt(house: &House, release: ReleaseId) -> Result<Receipt, Failure> {
    let view: ReceiptView = house.daemon.get(&format!("/v1/apps/{}/receipt/{release}", house.app)).await?;
    Ok(view.receipt)
}

fn title(text: &str) {
    say::line("");
    if !text.is_empty() {
        say::line(console::style(text).bold());
    }
}

/// How to go on with what was kept.
fn play(house: House) {
    let state = house.shared.state.clone().unwrap_or_default();
    let app = house.app_folder();
    let url = house.url.clone();
    let folder = house.keep();
    title("Everything is left running.");
    say::line(format_args!("  the app           curl {url}/version"));
    say::line(format_args!("  in its directory  cd {}; export SWITCHOVER_STATE={}", app.display(), state.display()));
    say::line("  a new version     echo v4 > VERSION; : > SICK; switchover deploy --wait");
    say::line("  a look, and back  switchover status; switchover rollback --wait");
    say::line(format_args!("  the end           pkill -f {}; rm -r {}", folder.display(), folder.display()));
}

#[cfg(test)]
mod tests {
    use switchover_model::Timestamp;
    use switchover_model::seam::Evidence;

    use super::*;

    fn window(since_last: u64, in_flight_before: u64, in_flight_after: u64) -> Receipt {
        Receipt {
            release: ReleaseId(1),
            from: Timestamp::from_micros(1),
            to: Timestamp::from_micros(2),
            closed: true,
            evidence: Evidence::EveryRequest,
            accepted_since_last: since_last,
            since_last: switchover_model::receipt::Between::default(),
            lost_since_last: 0,
            in_flight_before,
            accepted: 10,
            by_revision: BTreeMap::new(),
            own: BTreeMap::new(),
            aborted: 0,
            lost_with_router: 0,
            in_flight_after,
            balanced: true,
            lost: 0,
            switches: Vec::new(),
            steps: Vec::new(),
            restore_point: None,
            hooks: Vec::new(),
            judged: Vec::new(),
        }
    }

    #[test]
    fn windows_meet_when_nothing_came_and_nothing_ended_between_them() {
        assert!(windows_meet(&[window(0, 0, 7), window(0, 7, 0)]));
        assert!(!windows_meet(&[window(0, 0, 7), window(0, 6, 0)]), "one was answered between them");
        assert!(!windows_meet(&[window(0, 0, 7), window(1, 7, 0)]), "one came and one ended between them");
    }
}
