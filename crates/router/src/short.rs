//! What is seen of an app, with its latencies written short.
//!
//! They are by far the most of such an answer, which is asked for many times a second: told as pairs in JSON, reading them costs
//! more than all else that is done with it. So who says that it understands this gets each as one text, `bucket:count` by
//! `bucket:count`; who does not (a daemon of an earlier version) gets pairs.

use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use switchover_model::histogram::Histogram;
use switchover_model::seam::{ArmMeasured, TrafficSeen};

/// How a line begins that is written so.
pub(crate) const BEGIN: &[u8] = br#"{"answer":"seen-short","#;

#[derive(Serialize, Deserialize)]
struct Short {
    answer: Tag,
    /// Of each arm that is measured, in turn; the arms themselves tell of none.
    latencies: Vec<String>,
    seen: TrafficSeen,
}

#[derive(Serialize, Deserialize)]
enum Tag {
    #[serde(rename = "seen-short")]
    SeenShort,
}

/// What is seen as a line, without its end.
pub(crate) fn write(mut seen: TrafficSeen) -> serde_json::Result<Vec<u8>> {
    let latencies = arms(&mut seen).iter_mut().map(|arm| text(&std::mem::take(&mut arm.latency))).collect();
    serde_json::to_vec(&Short { answer: Tag::SeenShort, latencies, seen })
}

/// What [`write`] has written.
pub(crate) fn read(line: &[u8]) -> serde_json::Result<TrafficSeen> {
    let Short { latencies, mut seen, .. } = serde_json::from_slice(line)?;
    let arms = arms(&mut seen);
    if arms.len() != latencies.len() {
        let (arms, latencies) = (arms.len(), latencies.len());
        return Err(serde_json::Error::custom(format!("latencies of {latencies} arms are told, and {arms} arms")));
    }
    for (arm, latency) in arms.iter_mut().zip(&latencies) {
        let read = histogram(latency);
        arm.latency = read.ok_or_else(|| serde_json::Error::custom("a latency is no `bucket:count`"))?;
    }
    Ok(seen)
}

fn arms(seen: &mut TrafficSeen) -> &mut [ArmMeasured] {
    seen.measured.as_mut().map(|measured| &mut measured.arms[..]).unwrap_or_default()
}

/// `3:2 9:1`.
fn text(latency: &Histogram) -> String {
    let mut text = String::with_capacity(8 * latency.counts().len());
    for (bucket, count) in latency.counts() {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(itoa::Buffer::new().format(*bucket));
        text.push(':');
        text.push_str(itoa::Buffer::new().format(*count));
    }
    text
}

fn histogram(text: &str) -> Option<Histogram> {
    let mut counts: Vec<(u16, u64)> = Vec::with_capacity(text.len() / 4);
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        let bucket = number(&mut rest, b':')?;
        let count = number(&mut rest, b' ')?;
        counts.push((u16::try_from(bucket).ok()?, count));
    }
    Some(Histogram::from(counts))
}

/// Takes a number and what stands behind it: `end`, or nothing at the end of all.
fn number(rest: &mut &[u8], end: u8) -> Option<u64> {
    let mut number = None;
    while let Some((&byte, after)) = rest.split_first() {
        *rest = after;
        if byte == end {
            break;
        }
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number = Some(number.unwrap_or(0_u64).checked_mul(10)?.checked_add(digit.into())?);
    }
    number
}

#[cfg(test)]
mod tests {
    use switchover_model::histogram::BUCKETS;
    use switchover_model::seam::{Measured, Part};
    use switchover_model::{RevisionId, Timestamp};

    use super::*;

    fn seen(latencies: &[Histogram]) -> TrafficSeen {
        let arm = |(number, latency): (u32, &Histogram)| ArmMeasured {
            latency: latency.clone(),
            ..ArmMeasured::none(RevisionId(number), "web".parse().expect("a name"), Part::Share)
        };
        let arms = (1..).zip(latencies).map(arm).collect();
        let measured = Measured { at: Timestamp::from_micros(5), epoch: 3, arms, ..Measured::default() };
        let in_flight = [(RevisionId(2), 7)].into();
        TrafficSeen { measured: Some(measured), in_flight, ..TrafficSeen::default() }
    }

    #[test]
    fn what_is_written_short_is_read_as_it_was() {
        let full = (0..u16::try_from(BUCKETS).expect("few")).map(|bucket| (bucket, u64::MAX - u64::from(bucket)));
        let full = Histogram::from(full.collect::<Vec<_>>());
        let few = Histogram::from(vec![(3, 2), (9, 1)]);
        assert_eq!(text(&few), "3:2 9:1");
        for seen in [TrafficSeen::default(), seen(&[]), seen(&[few, Histogram::default(), full])] {
            let line = write(seen.clone()).expect("written");
            assert!(line.starts_with(BEGIN), "{}", String::from_utf8_lossy(&line));
            assert_eq!(read(&line).expect("read"), seen);
        }
    }

    #[test]
    fn what_is_not_written_so_is_refused() {
        let line = write(seen(&[Histogram::from(vec![(3, 2)])])).expect("written");
        let line = String::from_utf8(line).expect("text");
        assert!(line.contains(r#""3:2""#) && read(line.as_bytes()).is_ok(), "{line}");
        let too_large = format!("3:{}0", u64::MAX);
        for broken in ["3", "3:", ":", "3:2:1", "3 2", "-3:2", "70000:2", "3:2,9:1", "3:2  9:1", "3:2 9", &too_large] {
            let broken = line.replace(r#""3:2""#, &format!("\"{broken}\""));
            assert!(read(broken.as_bytes()).is_err(), "{broken}");
        }
        assert!(read(line.replace(r#"["3:2"]"#, "[]").as_bytes()).is_err(), "an arm is left out");
        assert!(read(line.replace(r#"["3:2"]"#, r#"["3:2",""]"#).as_bytes()).is_err(), "an arm too many");
    }
}
