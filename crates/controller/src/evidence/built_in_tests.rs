use switchover_model::seam::LeftOut;

use super::*;

const NEW: RevisionId = RevisionId(2);
const OLD: RevisionId = RevisionId(1);

fn compared() -> Compared {
    let rule = ShadowRule { alpha: Probability::new(0.001).unwrap(), enough: 100, tolerate: 0 };
    Compared { rule, revision: NEW, before: ShadowSeen::none(NEW), last: None }
}

fn seen(equal: u64, differing: u64) -> ShadowSeen {
    let mut seen = ShadowSeen::none(NEW);
    (seen.sampled, seen.equal, seen.differing) = (equal + differing, equal, differing);
    if let Some(field) = seen.field("body /price").filter(|_| differing > 0) {
        field.differs = differing;
    }
    seen
}

fn take(compared: &mut Compared, seen: ShadowSeen) {
    compared.take(&Look { shadow: Some(Box::new(seen)), ..Look::default() });
}

#[test]
fn what_a_router_compared_that_is_gone_counts_on() {
    let mut all = compared();
    take(&mut all, seen(70, 0));
    take(&mut all, seen(80, 0));
    assert_eq!(all.verdict(false).verdict, Verdict::Inconclusive);
    take(&mut all, seen(30, 0));
    let said = all.verdict(false);
    assert_eq!(said.verdict, Verdict::Pass, "80 and 30: {said:?}");
    take(&mut all, ShadowSeen { revision: OLD, ..seen(0, 900) });
    assert_eq!(all.verdict(false), said, "another revision's are none");
}

#[test]
fn a_router_that_has_compared_more_before_anybody_looked_is_another_one_all_the_same() {
    let mut all = compared();
    take(&mut all, ShadowSeen { since: 1, ..seen(40, 40) });
    let next = ShadowSeen { since: 2, ..seen(200, 0) };
    assert!(!all.news(Some(&next)).unwrap().1, "what differed before counts");
    take(&mut all, next);
    assert_eq!(all.verdict(false).verdict, Verdict::Fail);
}

#[test]
fn news_are_what_came_since_and_decisive_where_the_answer_is_another_one() {
    let mut all = compared();
    assert_eq!(all.news(None), None);
    assert_eq!(all.news(Some(&seen(50, 0))), Some((seen(50, 0), false)));
    take(&mut all, seen(50, 0));
    assert_eq!(all.news(Some(&seen(50, 0))), None, "nothing came since");
    assert!(all.news(Some(&seen(100, 0))).unwrap().1, "enough");
    assert!(all.news(Some(&seen(50, 20))).unwrap().1, "proven to differ");
}

#[test]
fn a_verdict_tells_its_fields_within_the_bounds() {
    use switchover_model::seam::ShadowExample;

    let mut many = seen(0, 200);
    for number in 0..40 {
        let field = many.field(&format!("body /{number}")).unwrap();
        let example = ShadowExample { request: "GET /".into(), live: "1".into(), shadow: "2".into() };
        (field.differs, field.examples) = (200, vec![example; 3]);
    }
    many.leave_out(LeftOut::Busy);
    let mut all = compared();
    take(&mut all, many.for_the_record());
    let said = all.verdict(true);
    assert_eq!((said.verdict, said.detail.len()), (Verdict::Fail, DETAIL_LINES));
    assert!(said.detail.last().unwrap().contains("fields more"), "{:?}", said.detail);
    assert!(said.detail.iter().any(|line| line.ends_with("such as GET /: 1, r2 2")), "{:?}", said.detail);
    assert!(said.evidence.to_string().len() < 20_000);
}

#[test]
fn whatever_may_raise_a_false_alarm_has_its_part_of_the_rate() {
    let tests = |release: &str| {
        let file = format!("name = \"shop\"\n[process.web]\ncommand = \"x\"\n[release]\n{release}");
        let config =
            switchover_model::config::parse(&file, "switchover.toml", std::path::Path::new("/")).expect("a file");
        tests(&config, 2, 3)
    };
    let experiment = "strategy = \"ab\"\n[release.experiment]\nshare = \"50%\"\nfor = \"7d\"\n\
                      [[release.goal]]\nname = \"buys\"\nrequest = \"POST /buy 2xx\"\n";
    let shadow = "[release.shadow]\nshare = \"10%\"\nfor = \"5m\"\n";
    assert_eq!(tests("strategy = \"linear\"\n"), 6, "of each step and process type one");
    assert_eq!(tests(&format!("strategy = \"linear\"\n{shadow}")), 7);
    assert_eq!(tests(experiment), trying::TESTS);
    assert_eq!(tests(&format!("{experiment}{shadow}")), trying::TESTS + 1);
}
