//! The report of an experiment as one page of HTML that needs nothing else: no script, no other file, no network.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use serde_json::Value;
use switchover_model::experiment::{ExperimentReport, GoalRule, GoalSaid};
use switchover_model::{Span, Timestamp};

use super::experiment;

/// Size of a drawing, in its own units.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 220.0;
/// Room at its left and below for words.
const LEFT: f64 = 60.0;
const BELOW: f64 = 24.0;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#1a1a1a;background:#fff}\
table{border-collapse:collapse;margin:1em 0}th,td{padding:.3em .8em;border-bottom:1px solid #ccc;text-align:right}\
th:first-child,td:first-child{text-align:left}svg{max-width:100%;height:auto}.won{color:#0a6b2d}.lost{color:#a3161a}\
@media(prefers-color-scheme:dark){body{color:#e8e8e8;background:#161616}.won{color:#5fd38d}.lost{color:#ff8a8a}}";

/// The page.
pub(crate) fn page(report: &ExperimentReport, now: Timestamp, zone: &TimeZone) -> String {
    let title = format!("Experiment of release {} of {}", report.release, report.app);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n<h1>{title}</h1>\n"
    );
    for line in experiment::head(report, now, zone) {
        let _ = writeln!(page, "<p>{}</p>", escaped(&line));
    }
    for (said, rule) in report.said.goals.iter().zip(&report.rules) {
        let primary = if rule.primary { " (primary)" } else { "" };
        let _ = writeln!(
            page,
            "<h2>{}{primary}: <span class=\"{1}\">{1}</span></h2>",
            escaped(&said.name),
            said.verdict.name()
        );
        if let Some(request) = &rule.request {
            let _ = writeln!(page, "<p><code>{}</code></p>", escaped(request));
        }
        page += &variants(report, (said, rule));
        let _ = writeln!(page, "<p>{}</p>", escaped(&said.why));
        for line in experiment::numbers(report, (said, rule), now, zone) {
            let _ = writeln!(page, "<p><code>{}</code></p>", escaped(&line));
        }
        page += &course(said);
    }
    if let Some(split) = &report.said.split {
        let _ = writeln!(page, "<h2>Split: {}</h2>\n<p>{}</p>", experiment::holds(split), escaped(&split.why));
    }
    let _ = writeln!(
        page,
        "<p>From {} at what was counted. Intervals hold at every moment at once, but for a chance of 5 %.</p>\n</html>",
        if report.looks == 1 { "1 look".to_owned() } else { format!("{} looks", report.looks) }
    );
    page
}

fn variants(report: &ExperimentReport, (said, rule): (&GoalSaid, &GoalRule)) -> String {
    let mut rows = "<table><tr><th>variant<th>clients<th>reached it<th>rate<th>requests</tr>\n".to_owned();
    for (variant, clients, counted) in
        [(experiment::old(report), report.said.old, said.old), (report.revision.to_string(), report.said.new, said.new)]
    {
        let rate = if clients == 0 {
            "-".to_owned()
        } else {
            format!("{:.2} %", counted.clients as f64 / clients as f64 * 100.0)
        };
        let _ = writeln!(
            rows,
            "<tr><td>{variant}<td>{clients}<td>{}<td>{rate}<td>{}</tr>",
            counted.clients,
            experiment::requests(rule, counted.requests)
        );
    }
    rows + "</table>\n"
}

/// One point of the interval over time: when, the effect, and where it lies.
struct Point {
    at: f64,
    effect: Option<f64>,
    low: f64,
    high: f64,
}

fn points(evidence: &Value) -> Vec<Point> {
    let course = evidence["more"]["course"].as_array().map_or(&[][..], Vec::as_slice);
    let point = |point: &Value| {
        let interval = &point["interval"];
        Some(Point {
            at: point["at"].as_f64()?,
            effect: point["effect"].as_f64(),
            low: interval["low"].as_f64()?,
            high: interval["high"].as_f64()?,
        })
    };
    course.iter().filter_map(point).collect()
}

/// The interval over time: a band, the effect as a line in it, and nothing at all as a dashed one.
fn course(said: &GoalSaid) -> String {
    let points = points(&said.evidence);
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return String::new() };
    // The first moments know nothing: what is drawn is as wide as what was known in the end, and a bit.
    let reach = points.last().map_or(1.0, |last| last.low.abs().max(last.high.abs())).clamp(0.001, 1.0) * 1.6;
    let long = (last.at - first.at).max(1.0);
    let x = |at: f64| LEFT + (at - first.at) / long * (WIDTH - LEFT);
    let y = |part: f64| (HEIGHT - BELOW) * (0.5 - part.clamp(-reach, reach) / (2.0 * reach));
    let line = |of: &dyn Fn(&Point) -> Option<f64>| {
        let places = points.iter().filter_map(|point| Some(format!("{:.1},{:.1}", x(point.at), y(of(point)?))));
        places.collect::<Vec<_>>()
    };
    let mut band = line(&|point| Some(point.high));
    band.extend(line(&|point| Some(point.low)).into_iter().rev());
    let effect = line(&|point| point.effect);
    let (none, ends) = (y(0.0), reach * 100.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time that went by, in microseconds")]
    let looked = Span::from_micros(long as u64).rounded();
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"the interval of the effect over time\">\n\
         <polygon points=\"{}\" fill=\"#4a7dbd\" fill-opacity=\".3\"/>\n\
         <polyline points=\"{}\" fill=\"none\" stroke=\"#4a7dbd\" stroke-width=\"2\"/>\n\
         <line x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{none:.1}\" y2=\"{none:.1}\" stroke=\"currentColor\" stroke-dasharray=\"4 4\"/>\n\
         <g font-size=\"12\" fill=\"currentColor\"><text x=\"0\" y=\"12\">{ends:+.1}</text>\
         <text x=\"0\" y=\"{none:.1}\">no effect</text><text x=\"0\" y=\"{:.1}\">{:+.1} points</text>\
         <text x=\"{WIDTH}\" y=\"{HEIGHT}\" text-anchor=\"end\">{looked} of looks</text></g>\n</svg>\n",
        band.join(" "),
        effect.join(" "),
        HEIGHT - BELOW,
        -ends,
    )
}

/// Text that stands in HTML as itself.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            _ => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
#[path = "experiment_tests.rs"]
mod tests;
