//! Asking others for a number: Prometheus, a command of the app's, any URL. What comes is kept as it came.

use std::sync::Arc;

use futures_util::future::join_all;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use switchover_fetch::{Bounds, Client, Method, Request, without};
use switchover_model::config::{AppConfig, NumberFrom};
use switchover_model::evidence::{LONGEST_ANSWER, NumberSeen, Side};
use switchover_model::revision::Revision;
use switchover_model::seam::{Builder, NumberCall};
use switchover_model::{AppName, ReleaseId, Slot, Span, Timestamp, Url};

use super::prometheus;
use crate::bounds::{NUMBER_BYTES, NUMBER_CONNECT};

/// Who is asked about.
#[derive(Clone)]
pub(super) struct About {
    pub(super) side: Side,
    pub(super) slot: Slot,
    pub(super) revision: Revision,
    /// The moment in question; nothing: now.
    pub(super) moment: Option<Timestamp>,
}

/// One question to one provider, about one slot or both.
pub(super) struct Question {
    pub(super) app: AppName,
    pub(super) release: ReleaseId,
    pub(super) config: Arc<AppConfig>,
    pub(super) check: usize,
    pub(super) from: NumberFrom,
    pub(super) timeout: Span,
    pub(super) at: Timestamp,
    pub(super) about: Vec<About>,
    /// From when on a goal is counted; nothing where a check asks.
    pub(super) since: Option<Timestamp>,
}

impl Question {
    /// Asks about both slots at the same time, so that what is compared is of one moment. Bounded by the question's own time.
    pub(super) async fn ask(self, client: Client, builder: Arc<dyn Builder>) -> Vec<NumberSeen> {
        let each = self.about.iter().map(|about| async {
            let (asked, came) = self.one(about, &client, &*builder).await;
            let (answer, value) = match came {
                Ok((answer, Ok(value))) => (answer, Some(value)),
                Ok((answer, Err(why))) => (format!("{why}. It answered: {answer}"), None),
                Err(why) => (why, None),
            };
            let (check, side, at) = (self.check, about.side, self.at);
            NumberSeen { check, side, at, asked, answer: beginning(&answer), value }
        });
        join_all(each).await
    }

    /// What was asked, and the answer with its number, or why none came.
    async fn one(&self, about: &About, client: &Client, builder: &dyn Builder) -> (String, Came) {
        match &self.from {
            NumberFrom::Prometheus { url, query, token } => {
                let query = self.filled(query, about);
                let mut target = format!(
                    "{}/api/v1/query?query={}",
                    url.trim_end_matches('/'),
                    utf8_percent_encode(&query, NON_ALPHANUMERIC)
                );
                let mut asked = query;
                if let Some(moment) = about.moment.map(seconds) {
                    target.push_str(&format!("&time={moment}"));
                    asked.push_str(&format!(" @ {moment}"));
                }
                let moment = seconds(about.moment.unwrap_or(self.at)) as f64;
                // An error of the query comes with a status of its own, and says what is wrong in the same form.
                let number = |status, body: &str| prometheus::number(status, body, moment);
                (asked, self.fetch(&target, token.as_deref(), (client, builder), number).await)
            }
            NumberFrom::Url { url, token } => {
                let target = self.filled(url, about);
                let asked =
                    target.parse::<Url>().map_or_else(|_| "a URL that is none".to_owned(), |url| url.to_string());
                let number = |status: u16, body: &str| match status {
                    200..=299 => prometheus::finite(body),
                    status => Err(format!("its status is {status}")),
                };
                (asked, self.fetch(&target, token.as_deref(), (client, builder), number).await)
            }
            NumberFrom::Command { command } => {
                let call = NumberCall {
                    command: command.clone(),
                    timeout: self.timeout,
                    release: self.release,
                    check: self.check,
                    slot: about.slot,
                    since: self.since,
                };
                let printed = builder.number(&self.config, &about.revision, &call).await;
                let came = printed.map_err(|problem| problem.cause).map(|lines| {
                    let line = lines.iter().rev().find(|line| !line.trim().is_empty()).cloned().unwrap_or_default();
                    let number = prometheus::finite(&line);
                    (line, number)
                });
                (command.clone(), came)
            }
        }
    }

    /// Asks at `target`, and makes a number of the answer. What a server sends back of the token is left out.
    async fn fetch(
        &self,
        target: &str,
        token: Option<&str>,
        (client, builder): (&Client, &dyn Builder),
        number: impl Fn(u16, &str) -> Result<f64, String>,
    ) -> Came {
        let url = target.parse::<Url>().map_err(|error| format!("this is no URL: {error}"))?;
        let bounds = Bounds {
            whole: self.timeout.to_std(),
            connect: NUMBER_CONNECT.min(self.timeout.to_std()),
            answer_bytes: NUMBER_BYTES,
        };
        let mut request = Request::new(Method::Get, url);
        let mut secret = None;
        if let Some(name) = token {
            let token =
                builder.secret(self.config.secrets_file.as_deref(), name).await.map_err(|problem| problem.cause)?;
            request = request.bearer(&token).map_err(|error| error.to_string())?;
            secret = Some(token);
        }
        let shown = |text: &str| without(text, secret.as_deref());
        let answer = client.fetch(request, bounds).await.map_err(|error| shown(&error.to_string()))?;
        let text = answer.text();
        let number = number(answer.status, &text).map_err(|why| shown(&why));
        Ok((shown(&text), number))
    }

    /// `text` with what is asked about filled in. Names and numbers of ours hold no character that means anything in a query.
    fn filled(&self, text: &str, about: &About) -> String {
        let text =
            self.since.map_or_else(|| text.to_owned(), |since| text.replace("$SINCE", &seconds(since).to_string()));
        text.replace("$SLOT", &about.slot.to_string())
            .replace("$REVISION", &about.revision.id.to_string())
            .replace("$RELEASE", &self.release.to_string())
            .replace("$APP", self.app.as_str())
    }
}

/// Whole seconds since 1970.
fn seconds(moment: Timestamp) -> u64 {
    moment.as_micros() / 1_000_000
}

/// An answer with its number or why it is none; or why there is no answer.
type Came = Result<(String, Result<f64, String>), String>;

/// The beginning of a text, on one line.
fn beginning(text: &str) -> String {
    let line: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let end = line.floor_char_boundary(LONGEST_ANSWER.min(line.len()));
    line[..end].trim_end().to_owned()
}
