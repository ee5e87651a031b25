//! An app's news as they come, also over a restart of the daemon.

use std::collections::VecDeque;
use std::time::Duration;

use switchover_model::AppName;
use switchover_model::record::Record;
use switchover_model::view::StatusView;
use tokio::time::{Instant, sleep_until, timeout_at};

use hyper::StatusCode;

use crate::daemon::{Daemon, Stream, Trouble};
use crate::failure::Failure;
use crate::sse::Events;

/// How long a daemon that went away, or has no place for another follower, is waited for.
const AWAY_LIMIT: Duration = Duration::from_secs(60);
/// The first pause between two attempts to find it again; each is twice the one before, up to `LONGEST_PAUSE`.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Silence after which the connection counts as dead: the daemon sends a comment each 10 s.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// Something to tell.
#[derive(Debug)]
pub(crate) enum News {
    /// The app as it stands.
    Status(Box<StatusView>),
    /// A record of its journal; each comes once, in order.
    Record(Box<Record>),
    /// The daemon went away; it is waited for.
    Away,
    /// It is back.
    Back,
}

/// Follows one app. `next` may be dropped at any await and called again: nothing is lost by it.
#[derive(Debug)]
pub(crate) struct Follow {
    daemon: Daemon,
    app: AppName,
    after: u64,
    stream: Option<(Stream, Events)>,
    pending: VecDeque<News>,
    away_since: Option<Instant>,
    /// There was no place for another follower.
    full_since: Option<Instant>,
    pause: Duration,
    retry_at: Instant,
    heard_at: Instant,
}

impl Follow {
    /// News after the record with sequence `after`.
    pub(crate) fn new(daemon: Daemon, app: AppName, after: u64) -> Self {
        let now = Instant::now();
        Self {
            daemon,
            app,
            after,
            stream: None,
            pending: VecDeque::new(),
            away_since: None,
            full_since: None,
            pause: FIRST_PAUSE,
            retry_at: now,
            heard_at: now,
        }
    }

    /// The next news. Errors: the daemon was away for too long, or refuses to tell.
    pub(crate) async fn next(&mut self) -> Result<News, Failure> {
        loop {
            if let Some(news) = self.pending.pop_front() {
                return Ok(news);
            }
            let trouble = match &mut self.stream {
                None => {
                    sleep_until(self.retry_at).await;
                    match self.open().await {
                        Ok(()) => continue,
                        // Too many follow it now: a place becomes free. What was asked for goes on meanwhile.
                        Err(Trouble::Answered(StatusCode::TOO_MANY_REQUESTS, _)) if self.may_wait_for_a_place() => {
                            continue;
                        }
                        Err(trouble @ Trouble::Answered(..)) => return Err(self.daemon.failure(trouble)),
                        Err(trouble) => trouble,
                    }
                }
                Some((stream, events)) => match timeout_at(self.heard_at + SILENCE_LIMIT, stream.next()).await {
                    Ok(Ok(Some(bytes))) => {
                        self.heard_at = Instant::now();
                        match events.push(&bytes) {
                            Ok(found) => {
                                for event in found {
                                    self.take(&event.kind, &event.data);
                                }
                                continue;
                            }
                            Err(_) => Trouble::Broken("a line without an end".to_owned()),
                        }
                    }
                    Ok(Ok(None)) => Trouble::Broken("the events ended".to_owned()),
                    Ok(Err(trouble)) => trouble,
                    Err(_) => Trouble::Broken("the events fell silent".to_owned()),
                },
            };
            self.stream = None;
            match self.away_since {
                None => {
                    self.away_since = Some(Instant::now());
                    self.pause = FIRST_PAUSE;
                    self.retry_at = Instant::now() + self.pause;
                    return Ok(News::Away);
                }
                Some(since) if since.elapsed() > AWAY_LIMIT => return Err(self.daemon.failure(trouble)),
                Some(_) => {
                    self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                    self.retry_at = Instant::now() + self.pause;
                }
            }
        }
    }

    /// Whether it is asked again whether there is a place; sets when.
    fn may_wait_for_a_place(&mut self) -> bool {
        let since = *self.full_since.get_or_insert_with(Instant::now);
        self.retry_at = Instant::now() + LONGEST_PAUSE;
        since.elapsed() <= AWAY_LIMIT
    }

    async fn open(&mut self) -> Result<(), Trouble> {
        let path = format!("/v1/apps/{}/events?after={}&status=true", self.app, self.after);
        let stream = self.daemon.stream(&path).await?;
        self.stream = Some((stream, Events::default()));
        self.heard_at = Instant::now();
        self.full_since = None;
        if self.away_since.take().is_some() {
            self.pending.push_back(News::Back);
        }
        Ok(())
    }

    fn take(&mut self, kind: &str, data: &str) {
        match kind {
            "status" => {
                if let Ok(status) = serde_json::from_str(data) {
                    self.pending.push_back(News::Status(status));
                }
            }
            "record" => {
                // A newer daemon may write records that this program does not know: they are left out.
                if let Ok(record) = serde_json::from_str::<Box<Record>>(data)
                    && record.sequence > self.after
                {
                    self.after = record.sequence;
                    self.pending.push_back(News::Record(record));
                }
            }
            // Other kinds are for others.
            _ => {}
        }
    }
}
