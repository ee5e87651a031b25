use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use switchover_judge::score::{self, Classification, Found, MetricScore, Values};
use switchover_model::config::Mistake;
use switchover_model::view::SCHEMA_VERSION;

use crate::app_file;
use crate::cli::Shared;
use crate::exit::Exit;
use crate::failure::{Done, Failure};
use crate::say;
use crate::show::table::Table;

/// Score metrics of a new version beside the old one's, as Kayenta does
///
/// --config FILE says how: thresholds, weights of groups, and for each metric which change is bad. DATA is a JSON file with the values of
/// each metric: { "p99": { "baseline": [120, 131], "canary": [119, null] } }. Ends with 0 for a pass, and with 3 for marginal, fail and no data.
#[derive(Debug, clap::Args)]
pub(crate) struct Score {
    /// The values, as a JSON file
    #[arg(value_name = "DATA")]
    data: PathBuf,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct ScoreView<'a> {
    schema_version: u32,
    #[serde(flatten)]
    score: &'a score::Score,
}

/// The longest file of values that is read: a hundred metrics of the most values, and more.
const LONGEST_DATA: u64 = 16 << 20;

impl Score {
    pub(crate) fn run(self, shared: &Shared) -> Done {
        let Some(file) = &shared.config else {
            return Err(Failure::wrong(
                "SCORE-CONFIG-UNSAID",
                "What is scored, and how, is not said.",
                "Name the file with --config FILE; docs/judge.md shows one.",
            ));
        };
        let config = score::parse(&app_file::text(Some(file))?.1, &file.display().to_string())?;
        let values = values(&self.data)?;
        let score = score::score(&config, &values).map_err(|error| {
            let name = self.data.display();
            Failure::wrong(
                "SCORE-DATA-WRONG",
                format!("{name} does not go with {}: {error}.", file.display()),
                "Name the same metrics in both; docs/judge.md shows the two files.",
            )
        })?;
        if shared.json {
            say::json(&ScoreView { schema_version: SCHEMA_VERSION, score: &score });
        } else {
            tell(&score);
        }
        Ok(match score.classification {
            Classification::Pass => Exit::Succeeded,
            Classification::Marginal | Classification::Fail | Classification::NoData => Exit::Refused,
        })
    }
}

fn values(path: &Path) -> Result<Values, Failure> {
    let unread = |error: std::io::Error| {
        Failure::wrong(
            "SCORE-DATA-UNREADABLE",
            format!("{} cannot be read: {error}.", path.display()),
            "Name a file that is there and that this user may read.",
        )
    };
    let mut text = Vec::new();
    let file = std::fs::File::open(path).map_err(unread)?;
    file.take(LONGEST_DATA + 1).read_to_end(&mut text).map_err(unread)?;
    if text.len() as u64 > LONGEST_DATA {
        return Err(unread(std::io::Error::other("it is longer than 16 MiB")));
    }
    let text = String::from_utf8(text).map_err(|_| unread(std::io::Error::other("it is not UTF-8")))?;
    serde_json::from_str(&text).map_err(|error| {
        // Its line and column; of an empty file both are 0.
        let line = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
        let at = line + error.column().saturating_sub(1);
        let cause = error.to_string();
        let cause = cause.split(" at line ").next().unwrap_or_default();
        let write = "write { \"p99\": { \"baseline\": [120, 131], \"canary\": [119, null] } }".to_owned();
        vec![Mistake::at(&text, &path.display().to_string(), &(at..at + 1), format!("{cause}."), write)].into()
    })
}

fn tell(score: &score::Score) {
    let mut metrics =
        Table::new(&["METRIC", "GROUP", "FOUND", "RATIO", "SHIFT", "FROM", "TO", "P", "VALUES"], &[3, 4, 5, 6, 7, 8]);
    for metric in &score.metrics {
        metrics.row(cells(metric));
    }
    metrics.lines_within(say::width()).into_iter().for_each(say::line);
    say::line("");
    let mut groups = Table::new(&["GROUP", "WEIGHT", "SCORE"], &[1, 2]);
    for group in &score.groups {
        groups.row([say::printable(&group.group), number(Some(group.weight)), number(group.score)]);
    }
    groups.lines_within(say::width()).into_iter().for_each(say::line);
    say::line("");
    let classification = match score.classification {
        Classification::Pass => "pass",
        Classification::Marginal => "marginal",
        Classification::Fail => "fail",
        Classification::NoData => "no data",
    };
    say::sentence(format_args!("{classification}, score {}: {}", number(score.score), say::printable(&score.why)));
}

fn cells(metric: &MetricScore) -> [String; 9] {
    let found = match metric.found {
        Found::Pass => "pass",
        Found::High => "high",
        Found::Low => "low",
        Found::NoData => "no data",
        Found::NoDataFail => "no data, fails",
    };
    let critical = if metric.critical { " (critical)" } else { "" };
    [
        say::printable(&metric.metric),
        say::printable(&metric.group),
        format!("{found}{critical}"),
        number(metric.ratio),
        number(metric.shift),
        number(metric.interval.map(|(low, _)| low)),
        number(metric.interval.map(|(_, high)| high)),
        metric.p.map_or_else(|| "-".to_owned(), |p| format!("{p:.4}")),
        format!("{}/{}", metric.values.0, metric.values.1),
    ]
}

/// With at most three digits after the point; `-` of nothing.
fn number(value: Option<f64>) -> String {
    value.map_or_else(
        || "-".to_owned(),
        |value| format!("{value:.3}").trim_end_matches('0').trim_end_matches('.').to_owned(),
    )
}
