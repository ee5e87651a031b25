//! What a person sees, as snapshots.

use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use switchover_model::receipt::{Between, OwnLedger, Receipt, RevisionLedger, SwitchReceipt};
use switchover_model::release::{Outcome, ReleaseKind, Stage};
use switchover_model::revision::Digest;
use switchover_model::seam::{Evidence, InstanceSeen, Phase, Role};
use switchover_model::view::{
    PreviewView, ReleaseView, SCHEMA_VERSION, SlotView, StageState, StageView, StatusView, WayBack,
};
use switchover_model::{Problem, ReleaseId, RevisionId, Share, Slot, Span, Timestamp};

use super::release::Pace;
use super::status::{Frame, picture};
use super::{history, receipt, release};

/// 2023-11-14 22:13:20 UTC, plus `millis`.
fn at(millis: u64) -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000) + Span::from_millis(millis)
}

#[expect(clippy::needless_pass_by_value, reason = "expect! makes a value")]
fn check(lines: Vec<String>, expected: Expect) {
    expected.assert_eq(&lines.join("\n"));
}

fn stage(stage: Stage, from: u64, to: Option<u64>, state: StageState, note: Option<&str>) -> StageView {
    StageView { stage, entered_at: at(from), left_at: to.map(at), state, note: note.map(str::to_owned) }
}

fn under_way() -> ReleaseView {
    ReleaseView {
        release: ReleaseId(7),
        kind: ReleaseKind::Deploy,
        revision: RevisionId(5),
        from: Some(RevisionId(4)),
        slot: Some(Slot::Green),
        by: "ann".into(),
        opened_at: at(0),
        stages: vec![
            stage(Stage::Build, 0, Some(2_100), StageState::Done, Some("sealed 0123456789ab")),
            stage(Stage::Provision, 2_100, Some(2_438), StageState::Done, Some("2/2 web healthy")),
            stage(Stage::Verify, 2_438, None, StageState::Running, Some("hook ./smoke.sh")),
        ],
        steps: Vec::new(),
        waiting: Some("hook ./smoke.sh".into()),
        at_gate: false,
        waits_for_window: false,
        opens_at: None,
        paused: false,
        undoing: false,
        switched_at: None,
        outcome: None,
        settled_at: None,
        hooks: Vec::new(),
        checks: None,
        judged: Vec::new(),
        shadow: None,
    }
}

fn undone() -> ReleaseView {
    let cause = Problem::new("HEALTH-NEVER-GREEN", "web was not healthy within 4s.", "Look at the lines.");
    ReleaseView {
        release: ReleaseId(6),
        stages: vec![
            stage(Stage::Build, 0, Some(100), StageState::Done, None),
            stage(Stage::Provision, 100, Some(4_200), StageState::Failed, Some("0/1 web healthy")),
        ],
        waiting: None,
        outcome: Some(Outcome::Aborted { cause: Some(cause) }),
        settled_at: Some(at(5_000)),
        ..under_way()
    }
}

fn instance(id: &str, process: &str, phase: Phase) -> InstanceSeen {
    InstanceSeen {
        id: id.parse().unwrap(),
        slot: Slot::Blue,
        revision: RevisionId(4),
        process: process.parse().unwrap(),
        role: Role::Active,
        address: None,
        phase,
        restarts: 0,
        unanswered_since: None,
        answered_since: None,
    }
}

