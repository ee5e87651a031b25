//! How an experiment is reported.

use expect_test::expect;
use switchover_model::config::{Better, Undecided};
use switchover_model::decimal::Decimal;
use switchover_model::evidence::{Side, Verdict};
use switchover_model::experiment::{Conversions, Ending, ExperimentSaid, GoalAnswer, GoalRule, GoalVerdict, SplitSaid};
use switchover_model::{ReleaseId, RevisionId, Span};

use super::*;

fn report() -> ExperimentReport {
    let at = |seconds: u64| Timestamp::from_micros(1_700_000_000_000_000) + Span::from_secs(seconds);
    let part = |points: i64| Decimal::from_millionths(points * 100);
    let course: Vec<Value> = (0..3_u64)
        .map(|nth| {
            let (low, high) = (0.02 * nth as f64, 0.2);
            serde_json::json!({ "at": at(nth * 60).as_micros(), "effect": 0.1, "interval": { "low": low, "high": high } })
        })
        .collect();
    ExperimentReport {
        schema_version: 1,
        app: "shop".parse().unwrap(),
        release: ReleaseId(4),
        revision: RevisionId(2),
        from: Some(RevisionId(1)),
        share: "50%".parse().unwrap(),
        began_at: Some(at(0)),
        until: Some(at(120)),
        ended_at: Some(at(121)),
        lasts: Span::from_secs(3_600),
        undecided: Undecided::Drop,
        ending: Some(Ending::Won),
        promoted_by: None,
        outcome: None,
        looks: 3,
        rules: vec![GoalRule {
            name: "<checkout>".to_owned(),
            request: Some("POST /checkout 2xx".to_owned()),
            number: None,
            primary: true,
            better: Better::Higher,
            effect: part(100),
        }],
        said: ExperimentSaid {
            new: 1_003,
            old: 997,
            goals: vec![GoalSaid {
                name: "<checkout>".to_owned(),
                verdict: GoalVerdict::Won,
                new: Conversions { clients: 152, requests: 180 },
                old: Conversions { clients: 51, requests: 60 },
                effect: Some(part(1_004)),
                low: part(400),
                high: part(1_600),
                why: "15.15 % of 1003 clients against 5.12 % of 997".to_owned(),
                is_blind: false,
                answers: Vec::new(),
                evidence: serde_json::json!({ "more": { "course": course } }),
            }],
            split: Some(SplitSaid {
                verdict: Verdict::Inconclusive,
                why: "50.15 % of 2000 clients came to the new revision, where 50% were to".to_owned(),
            }),
            anew: 1,
        },
    }
}

#[test]
fn a_report_is_a_table_with_its_verdicts() {
    let report = report();
    let lines = experiment::lines(&report, None, report.ended_at.unwrap(), &TimeZone::UTC);
    expect![[r#"
        experiment of release 4 of shop: r2 against r1, 50% of the clients
        ran from 22:13:20 to 22:15:21 (2m 1s of at most 1h)
        won: all clients go to the new revision

        goal                             better  variant  clients  reached it     rate  requests  effect  interval (95 %)  verdict
        <checkout> (POST /checkout 2xx)  higher  r1           997          51   5.12 %        60
                                                 r2          1003         152  15.15 %       180  +10.04  +4.00 to +16.00  won

        <checkout> (primary): won, 15.15 % of 1003 clients against 5.12 % of 997
        split: not seen to be off, 50.15 % of 2000 clients came to the new revision, where 50% were to
        the router began to count anew once: what it had counted before is left out"#]].assert_eq(&lines.join("\n"));
}

#[test]
fn one_that_a_person_ended_says_who() {
    let of = |ending, undecided| {
        let by = Some("ann".to_owned());
        let report = ExperimentReport {
            ending: Some(ending),
            undecided,
            promoted_by: by,
            lasts: Span::from_secs(60),
            ..report()
        };
        experiment::head(&report, report.ended_at.unwrap(), &TimeZone::UTC)[1..].join("\n")
    };
    expect![[r#"
        ran from 22:13:20 to 22:15:21 (2m 1s of at most 1m, then a person was asked)
        its time was over, and nothing was proven; promoted by ann"#]]
    .assert_eq(&of(Ending::TimeOver, Undecided::Ask));
    expect![[r#"
        ran from 22:13:20 to 22:15:21 (2m 1s of at most 1m)
        promoted by ann"#]]
    .assert_eq(&of(Ending::Promoted, Undecided::Drop));
}

#[test]
fn a_page_holds_all_of_it_and_needs_nothing_else() {
    let report = report();
    let page = page(&report, report.ended_at.unwrap(), &TimeZone::UTC);
    assert!(page.contains("&lt;checkout&gt;") && !page.contains("<checkout>"));
    assert!(page.contains("<td>1003<td>152<td>15.15 %<td>180") && page.contains("<polygon points=\"60.0,"));
    for foreign in ["http", "<script", "src=", "url("] {
        assert!(!page.contains(foreign), "{foreign}");
    }
}

/// The same where the goal's number is asked for.
fn asked() -> ExperimentReport {
    let mut report = report();
    (report.rules[0].request, report.rules[0].number) = (None, Some("buyers <$REVISION>".to_owned()));
    let goal = &mut report.said.goals[0];
    (goal.new.requests, goal.old.requests) = (0, 0);
    goal.answers = [(Side::New, 163, Some(11)), (Side::Old, 951, None)]
        .map(|(side, answer, before)| GoalAnswer {
            side,
            at: report.until.unwrap(),
            asked: format!("buyers of {side:?}"),
            answer: format!("{answer}\u{7}"),
            before,
        })
        .to_vec();
    report
}

#[test]
fn a_goal_whose_number_is_asked_for_shows_where_it_comes_from() {
    let report = asked();
    let lines = experiment::lines(&report, None, report.ended_at.unwrap(), &TimeZone::UTC);
    expect![[r#"
        goal        better  variant  clients  reached it     rate  requests  effect  interval (95 %)  verdict
        <checkout>  higher  r1           997          51   5.12 %         -
                            r2          1003         152  15.15 %         -  +10.04  +4.00 to +16.00  won

        <checkout> (primary): won, 15.15 % of 1003 clients against 5.12 % of 997
          its number: buyers <$REVISION>
          r2, asked at 22:15:20: buyers of New answered 163 ; 11 of them from before
          r1, asked at 22:15:20: buyers of Old answered 951 "#]]
    .assert_eq(&lines[4..12].join("\n"));
    let page = page(&report, report.ended_at.unwrap(), &TimeZone::UTC);
    assert!(page.contains("<p><code>its number: buyers &lt;$REVISION&gt;</code></p>"), "{page}");
    assert!(page.contains("<td>1003<td>152<td>15.15 %<td>-"), "{page}");
}
