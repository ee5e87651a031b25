//! An event as it is stored.

use serde::Deserialize;
use switchover_model::evidence::{Look, Watch};
use switchover_model::record::Event;

/// How a look begins.
const LOOKED: &str = r#"{"event":"looked","#;

/// Reads an event. Looks are most of what is ever read: where one begins with its tag, as it is written, its parts are not kept aside
/// until the tag is known, as they are for the others.
pub(crate) fn read(text: &str) -> serde_json::Result<Event> {
    #[derive(Deserialize)]
    struct Looked {
        watch: Watch,
        look: Box<Look>,
    }
    if text.starts_with(LOOKED) {
        let Looked { watch, look } = serde_json::from_str(text)?;
        return Ok(Event::Looked { watch, look });
    }
    serde_json::from_str(text)
}

#[cfg(test)]
mod tests {
    use switchover_model::config::During;
    use switchover_model::evidence::{NumberSeen, Side};
    use switchover_model::histogram::Histogram;
    use switchover_model::seam::{ArmMeasured, Part};
    use switchover_model::{ReleaseId, RevisionId, Timestamp};

    use super::*;

    #[test]
    fn a_look_is_read_as_it_was_written_like_any_other_event() {
        let at = Timestamp::from_micros;
        let latency = Histogram::from(vec![(3, 2), (900, u64::MAX)]);
        let arm = ArmMeasured {
            latency,
            answered: [0, 5, 0, 0, u64::MAX],
            ..ArmMeasured::none(RevisionId(4), "web".parse().expect("a name"), Part::Share)
        };
        let number = NumberSeen {
            check: 1,
            side: Side::New,
            at: at(5),
            asked: "lag".to_owned(),
            answer: "\"0.1\"".to_owned(),
            value: Some(0.1),
        };
        let look = Look { from: at(1), until: at(9), arms: vec![arm], numbers: vec![number], ..Look::default() };
        let watch = Watch { release: ReleaseId(3), during: During::Shift, since: at(1), length: None, step: Some(2) };
        let looked = Event::Looked { watch, look: Box::new(look) };
        let stopped = Event::RouterRestarted { lost: [(RevisionId(1), 2)].into() };
        for event in [looked.clone(), stopped] {
            let text = serde_json::to_string(&event).expect("written");
            assert_eq!(text.starts_with(LOOKED), event == looked, "{text}");
            assert_eq!(read(&text).expect("read"), event);
            assert_eq!(serde_json::from_str::<Event>(&text).expect("read"), event);
        }
        assert!(read(r#"{"event":"looked","look":{}}"#).is_err());
    }
}
