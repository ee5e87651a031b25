//! What copies of an app's requests told, for people.

use console::style;
use switchover_model::Timestamp;
use switchover_model::seam::{FieldSeen, ShadowSeen};
use switchover_model::view::ReleaseView;

/// Fields that are named; the rest is in `--json`.
const FIELDS_SHOWN_MAX: usize = 10;

/// What came of them, and in what the answers differed beyond noise.
pub(crate) fn lines(seen: &ShadowSeen) -> Vec<String> {
    let left_out: u64 = seen.left_out.values().sum();
    let on_their_way = seen.sampled.saturating_sub(seen.dropped + seen.compared() + left_out);
    let mut told = format!("copied to {}: {} sampled", seen.revision, seen.sampled);
    if seen.compared() > 0 {
        told += &format!(", {} compared ({} equal, {} different)", seen.compared(), seen.equal, seen.differing);
    }
    if seen.dropped > 0 {
        told += &format!(", {} answered and dropped", seen.dropped);
    }
    if left_out > 0 {
        let whys: Vec<String> = seen.left_out.iter().map(|(why, count)| format!("{} {count}", why.name())).collect();
        told += &format!(", left out {left_out} ({})", whys.join(", "));
    }
    if on_their_way > 0 {
        told += &format!(", {on_their_way} on their way");
    }
    let mut lines = vec![told];
    let mut fields: Vec<(&str, &FieldSeen)> = seen.differences().collect();
    fields.sort_by_key(|(_, seen)| std::cmp::Reverse(seen.differs));
    lines.extend(fields.iter().take(FIELDS_SHOWN_MAX).map(|(field, of)| {
        let example = of.examples.first().map(|example| {
            format!(", such as {}: {}, {} {}", example.request, example.live, seen.revision, example.shadow)
        });
        format!("  {field}: {} differ{}", of.differs, example.unwrap_or_default())
    }));
    let more = fields.len().saturating_sub(FIELDS_SHOWN_MAX);
    if more > 0 || seen.unnamed > 0 {
        lines.push(format!("  and {more} fields more, {} differences in fields that are not named", seen.unnamed));
    }
    lines
}

/// `shadow: copies of 10% of the requests for 2m 10s, 7m 50s to go`; nothing for a release without one.
pub(crate) fn line(release: &ReleaseView, now: Timestamp) -> Option<String> {
    let shadow = release.shadow.as_ref()?;
    let share = shadow.share.map(|share| format!("copies of {share} of the requests")).unwrap_or_default();
    let told = match (shadow.decided_at, shadow.in_force_at, shadow.left_at) {
        (None, _, _) => format!("{share}, then the shift"),
        (Some(_), Some(since), Some(left)) => format!("done in {}", left.since(since).rounded()),
        (Some(_), None, Some(_)) => "never seen to be made".to_owned(),
        (Some(_), None, None) => format!("{share} not made yet"),
        (Some(_), Some(since), None) => {
            let rest = match shadow.until {
                Some(until) if until > now => format!(", {} to go", until.since(now).rounded()),
                Some(_) => ", its time is over".to_owned(),
                None if release.paused => ", held".to_owned(),
                None => String::new(),
            };
            format!("{share} for {}{rest}", now.since(since).rounded())
        }
    };
    Some(format!("{} {told}", style("shadow:").dim()))
}

/// What is added to what a release waits for: how long copies are made at least.
pub(crate) fn waited_for(release: &ReleaseView) -> Option<String> {
    let shadow = release.shadow.as_ref().filter(|shadow| shadow.left_at.is_none())?;
    let (until, since) = shadow.until.zip(shadow.in_force_at)?;
    let share = shadow.share.map(|share| format!("{share} of the requests, ")).unwrap_or_default();
    Some(format!("{share}{} at least", until.since(since).rounded()))
}

/// Whether answers are compared now.
pub(crate) fn is_on(release: &ReleaseView) -> bool {
    release.shadow.as_ref().is_some_and(|shadow| shadow.decided_at.is_some() && shadow.left_at.is_none())
}
