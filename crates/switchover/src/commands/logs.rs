use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use switchover_model::answer::{LogLine, LogNews, LogPlace};
use switchover_model::view::SCHEMA_VERSION;
use switchover_model::{InstanceId, ProcessName, Slot};

use crate::cli::Shared;
use crate::daemon::Trouble;
use crate::exit::Exit;
use crate::failure::Done;
use crate::say;
use crate::sse::{Lines, TooLong};

/// How long a daemon that went away is looked for again, and how often.
const AGAIN_TRIES: u32 = 60;
const AGAIN_PAUSE: Duration = Duration::from_secs(1);

/// Show what an app's instances print
///
/// Of the instances that run, one after the other; of ended ones, whose logs are kept for a while, with --all, by their
/// name with --instance, or when none runs.
///
/// With --json each line is one JSON object of its own: a log has no end that one object could wait for.
#[derive(Debug, clap::Args)]
pub(crate) struct Logs {
    /// Go on with new lines until Ctrl-C, which ends it with 0
    #[arg(short, long)]
    follow: bool,
    /// How many of the last lines, of each instance; 0 for none, with --follow only new ones are shown
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 100)]
    lines: u32,
    /// Also of instances that have ended
    #[arg(long)]
    all: bool,
    /// Of this slot alone
    #[arg(long, value_parser = slot)]
    slot: Option<Slot>,
    /// Of this process type alone
    #[arg(long, value_name = "NAME")]
    process: Option<ProcessName>,
    /// Of this instance alone
    #[arg(long, value_name = "ID")]
    instance: Option<InstanceId>,
}

fn slot(text: &str) -> Result<Slot, String> {
    Slot::BOTH.into_iter().find(|slot| slot.as_str() == text).ok_or_else(|| "the slots are blue and green".to_owned())
}

impl Logs {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let daemon = shared.daemon()?;
        let app = shared.app(&daemon).await?;
        let mut places = BTreeMap::new();
        let mut tries = 0;
        loop {
            let path = format!("/v1/apps/{app}/logs?{}", self.query(&places));
            let trouble = match daemon.stream(&path).await {
                Ok(mut stream) => {
                    let mut split = Lines::default();
                    loop {
                        let bytes = tokio::select! {
                            bytes = stream.next() => bytes,
                            _ = tokio::signal::ctrl_c() => return Ok(Exit::Succeeded),
                        };
                        match bytes {
                            Ok(Some(bytes)) => {
                                tries = 0;
                                match split.push(&bytes) {
                                    Ok(lines) => lines.iter().for_each(|line| tell(shared, line, &mut places)),
                                    Err(TooLong) => break Trouble::Broken("a line without an end".to_owned()),
                                }
                            }
                            Ok(None) if !self.follow => return Ok(Exit::Succeeded),
                            Ok(None) => break Trouble::Broken("the log ended".to_owned()),
                            Err(trouble) => break trouble,
                        }
                    }
                }
                Err(trouble) => trouble,
            };
            let away = !matches!(trouble, Trouble::Answered(..));
            if !(self.follow
                && away
                && tries < AGAIN_TRIES
                && (tries > 0 || !places.is_empty() || matches!(trouble, Trouble::Broken(_))))
            {
                return Err(daemon.failure(trouble));
            }
            tries += 1;
            tokio::select! {
                () = tokio::time::sleep(AGAIN_PAUSE) => {}
                _ = tokio::signal::ctrl_c() => return Ok(Exit::Succeeded),
            }
        }
    }

    /// `places`: what was told before the daemon went away.
    fn query(&self, places: &BTreeMap<InstanceId, LogPlace>) -> String {
        let mut query = format!("lines={}&follow={1}&places={1}&all={2}", self.lines, self.follow, self.all);
        for (separator, place) in std::iter::once("&after=").chain(std::iter::repeat(",")).zip(places.values()) {
            query += &format!("{separator}{place}");
        }
        if let Some(slot) = self.slot {
            query += &format!("&slot={slot}");
        }
        if let Some(process) = &self.process {
            query += &format!("&process={process}");
        }
        if let Some(instance) = &self.instance {
            query += &format!("&instance={instance}");
        }
        query
    }
}

/// What `--json` prints of a line.
#[derive(Debug, Serialize)]
struct LineView {
    schema_version: u32,
    #[serde(flatten)]
    log: LogLine,
}

fn tell(shared: &Shared, line: &str, places: &mut BTreeMap<InstanceId, LogPlace>) {
    match serde_json::from_str::<LogNews>(line) {
        Ok(LogNews::Place(place)) => {
            places.insert(place.instance.clone(), place);
        }
        Ok(LogNews::Gone { gone }) => {
            places.remove(&gone);
        }
        Ok(LogNews::Line(log)) if shared.json => say::json_line(&LineView { schema_version: SCHEMA_VERSION, log }),
        Ok(LogNews::Line(log)) => {
            say::line(format_args!("{} {} | {}", log.slot, log.instance, say::printable(&log.line)));
        }
        // The log goes on, but it is not whole.
        Err(error) => say::error(format_args!("a line of the log could not be understood and is left out: {error}")),
    }
}
