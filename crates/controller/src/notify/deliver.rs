//! One try to tell somebody.

use std::sync::Arc;
use std::time::Duration;

use switchover_fetch::{Bounds, Client, Method, Request};
use switchover_model::config::Tells;
use switchover_model::seam::Builder;
use switchover_model::{AppName, Url};

use crate::clock;

use super::queue::{Due, Key, Outcome};
use super::sign::signature;

/// How long connecting may take, within a try's own time-out.
const CONNECT: Duration = Duration::from_secs(5);
/// The status that says: never again (Standard Webhooks, "Status codes").
const GONE: u16 = 410;

impl Due {
    /// One try.
    pub(super) async fn try_once(self, builder: Arc<dyn Builder>, client: Client, app: AppName) -> (Key, Outcome) {
        let outcome = self.outcome(&builder, &client, &app).await;
        (self.key, outcome)
    }

    async fn outcome(&self, builder: &Arc<dyn Builder>, client: &Client, app: &AppName) -> Outcome {
        let timeout = self.to.timeout;
        match &self.to.tells {
            Tells::Command { command } => match builder.tell(app, command, &self.body, timeout).await {
                Ok(()) => Outcome::Taken,
                Err(problem) => Outcome::Refused(problem.cause.trim_end_matches('.').to_owned()),
            },
            Tells::Webhook { url, secret } => {
                let secret = match builder.secret(self.secrets_file.as_deref(), secret).await {
                    Ok(secret) => secret,
                    Err(problem) => return Outcome::Refused(problem.cause.trim_end_matches('.').to_owned()),
                };
                let bounds = Bounds { whole: timeout.to_std(), connect: CONNECT, answer_bytes: 0 };
                self.post(client, url, &secret, bounds).await
            }
        }
    }

    async fn post(&self, client: &Client, url: &Url, secret: &str, bounds: Bounds) -> Outcome {
        // The moment of this try, not of the event (specification, "Webhook metadata").
        let seconds = clock::now().as_micros() / 1_000_000;
        let signature = match signature(secret, &self.key.id, seconds, &self.body) {
            Ok(signature) => signature,
            Err(error) => return Outcome::Refused(format!("the secret can not sign: {error}")),
        };
        let request = Request::new(Method::Post, url.clone()).body("application/json", self.body.clone());
        let request = request
            .field("webhook-id", &self.key.id)
            .and_then(|request| request.field("webhook-timestamp", &seconds.to_string()))
            .and_then(|request| request.field("webhook-signature", &signature));
        let request = match request {
            Ok(request) => request,
            Err(error) => return Outcome::Refused(error.to_string()),
        };
        // Its body says nothing more, however long it is or takes.
        match client.fetch_head(request, bounds).await {
            Ok(answer) if answer.is_success() => Outcome::Taken,
            Ok(answer) if answer.status == GONE => Outcome::Gone("it answered 410, which says never again".to_owned()),
            Ok(answer) => Outcome::Refused(format!("it answered with status {}", answer.status)),
            Err(error) => Outcome::Refused(error.to_string()),
        }
    }
}
