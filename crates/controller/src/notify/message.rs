//! What is told, as JSON: the shape that Standard Webhooks recommend (specification, "Payload structure").

use jiff::Timestamp as Moment;
use serde_json::{Value, json};
use switchover_model::view::SCHEMA_VERSION;
use switchover_model::{AppName, Problem, Timestamp};
use switchover_rollout::Notice;

/// The longest text of a cause, in characters: messages stay below the 20 kB that the specification recommends.
const TEXT: usize = 2_000;

/// The id of a message: the same for every try, another one for every event. No full stop is in it, as the signature asks.
pub(super) fn id(app: &AppName, notice: &Notice) -> String {
    format!("{app}-{}-{}", notice.sequence, notice.at.as_micros())
}

/// The message itself, as it is sent and signed.
pub(super) fn body(app: &AppName, notice: &Notice) -> String {
    json!({
        "type": format!("release.{}", notice.what),
        "timestamp": moment(notice.at),
        "data": {
            "schema_version": SCHEMA_VERSION,
            "app": app,
            "release": notice.release,
            "revision": notice.revision,
            "from": notice.from,
            "slot": notice.slot,
            "stage": notice.stage,
            "cause": notice.cause.as_ref().map(cause),
        },
    })
    .to_string()
}

fn cause(problem: &Problem) -> Value {
    let cut = |text: &str| text.chars().take(TEXT).collect::<String>();
    json!({ "code": problem.code, "cause": cut(&problem.cause), "next": cut(&problem.next) })
}

/// RFC 3339, UTC.
fn moment(at: Timestamp) -> String {
    let micros = i64::try_from(at.as_micros()).unwrap_or(i64::MAX);
    Moment::from_microsecond(micros).map_or_else(|_| at.as_micros().to_string(), |moment| moment.to_string())
}
