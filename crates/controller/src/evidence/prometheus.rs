//! What a Prometheus server answers to an instant query (its HTTP API, `GET /api/v1/query`): one number, or why there is none.

use serde_json::Value;

/// The furthest that a sample's time may be from the one asked for (seconds). A server gives the moment of the evaluation; those that
/// speak its language may take an earlier one, and clocks differ. Prometheus itself looks back so far for a series' newest sample.
const FURTHEST_SECONDS: f64 = 300.0;

/// The number of an answer that is one sample, or a scalar, of `moment` (seconds since 1970).
///
/// Errors: why it is none, in words. A query that finds nothing, finds several series, gives NaN or infinity, or is answered with a
/// sample of another time (a kept answer, a wrong clock) or with a warning (a part of the servers did not answer) says nothing.
pub(super) fn number(status: u16, body: &str, moment: f64) -> Result<f64, String> {
    let answer: Value = serde_json::from_str(body).map_err(|_| "the answer is not JSON".to_owned())?;
    if answer["status"] != "success" {
        let error = answer["error"].as_str().unwrap_or("it does not say why");
        return Err(format!("the query failed: {error}"));
    }
    if !(200..300).contains(&status) {
        return Err(format!("its status is {status}"));
    }
    if let Some(warning) = answer["warnings"].as_array().and_then(|warnings| warnings.first()) {
        let told = warning.as_str().unwrap_or("it does not say of what");
        return Err(format!("it warns that the answer may lack a part: {told}"));
    }
    let data = &answer["data"];
    let sample = match (data["resultType"].as_str(), &data["result"]) {
        (Some("scalar"), sample) => sample,
        (Some("vector"), Value::Array(series)) => match &series[..] {
            [one] => &one["value"],
            [] => return Err("the query found nothing".to_owned()),
            several => {
                return Err(format!("the query found {} series, and one number is needed: sum them up", several.len()));
            }
        },
        (Some(kind), _) => return Err(format!("the query gives a {kind}, and one number is needed")),
        (None, _) => return Err("the answer is none of a Prometheus server".to_owned()),
    };
    // A sample is its time and its value as a text.
    let (Some(time), Some(text)) = (sample[0].as_f64(), sample[1].as_str()) else {
        return Err("the answer is none of a Prometheus server".to_owned());
    };
    if (time - moment).abs() > FURTHEST_SECONDS {
        return Err(format!("the answer is of another time: {time:.0}, asked for {moment:.0} (seconds since 1970)"));
    }
    finite(text)
}

/// A text as a number that can be judged.
pub(super) fn finite(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(value) => Err(format!("{value} is no number that says anything")),
        Err(_) => Err("the answer is no number".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sample_is_a_number() {
        let vector = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1435781451.781,"0.25"]}]}}"#;
        assert_eq!(number(200, vector, 1_435_781_452.0), Ok(0.25));
        assert_eq!(
            number(200, r#"{"status":"success","data":{"resultType":"scalar","result":[1,"3e2"]}}"#, 2.0),
            Ok(300.0)
        );
    }

    #[test]
    fn a_number_with_a_status_of_failure_says_nothing() {
        let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"3"]}}"#;
        assert_eq!(number(500, scalar, 1.0), Err("its status is 500".to_owned()));
    }

    #[test]
    fn a_sample_of_another_time_says_nothing() {
        let at =
            |time: f64| format!(r#"{{"status":"success","data":{{"resultType":"scalar","result":[{time},"3"]}}}}"#);
        for (time, is_taken) in [(1000.0, true), (701.0, true), (1299.0, true), (699.0, false), (1301.0, false)] {
            assert_eq!(number(200, &at(time), 1000.0).is_ok(), is_taken, "{time}");
        }
    }

    #[test]
    fn whatever_else_it_answers_is_none_and_says_why() {
        let of = |result: &str| format!(r#"{{"status":"success","data":{{"resultType":"vector","result":{result}}}}}"#);
        for (body, why) in [
            (of("[]"), "found nothing"),
            (of(r#"[{"value":[1,"1"]},{"value":[1,"2"]}]"#), "2 series"),
            (of(r#"[{"value":[1,"NaN"]}]"#), "NaN"),
            (of(r#"[{"value":[1,"+Inf"]}]"#), "inf"),
            (of(r#"[{"value":[1,2]}]"#), "none of a Prometheus server"),
            (r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#.to_owned(), "parse error"),
            (r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#.to_owned(), "a matrix"),
            (r#"{"status":"success","warnings":["store down"],"data":{}}"#.to_owned(), "store down"),
            ("<html>".to_owned(), "not JSON"),
            ("{}".to_owned(), "failed"),
        ] {
            let told = number(200, &body, 1.0).unwrap_err();
            assert!(told.contains(why), "{body}: {told}");
        }
    }

    #[test]
    fn what_a_command_prints_is_a_number_or_nothing() {
        assert_eq!(finite(" 12.5\n"), Ok(12.5));
        for bad in ["", "NaN", "inf", "12 ms", "0x10"] {
            assert!(finite(bad).is_err(), "{bad}");
        }
    }
}