fn status() -> StatusView {
    let healthy = || Phase::Healthy { since: at(0) };
    let blue = SlotView {
        revision: Some(RevisionId(4)),
        artifact: Some(Digest("0123456789abcdef".into())),
        share: Some(Share::ALL),
        instances: vec![
            instance("a", "mailer", healthy()),
            instance("b", "web", healthy()),
            instance("c", "web", Phase::Starting { since: at(0), last: Some("refused\u{1b}[31m".into()) }),
        ],
        in_flight: 12,
        upgrades: 3,
    };
    StatusView {
        schema_version: SCHEMA_VERSION,
        app: "shop".parse().unwrap(),
        sequence: 40,
        live: Some(Slot::Blue),
        slots: BTreeMap::from([(Slot::Blue, blue), (Slot::Green, SlotView::default())]),
        releases: vec![under_way()],
        way_back: WayBack::Instant { to: RevisionId(3), until: Some(at(3_600_000)), ailing: None },
        hosts: vec!["shop.example.com".parse().unwrap()],
        url: Some("http://127.0.0.1:8080".into()),
        preview: Some(PreviewView {
            host: "preview.shop.example.com".parse().unwrap(),
            token: "t0ken".into(),
            slot: Some(Slot::Green),
        }),
        schema: None,
        problems: vec![Problem::new("HEALTH-LOST", "web c is ill.", "Look at it.").with_detail(vec!["boom".into()])],
        unknown: vec!["the router could not be asked".into()],
        notes: vec![
            Problem::new("INSTANCE-KILLED", "web a was killed.", "Let it end.").with_detail(vec!["busy".into()]),
        ],
    }
}

