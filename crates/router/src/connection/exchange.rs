//! One request and its answer, both moving at once.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use switchover_http1::{Framing, Method, Progress, Refusal, ResponseHead, Version};
use tokio::io::ReadBuf;
use tokio::net::TcpStream;

use super::bounds::{ANSWER_HEAD_TIME, INFORMATIONAL_MAX, STREAM_IDLE_TIME};
use super::buffers::Inbound;
use super::flow::FlowError;
use super::lane_io::LaneIo;
use super::response_head::{self, BodyOut};
use super::roster::Seat;
use super::workbench::Workbench;
use crate::causes::OwnCause;
use crate::split::NewClient;

/// What of a request decides how its answer is handled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    pub(super) method: Method,
    pub(super) version: Version,
    pub(super) is_persistent: bool,
    /// The instance was asked to change the protocol.
    pub(super) asks_upgrade: bool,
    /// Its client may wait with the body until it is told to go on (RFC 9110 10.1.1).
    pub(super) expects_continue: bool,
    /// Whom the answer gives an id.
    pub(super) new_client: Option<NewClient>,
}

/// How an exchange ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The answer went to the client whole.
    Answered { status: u16, client_stays: bool, upstream_stays: bool },
    /// The instance answered 101; its head is read and not yet passed on.
    Switched,
    /// The client is gone, or stands still. `gave_up`: all of its request had been sent on, and it left an answer that has an end.
    ClientGone { gave_up: bool },
    /// The client broke the framing of its own request body.
    BodyRefused(Refusal),
    /// The client's body did not come in time.
    BodyTimedOut,
    /// No final answer came, and nothing of one was passed on. `untouched`: not a byte came from the instance.
    NoAnswer { cause: OwnCause, untouched: bool },
    /// The answer broke off after its head was passed on.
    Broken { status: u16 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The answer's head has not come whole.
    Head,
    /// A 1xx is on its way to the client.
    Informational,
    Body {
        status: u16,
        client_stays: bool,
        upstream_stays: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClientSide {
    /// Watched, so that it is noticed when it goes.
    Open,
    /// It has sent everything and waits for the answer like any other (RFC 9112 9.6).
    HalfClosed,
    /// It sends on (pipelining); nothing can be seen behind that.
    Busy,
}

/// One exchange between a client and an instance over connections that are there.
#[derive(Debug)]
pub(super) struct Exchange<'a> {
    io: &'a LaneIo,
    seat: &'a Seat,
    client: &'a mut TcpStream,
    inbound: &'a mut Inbound,
    upstream: &'a mut TcpStream,
    bench: &'a mut Workbench,
    facts: Facts,
    phase: Phase,
    upload_failed: bool,
    answer_began: bool,
    informational: u32,
    client_side: ClientSide,
    /// Its client may still wait for a word of the instance before it sends its body.
    may_wait_for_leave: bool,
    /// How long it has done so.
    waited_for_leave: Duration,
    /// The answer is a stream of events, which ends when its client has enough of it.
    is_endless: bool,
}

impl<'a> Exchange<'a> {
    /// `bench.upload` holds the request's head and knows its body.
    pub(super) fn new(
        io: &'a LaneIo,
        seat: &'a Seat,
        (client, inbound): (&'a mut TcpStream, &'a mut Inbound),
        upstream: &'a mut TcpStream,
        bench: &'a mut Workbench,
        facts: Facts,
    ) -> Self {
        Self {
            io,
            seat,
            client,
            inbound,
            upstream,
            bench,
            facts,
            phase: Phase::Head,
            upload_failed: false,
            answer_began: false,
            informational: 0,
            client_side: ClientSide::Open,
            may_wait_for_leave: facts.expects_continue,
            waited_for_leave: Duration::ZERO,
            is_endless: false,
        }
    }

    /// Runs it to its end. Every wait in it has a deadline, moved by every progress.
    ///
    /// Dropping the future half-way leaves both connections in an unknown state: they must be closed.
    pub(super) async fn run(mut self) -> Ended {
        if self.bench.upload.out.content.is_empty() {
            // An instance may think for long; only content that may have to be sent again is kept meanwhile.
            self.inbound.release(&self.io.buffers);
        }
        self.seat.allow(self.time_to_wait());
        poll_fn(|cx| {
            self.end_client_wait();
            let before = (self.progress(), self.waits_for_head());
            if let Poll::Ready(ended) = self.poll(cx) {
                return Poll::Ready(ended);
            }
            if before != (self.progress(), self.waits_for_head()) {
                self.seat.allow(self.time_to_wait());
            } else if self.seat.is_over() {
                return Poll::Ready(self.timed_out());
            }
            if self.waits_for_client() {
                self.bench.client_wait.begin(self.io);
            }
            self.seat.remember(cx);
            Poll::Pending
        })
        .await
    }

    fn progress(&self) -> (u32, u32, ClientSide) {
        (self.bench.upload.steps, self.bench.download.steps, self.client_side)
    }

    fn request_is_sent(&self) -> bool {
        self.upload_failed || self.bench.upload.is_over()
    }

    fn waits_for_head(&self) -> bool {
        self.phase == Phase::Head && self.request_is_sent()
    }

    /// Whether nothing but its client can move it on: that one has not taken what is there of the answer, or has not sent the
    /// rest of its body, and the instance has taken all that came.
    fn waits_for_client(&self) -> bool {
        let Workbench { upload, download, .. } = &*self.bench;
        !download.out.is_flushed() || (!self.request_is_sent() && upload.out.is_flushed())
    }

    fn end_client_wait(&mut self) {
        let waited = self.bench.client_wait.end(self.io);
        if self.may_wait_for_leave && !self.bench.upload.has_begun() {
            self.waited_for_leave += waited;
        }
    }

    fn time_to_wait(&self) -> Duration {
        match self.phase {
            Phase::Head if self.request_is_sent() => ANSWER_HEAD_TIME,
            Phase::Head | Phase::Informational => STREAM_IDLE_TIME,
            Phase::Body { .. } => STREAM_IDLE_TIME,
        }
    }

    fn timed_out(&self) -> Ended {
        match self.phase {
            // It waits for the client's body, not for the instance.
            Phase::Head if !self.request_is_sent() && self.bench.upload.out.is_flushed() => Ended::BodyTimedOut,
            Phase::Head => Ended::NoAnswer { cause: OwnCause::UpstreamTimeout, untouched: false },
            Phase::Informational => self.client_gone(),
            Phase::Body { .. } if !self.bench.download.out.is_flushed() => self.client_gone(),
            // The instance stood still, whether its client has ended its own side or not.
            Phase::Body { status, .. } => Ended::Broken { status },
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        if !self.request_is_sent()
            && let Poll::Ready(ended) = self.poll_upload(cx)
        {
            return Poll::Ready(ended);
        }
        if let Poll::Ready(ended) = self.poll_download(cx) {
            return Poll::Ready(ended);
        }
        if self.client_side == ClientSide::Open && self.request_is_sent() {
            return self.watch_client(cx);
        }
        Poll::Pending
    }

    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        let result = self.bench.upload.poll(cx, self.client, self.inbound, self.upstream, &self.io.buffers);
        match result {
            Poll::Pending | Poll::Ready(Ok(())) => Poll::Pending,
            // The instance may have answered before it stopped listening: the answer decides.
            Poll::Ready(Err(FlowError::Sink(_))) => {
                self.upload_failed = true;
                Poll::Pending
            }
            Poll::Ready(Err(FlowError::Source(_))) => Poll::Ready(self.client_gone()),
            Poll::Ready(Err(FlowError::Refused(refusal))) => Poll::Ready(match self.phase {
                Phase::Head => Ended::BodyRefused(refusal),
                Phase::Informational | Phase::Body { .. } => self.client_gone(),
            }),
        }
    }

    fn poll_download(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        loop {
            let next = match self.phase {
                Phase::Head => self.poll_head(cx),
                Phase::Informational => self.poll_informational(cx),
                Phase::Body { status, client_stays, upstream_stays } => {
                    return self.poll_body(cx, status, client_stays, upstream_stays);
                }
            };
            match next {
                Poll::Ready(Ok(phase)) => self.phase = phase,
                Poll::Ready(Err(ended)) => return Poll::Ready(ended),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Phase, Ended>> {
        loop {
            let answered = &mut self.bench.answered;
            if !answered.held().is_empty() {
                self.answer_began = true;
                match self.bench.response.parse(answered.held()) {
                    Ok(Progress::Complete { head_bytes }) => return Poll::Ready(self.pass_head_on(head_bytes)),
                    Ok(Progress::Partial) => {}
                    Err(_) => return Poll::Ready(Err(self.no_answer(OwnCause::UpstreamInvalid))),
                }
            }
            match answered.poll_fill(cx, self.upstream, &self.io.buffers) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(self.no_answer(OwnCause::UpstreamClosed))),
                Poll::Ready(Ok(_)) => self.bench.download.steps = self.bench.download.steps.wrapping_add(1),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn client_gone(&self) -> Ended {
        Ended::ClientGone { gave_up: self.request_is_sent() && !self.is_endless }
    }

    fn no_answer(&self, cause: OwnCause) -> Ended {
        Ended::NoAnswer { cause, untouched: !self.answer_began }
    }

    fn pass_head_on(&mut self, head_bytes: usize) -> Result<Phase, Ended> {
        let request_is_sent = self.bench.upload.is_over();
        let Workbench { response, answered, upload, download, sample, client_wait, .. } = &mut *self.bench;
        let head = response.head(answered.held());
        let status = head.status();
        download.out.clear();
        // Its client waited for this; but a 408 says that the instance waited for the body (RFC 9110 15.5.9).
        if std::mem::take(&mut self.may_wait_for_leave) && !upload.has_begun() && status != 408 {
            client_wait.take_back(self.waited_for_leave);
        }
        // Nothing will be sent again now; what is still on its way is read from there.
        if upload.out.is_flushed() {
            self.inbound.release(&self.io.buffers);
        }
        if status == 101 {
            return if self.facts.asks_upgrade && request_is_sent && head.upgrade().is_some() {
                Err(Ended::Switched)
            } else {
                Err(self.no_answer(OwnCause::UpstreamInvalid))
            };
        }
        if status < 200 {
            self.informational += 1;
            if self.informational > INFORMATIONAL_MAX {
                return Err(self.no_answer(OwnCause::UpstreamInvalid));
            }
            // RFC 9110 15.2: no 1xx for an HTTP/1.0 client.
            if self.facts.version == Version::Http11 {
                response_head::write_informational(&mut download.out.lead, &head);
            }
            answered.consume(head_bytes);
            response.reset();
            return Ok(Phase::Informational);
        }
        let framing = head.framing(self.facts.method);
        if framing == Framing::Tunnel {
            return Err(self.no_answer(OwnCause::UpstreamInvalid));
        }
        let body @ BodyOut { coding, ends_with_connection } = response_head::body_out(framing, self.facts.version);
        let client_stays =
            self.facts.is_persistent && request_is_sent && !ends_with_connection && !self.io.is_closing();
        let upstream_stays = head.is_persistent() && framing != Framing::UntilClose;
        self.is_endless = is_event_stream(framing, &head);
        download.tee = sample.as_mut().and_then(|sample| sample.is_answered(&head, self.is_endless));
        let new_client = self.facts.new_client;
        response_head::write(&mut download.out.lead, &head, self.facts.version, body, client_stays, new_client);
        answered.consume(head_bytes);
        match download.begin(framing, coding, answered) {
            Ok(()) => Ok(Phase::Body { status, client_stays, upstream_stays }),
            Err(_) => Err(self.no_answer(OwnCause::UpstreamInvalid)),
        }
    }

    fn poll_informational(&mut self, cx: &mut Context<'_>) -> Poll<Result<Phase, Ended>> {
        match self.bench.download.out.poll_flush(cx, self.client, &self.bench.answered) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) => Poll::Ready(Ok(Phase::Head)),
            Poll::Ready(Err(_)) => Poll::Ready(Err(self.client_gone())),
        }
    }

    fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        status: u16,
        client_stays: bool,
        upstream_stays: bool,
    ) -> Poll<Ended> {
        let Workbench { answered, download, upload, sample, .. } = &mut *self.bench;
        match download.poll(cx, self.upstream, answered, self.client, &self.io.buffers) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) => {
                if let Some(sample) = sample.as_mut().filter(|_| upload.is_read()) {
                    sample.ended_well();
                }
                // Bytes behind the answer belong to no request of ours.
                let upstream_stays =
                    upstream_stays && !self.upload_failed && upload.is_over() && answered.held().is_empty();
                Poll::Ready(Ended::Answered { status, client_stays, upstream_stays })
            }
            Poll::Ready(Err(FlowError::Sink(_))) => Poll::Ready(self.client_gone()),
            Poll::Ready(Err(FlowError::Source(_) | FlowError::Refused(_))) => Poll::Ready(Ended::Broken { status }),
        }
    }

    /// Notices that the client goes away while nothing is read from it.
    fn watch_client(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        match self.client.poll_read_ready(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(_)) => return Poll::Ready(self.client_gone()),
        }
        let mut byte = [0];
        let peeked: Poll<io::Result<usize>> = self.client.poll_peek(cx, &mut ReadBuf::new(&mut byte));
        match peeked {
            Poll::Pending => {}
            Poll::Ready(Ok(0)) => self.client_side = ClientSide::HalfClosed,
            Poll::Ready(Ok(_)) => self.client_side = ClientSide::Busy,
            Poll::Ready(Err(_)) => return Poll::Ready(self.client_gone()),
        }
        Poll::Pending
    }
}

/// Whether an answer is a stream of events (WHATWG HTML 9.2.5): its length is its client's choice.
fn is_event_stream(framing: Framing, head: &ResponseHead<'_>) -> bool {
    const EVENT_STREAM: &[u8] = b"text/event-stream";
    let is_open = match framing {
        Framing::Chunked | Framing::UntilClose => true,
        Framing::Empty | Framing::Length(_) | Framing::Tunnel => false,
    };
    let media = head.fields().first("content-type").filter(|_| is_open);
    media.and_then(|value| value.get(..EVENT_STREAM.len())).is_some_and(|of| of.eq_ignore_ascii_case(EVENT_STREAM))
}
