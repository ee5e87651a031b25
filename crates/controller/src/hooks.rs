//! Asking a hook: a command is the builder's to run, a server is asked over HTTP.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use switchover_fetch::{Answer, Bounds, Client, FetchError, Method, Request, without};
use switchover_model::config::{AppConfig, Asks, Hook, HookMethod, When};
use switchover_model::release::Stage;
use switchover_model::revision::Revision;
use switchover_model::seam::{Builder, HookAnswer, HookCall};
use switchover_model::view::SCHEMA_VERSION;
use switchover_model::{Problem, RevisionId, Url};

/// How long connecting to a hook's server may take, within the hook's own time-out.
const CONNECT: Duration = Duration::from_secs(10);
/// The longest answer of a hook's server, in bytes.
const ANSWER_BYTES: usize = 64 << 10;
/// The longest line of it that is kept, in characters.
const LINE: usize = 500;
/// The status that says not yet (RFC 9110 15.3.3: accepted, and processing is not completed).
const ACCEPTED: u16 = 202;

/// One question to a hook, with all that it is told.
pub(crate) struct Call {
    pub(crate) config: AppConfig,
    pub(crate) revision: RevisionId,
    /// The revision, when it is made.
    pub(crate) sealed: Option<Revision>,
    pub(crate) stage: Stage,
    /// Which try of the hook this question belongs to, from 1.
    pub(crate) number: u32,
    pub(crate) call: HookCall,
}

impl Call {
    /// Asks, and gives what was answered.
    ///
    /// # Errors
    /// It failed, did not answer in time, or could not be asked.
    pub(crate) async fn ask(self, builder: Arc<dyn Builder>, client: Client) -> Result<HookAnswer, Problem> {
        let Some(hook) = self.config.release.hooks.get(self.call.hook) else {
            let cause = format!("the app has no hook number {}.", self.call.hook);
            return Err(Problem::new("HOOK-MISSING", cause, "Look at `[[release.hook]]`, then deploy again."));
        };
        match (&hook.asks, &self.sealed) {
            (Asks::Command { .. }, Some(sealed)) => builder.hook(&self.config, sealed, &self.call).await,
            (Asks::Command { .. }, None) => {
                let cause =
                    format!("{} is not made, so there is no directory to run `{}` in.", self.revision, hook.asks);
                Err(Problem::new("REVISION-UNKNOWN", cause, "Deploy again."))
            }
            (Asks::Http { url, method, token }, _) => {
                let token = match token {
                    Some(name) => Some(builder.secret(self.config.secrets_file.as_deref(), name).await?),
                    None => None,
                };
                self.over_http(&client, hook, (*method, url), token.as_deref()).await
            }
        }
    }

    async fn over_http(
        &self,
        client: &Client,
        hook: &Hook,
        (method, url): (HookMethod, &Url),
        token: Option<&str>,
    ) -> Result<HookAnswer, Problem> {
        let what = format!("the {} hook `{}`", hook.stage, hook.asks);
        let request = self.request(hook, method, url, token).map_err(|error| {
            let cause = format!("{what} can not be asked: {error}.");
            Problem::new("HOOK-UNANSWERED", cause, "Look at the token in the secrets file.")
        })?;
        let whole = self.call.limit.to_std();
        let bounds = Bounds { whole, connect: CONNECT, answer_bytes: ANSWER_BYTES };
        match client.fetch(request, bounds).await {
            Ok(answer) => verdict(&answer, &what, token),
            Err(error) => Err(unanswered(&error, (&what, token), self.call.limit)),
        }
    }

    fn request(
        &self,
        hook: &Hook,
        method: HookMethod,
        url: &Url,
        token: Option<&str>,
    ) -> Result<Request, switchover_fetch::BadField> {
        let method = match method {
            HookMethod::Get => Method::Get,
            HookMethod::Post => Method::Post,
            HookMethod::Put => Method::Put,
        };
        let mut request = Request::new(method, url.clone());
        if method != Method::Get {
            request = request.body("application/json", self.facts(hook).to_string());
        }
        if let Some(token) = token {
            request = request.bearer(token)?;
        }
        request.field("idempotency-key", &self.key())
    }

    /// The same for every question of one try, so that a server knows what it was asked before.
    fn key(&self) -> String {
        format!("{}-{}-hook-{}-try-{}", self.config.name, self.call.release, self.call.hook + 1, self.number)
    }

    fn facts(&self, hook: &Hook) -> Value {
        let when = match hook.when {
            When::Before => "before",
            When::After => "after",
        };
        json!({
            "schema_version": SCHEMA_VERSION,
            "app": self.config.name,
            "release": self.call.release,
            "stage": self.stage,
            "when": when,
            "slot": self.call.slot,
            "revision": self.revision,
            "url": (!self.call.url.is_empty()).then_some(&self.call.url),
            "preview_host": self.call.preview_host,
            "key": self.key(),
        })
    }
}

fn verdict(answer: &Answer, what: &str, token: Option<&str>) -> Result<HookAnswer, Problem> {
    let lines = lines(answer, token);
    if answer.status == ACCEPTED {
        return Ok(HookAnswer::NotYet(lines));
    }
    if answer.is_success() {
        return Ok(HookAnswer::Passed(lines));
    }
    let cause = format!("{what} answered with status {}.", answer.status);
    let next = if lines.is_empty() { "See in its server's log why." } else { "Look at what it answered." };
    Err(Problem::new("HOOK-FAILED", cause, next).with_detail(lines))
}

/// The lines of an answer, without the token that a server may send back.
fn lines(answer: &Answer, token: Option<&str>) -> Vec<String> {
    let text = without(&answer.text(), token);
    text.lines().map(|line| line.chars().take(LINE).collect()).collect()
}

fn unanswered(error: &FetchError, (what, token): (&str, Option<&str>), limit: switchover_model::Span) -> Problem {
    match error {
        FetchError::TimedOut(_) => Problem::new(
            "HOOK-TIMED-OUT",
            format!("{what} was not answered within {limit}."),
            "Have it answer 202 while it works, or give it a longer `timeout`.",
        ),
        FetchError::Name { .. }
        | FetchError::Connect { .. }
        | FetchError::ConnectTimedOut { .. }
        | FetchError::Tls { .. }
        | FetchError::NoAuthorities
        | FetchError::BrokenOff(_)
        | FetchError::NotHttp(_)
        | FetchError::HeadTooLong
        | FetchError::TooLong(_)
        | FetchError::Redirected { .. } => Problem::new(
            "HOOK-UNANSWERED",
            format!("{what} was not answered: {}.", without(&error.to_string(), token)),
            "Look whether its server runs and the URL is right; `retries` tries it again.",
        ),
    }
}
