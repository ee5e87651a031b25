//! What copies of an app's requests told, for people.

use switchover_model::seam::{FieldSeen, ShadowSeen};

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
