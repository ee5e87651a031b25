//! Apps whose environment cannot be read: they rewrite their title over it (nginx, setproctitle) or are started with an
//! empty one. They are known by what their shim has recorded.

#![expect(clippy::unwrap_used, reason = "what cannot be read is a failed test")]

mod process_bed;

use std::time::Instant;

use process_bed::{DEADLINE, EXECUTABLE, LOOK, ProcessBed, bed, eventually, has_variable, kill};
use rustix::process::Signal;
use switchover_model::seam::{InstanceSeen, Role};
use switchover_model::{RevisionId, Slot};

/// A command whose process carries nothing but `kept` in its environment; its arguments name the bed.
fn blank(bed: &ProcessBed, kept: &str, faults: &str) -> String {
    format!("exec env -i PATH=\"$PATH\" {kept} {EXECUTABLE} app says={} {faults}", bed.dir.path().display())
}

/// What the shim of an instance says.
fn status(bed: &ProcessBed, instance: &InstanceSeen) -> serde_json::Value {
    // Two copies, each with a checksum and a number before it: the newer one counts.
    let status = std::fs::read_to_string(bed.instance_dir(instance).join("status")).unwrap();
    let (one, other) = status.split_at(status.len() / 2);
    let copies = [one, other].map(|copy| copy.split_once(' ').and_then(|(_, copy)| copy.split_once(' ')));
    let (_, newest) = copies.into_iter().flatten().max_by_key(|(number, _)| (*number).to_owned()).unwrap();
    serde_json::from_str(newest).unwrap()
}

/// The main process in a status.
fn main_pid(status: &serde_json::Value) -> i32 {
    status["life"]["process"]["pid"].as_i64().unwrap().try_into().unwrap()
}

#[tokio::test]
async fn a_killed_shim_is_replaced_and_no_second_copy_of_the_app_starts() {
    let bed = bed().await;
    let revision = bed.sealed(&bed.web_config(&blank(&bed, "PORT=$PORT", "")), 1).await;
    bed.ensure(&revision, Slot::Blue, 1).await;
    let before = bed.until_healthy(1).await;
    let (said, shim) = (status(&bed, &before[0]), bed.shim_pid(&before[0]).unwrap());
    let app = main_pid(&said);
    assert!(!has_variable(app, "SWITCHOVER_INSTANCE", before[0].id.as_str()), "it carries no mark");
    kill(shim, Signal::KILL);
    let is_said_anew = || {
        let now = status(&bed, &before[0]);
        now != said && now["life"]["life"] == "running"
    };
    eventually("another shim has found the app or started one", is_said_anew).await;
    assert_eq!(main_pid(&status(&bed, &before[0])), app);
    let after = bed.until_healthy(1).await;
    assert_eq!(after, before, "the same process on the same port, healthy all the time");

    // The new shim does all of a shim's work.
    kill(app, Signal::KILL);
    let again = bed.until("it is back", |seen| matches!(seen, [one] if one.restarts == 1)).await;
    assert_eq!(again[0].id, before[0].id);
    bed.until_healthy(1).await;
    bed.end().await;
}

#[tokio::test]
async fn a_worker_that_holds_the_lease_is_not_taken_for_the_one_that_stands_by() {
    let bed = bed().await;
    let kept = "SWITCHOVER_LEASE=\"$SWITCHOVER_LEASE\" SWITCHOVER_ROLE_FILE=\"$SWITCHOVER_ROLE_FILE\"";
    let command = blank(&bed, kept, "leased");
    let config = bed.config(&format!(
        "[process.mailer]\ncommand = {command:?}\nhandover = \"lease\"\nstop = {{ grace = \"2s\" }}\n"
    ));
    let revision = bed.sealed(&config, 1).await;
    assert_eq!(revision.id, RevisionId(1));
    for (slot, role) in [(Slot::Blue, Role::Active), (Slot::Green, Role::Standby)] {
        bed.ensure_as(&revision, slot, 1, role).await;
    }
    let seen = bed.until_healthy(2).await;
    let of = |seen: &[InstanceSeen], slot| seen.iter().find(|it| it.slot == slot).unwrap().clone();
    let blue = of(&seen, Slot::Blue);
    eventually("blue holds the lease", || bed.log_of(&blue).contains("working")).await;
    let seen = bed.observe().await.instances;
    assert_eq!((of(&seen, Slot::Blue).role, of(&seen, Slot::Green).role), (Role::Active, Role::Standby));

    // Told to stand by, it is active until it has let go, and only it.
    bed.ensure_as(&revision, Slot::Blue, 1, Role::Standby).await;
    let deadline = Instant::now() + DEADLINE;
    loop {
        let seen = bed.observe().await.instances;
        assert_eq!(of(&seen, Slot::Green).role, Role::Standby);
        if of(&seen, Slot::Blue).role == Role::Standby {
            break;
        }
        assert!(Instant::now() < deadline, "{seen:#?}");
        tokio::time::sleep(LOOK).await;
    }
    eventually("blue says that it let go", || bed.log_of(&blue).contains("standing by")).await;
    bed.end().await;
}