#[test]
fn a_release_is_a_tree_of_its_stages() {
    check(
        release::tree(&under_way(), false, at(3_000), Pace::Moving),
        expect![[r#"
        release 7: r4 -> r5 to green, deploy by ann
          ✓ build        2.1 s  sealed 0123456789ab
          ✓ provision   338 ms  2/2 web healthy
          ⠇ verify      562 ms  hook ./smoke.sh
          · shift
          · bake
          · retire
          waits: hook ./smoke.sh"#]],
    );
    check(
        release::tree(&undone(), false, at(9_000), Pace::Moving),
        expect![[r#"
        release 6: r4 -> r5 to green, deploy by ann, aborted
          ✓ build       100 ms
          ✗ provision    4.1 s  0/1 web healthy"#]],
    );
}

#[test]
fn the_stages_of_the_schema_are_to_come_only_where_there_is_one() {
    let mut release = under_way();
    release.stages.truncate(1);
    let to_come = |release: &ReleaseView, has_schema| {
        let lines = release::tree(release, has_schema, at(3_000), Pace::Still);
        lines.iter().filter_map(|line| line.strip_prefix("  · ")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(to_come(&release, false), ["provision", "verify", "shift", "bake", "retire"]);
    let all = ["expand", "provision", "verify", "shift", "bake", "retire", "contract"];
    assert_eq!(to_come(&release, true), all);
    // One that went through expand has a schema, whether the database can be asked now or not.
    release.stages.push(stage(Stage::Expand, 2_438, None, StageState::Running, None));
    assert_eq!(to_come(&release, false), all[1..]);
}

#[test]
fn a_verify_stage_without_a_hook_took_no_time_worth_telling() {
    let mut release = under_way();
    release.stages[2] = stage(Stage::Verify, 2_438, Some(2_438), StageState::Done, None);
    let tree = release::tree(&release, false, at(3_000), Pace::Still);
    assert_eq!(tree[3], "  ✓ verify              nothing to verify");
    release.stages[2].note = Some("hook ./smoke.sh passed in 0 ms".to_owned());
    assert!(release::tree(&release, false, at(3_000), Pace::Still)[3].contains("0 us  hook"));
}

#[test]
fn a_status_shows_both_slots_and_the_way_back() {
    let zone = jiff::tz::TimeZone::UTC;
    let frame =
        |width| Frame { now: at(3_000), zone: &zone, width, last_switch: Some(Span::from_micros(3_400)), newest: None };
    check(
        picture(&status(), &frame(100)),
        expect![[r#"
        shop  at http://127.0.0.1:8080, for shop.example.com

        ╭─ blue: live ───────────────────────╮   ╭─ green: empty ─────────────────────╮
        │ r4  0123456789ab                   │   │ empty                              │
        │ 100 % of the requests              │   │                                    │
        │ mailer 1/1 healthy                 │   │                                    │
        │ web 1/2 healthy, starting: refused │   │                                    │
        │ 12 in flight, 3 upgrades           │   │                                    │
        ╰────────────────────────────────────╯   ╰────────────────────────────────────╯

        release 7: r4 -> r5 to green, deploy by ann
          ✓ build        2.1 s  sealed 0123456789ab
          ✓ provision   338 ms  2/2 web healthy
          ▸ verify      562 ms  hook ./smoke.sh
          · shift
          · bake
          · retire
          waits: hook ./smoke.sh

        a rollback now: one switch to r3, about 3.4 ms; warm until 23:13:20
        preview of green: host preview.shop.example.com, header X-Switchover-Preview: t0ken
        note: INSTANCE-KILLED: web a was killed. Let it end.
            | busy
        unknown: the router could not be asked
        ! HEALTH-LOST: web c is ill.
            | boom
            next: Look at it."#]],
    );
    let narrow = picture(&status(), &frame(30));
    let boxes: Vec<&String> = narrow.iter().filter(|line| line.starts_with('╭')).collect();
    assert_eq!(boxes.len(), 2, "boxes stand below each other where there is no room: {narrow:#?}");
}

#[test]
fn a_slot_is_not_said_to_be_warm_for_a_bake_that_has_not_begun() {
    let zone = jiff::tz::TimeZone::UTC;
    let told = |stage: Stage| {
        let mut release = under_way();
        release.stages.last_mut().expect("it has begun").stage = stage;
        let way_back = WayBack::Instant { to: RevisionId(4), until: None, ailing: None };
        let status = StatusView { releases: vec![release], way_back, ..status() };
        let frame = Frame { now: at(9_000), zone: &zone, width: 100, last_switch: None, newest: None };
        picture(&status, &frame).into_iter().find(|line| line.starts_with("a rollback now")).unwrap_or_default()
    };
    assert_eq!(told(Stage::Shift), "a rollback now: one switch to r4; warm while its traffic moves");
    assert_eq!(told(Stage::Bake), "a rollback now: one switch to r4; warm while the release bakes");
}

#[test]
fn a_newest_release_that_did_not_stay_is_told_with_why_in_the_status() {
    let zone = jiff::tz::TimeZone::UTC;
    let newest = undone();
    let status = StatusView { releases: Vec::new(), ..status() };
    let told = |newest| {
        let frame = Frame { now: at(9_000), zone: &zone, width: 100, last_switch: None, newest: Some(newest) };
        let lines = picture(&status, &frame);
        let from = lines.iter().position(|line| line.starts_with("release 6")).unwrap_or(lines.len());
        lines[from..].iter().take_while(|line| !line.is_empty()).cloned().collect::<Vec<_>>()
    };
    check(
        told(&newest),
        expect![[r#"
            release 6: r4 -> r5 to green, deploy by ann, aborted: HEALTH-NEVER-GREEN at 22:13:25
              web was not healthy within 4s.
              next: Look at the lines. Its numbers: `switchover receipt 6`."#]],
    );
    let by_a_person = ReleaseView { outcome: Some(Outcome::Aborted { cause: None }), ..undone() };
    assert_eq!(told(&by_a_person), ["release 6: r4 -> r5 to green, deploy by ann, aborted at 22:13:25"]);
    let stayed = ReleaseView { outcome: Some(Outcome::Succeeded { proven: true }), ..undone() };
    assert!(told(&stayed).is_empty());
}

#[test]
fn a_release_at_its_gate_says_what_opens_it_and_where_to_look() {
    let waiting = ReleaseView { at_gate: true, ..under_way() };
    check(
        release::gate(&status(), &waiting),
        expect![[r#"
            `switchover promote` lets it through, `switchover abort` takes it back
            look at it first: curl -H 'Host: preview.shop.example.com' -H 'X-Switchover-Preview: t0ken' http://127.0.0.1:8080/"#]],
    );
    assert!(release::gate(&status(), &under_way()).is_empty());
}

#[test]
fn a_history_has_one_line_a_release_newest_first() {
    check(
        history::table(&[undone(), under_way()], None, at(9_000), &jiff::tz::TimeZone::UTC),
        expect![[r#"
        release  revision  what    by   asked     switched after  outcome
              7  r4 -> r5  deploy  ann  22:13:20                  in verify
              6  r4 -> r5  deploy  ann  22:13:20                  aborted: HEALTH-NEVER-GREEN"#]],
    );
}

#[test]
fn a_receipt_writes_its_sum_out() {
    let answered = |slot, upgrades, fine, broken| RevisionLedger {
        slot,
        answered: [upgrades, fine, 0, 2, broken],
        ..RevisionLedger::default()
    };
    let receipt = Receipt {
        release: ReleaseId(7),
        from: at(0),
        to: at(61_000),
        closed: true,
        evidence: Evidence::EveryRequest,
        in_flight_before: 3,
        accepted: 1_204,
        by_revision: BTreeMap::from([
            (RevisionId(4), answered(Some(Slot::Blue), 2, 600, 0)),
            // As it was told before slots were named.
            (RevisionId(5), answered(None, 1, 590, 1)),
        ]),
        own: BTreeMap::from([("no-healthy-instance".to_owned(), OwnLedger { count: 2, lost: 1 })]),
        aborted: 3,
        lost_with_router: 0,
        in_flight_after: 4,
        balanced: true,
        lost: 1,
        accepted_since_last: 1_204,
        since_last: Between::default(),
        lost_since_last: 1,
        restore_point: None,
        steps: Vec::new(),
        hooks: Vec::new(),
        judged: Vec::new(),
        switches: vec![SwitchReceipt {
            version: 9,
            from: Some(RevisionId(4)),
            to: RevisionId(5),
            decided_at: at(2_000),
            flipped_at: Some(at(2_003)),
            decision_to_flip: Some(Span::from_micros(3_100)),
            drain: Some(Span::from_millis(1_480)),
            upgrades_cut: 2,
            left: 0,
            first_on_new: Some(at(2_004)),
            last_on_old: Some(at(2_002)),
        }],
    };
    let app = "shop".parse().unwrap();
    check(
        receipt::tables(&app, &receipt, at(70_000), &jiff::tz::TimeZone::UTC),
        expect![[r#"
            receipt of release 7 of shop: 22:13:20 to 22:14:21 (1m 1s), closed
            rests on every request of users, counted by the router; those to the preview are not among them

            requests                                                    2xx  3xx  4xx  5xx  upgrades
            in flight before                                         3
            accepted                                              1204
            answered by r4 in blue                                 604  600    0    2    0         2
            answered by r5                                         594  590    0    2    1         1
            answered by the router: no-healthy-instance (1 lost)     2
            left by the client                                       3
            lost with a killed router                                0
            in flight after                                          4

            the sum closes; 1 request lost
            between the release before and this one: 1204 accepted, 1 lost

            switch r4 -> r5             22:13:22
              from decision to flip     3.1 ms
              first request on the new  1.0 ms after the flip
              last request on the old   1.0 ms before the flip
              drain                     1.4 s
              upgrades cut              2"#]],
    );

    let mut untold = receipt;
    untold.switches[0] = SwitchReceipt { first_on_new: None, last_on_old: None, ..untold.switches[0].clone() };
    let told = |receipt: &Receipt| receipt::tables(&app, receipt, at(70_000), &jiff::tz::TimeZone::UTC).join("\n");
    let lines = told(&untold);
    assert!(lines.contains("first request on the new  not known: it took requests before"), "{lines}");
    assert!(lines.contains("last request on the old   not known: it took requests again"), "{lines}");
    untold.switches[0].drain = None;
    assert!(told(&untold).contains("drain                     not seen yet"));
    let back =
        SwitchReceipt { version: 10, from: Some(RevisionId(5)), to: RevisionId(4), ..untold.switches[0].clone() };
    untold.switches.push(back);
    assert!(told(&untold).contains("drain                     not seen: it got its traffic back"));
    untold.by_revision.clear();
    assert!(told(&untold).contains("first request on the new  none"));
}
