//! A client's connection: request after request, in order.

use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use socket2::SockRef;
use switchover_http1::{Field, Framing, Method, Progress, Version};
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Asked;
use super::bounds::{HEAD_TIME, IDLE_TIME, LINGER_BYTES_MAX, LINGER_TIME, OWN_ANSWER_TIME, SHED_TIME};
use super::buffers::Inbound;
use super::connect::Tries;
use super::exchange::{Ended, Exchange, Facts};
use super::flow::Coding;
use super::lane_io::{LaneIo, Shed};
use super::own_answer;
use super::request_head::{self, Sender};
use super::response_head;
use super::roster::Seat;
use super::tunnel::Tunnel;
use super::workbench::{Bench, Workbench};
use crate::causes::{Fault, OwnAnswer, OwnCause};
use crate::lane::{Lane, Outcome, Routed, Ticket};
use crate::listener::Listener;

/// Serves one client connection to its end.
///
/// Flow: called by the acceptor on the lane's own runtime, which spawns what comes back: one task for each connection.
/// Nothing comes back when all seats are taken and the client was turned away: so no burst of clients holds more open
/// files than there are seats.
/// Guarantees: every request whose head came whole, or was refused, is counted once with one outcome; requests are
/// answered in their order; an idle connection holds no buffer; every wait has a bound.
/// Assumes: `lane.io().tick()` is called regularly.
pub(crate) fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    lane: Rc<Lane>,
    listener: Rc<Listener>,
) -> Option<impl Future<Output = ()>> {
    // Without it the connection is slower, not wrong.
    let _ = stream.set_nodelay(true);
    let seat = lane.io().sit();
    let shed = if seat.is_none() { Some(turn_away(&stream, &lane)?) } else { None };
    Some(async move {
        let _shed = shed;
        let Some(seat) = seat else { return read_on(stream).await };
        let address = peer.ip().to_canonical().to_string();
        let mut client =
            Client { stream, peer, address, inbound: Inbound::default(), lane: &lane, listener: &listener };
        client.run(&seat).await;
        client.inbound.clear(&lane.io().buffers);
    })
}

/// All seats are taken: says so without waiting for anything, and counts it.
fn turn_away(stream: &TcpStream, lane: &Lane) -> Option<Shed> {
    lane.count_refused(OwnCause::TooManyConnections);
    let mut out = Vec::new();
    let answer = own_answer::to_cause(OwnCause::TooManyConnections);
    own_answer::write(&mut out, answer, Method::Get, Version::Http11, false);
    // Best effort: a new socket's send buffer has room for it.
    let _ = SockRef::from(stream).send(&out);
    lane.io().shed()
}

/// Reads a turned-away client on for a moment, so that its answer is not lost to a reset.
async fn read_on(mut stream: TcpStream) {
    let mut sink = [0; 1024];
    let read = async {
        if stream.shutdown().await.is_ok() {
            while stream.read(&mut sink).await.is_ok_and(|count| count > 0) {}
        }
    };
    // Over or not, it is closed.
    let _ = tokio::time::timeout(SHED_TIME, read).await;
}

/// What comes after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Another one may.
    Request,
    /// The end, but the client may still be sending: its answer must not be lost to a reset.
    Linger,
    /// The end.
    Close,
}

struct Client<'a> {
    stream: TcpStream,
    peer: SocketAddr,
    address: String,
    inbound: Inbound,
    lane: &'a Rc<Lane>,
    listener: &'a Listener,
}

impl<'a> Client<'a> {
    fn io(&self) -> &'a LaneIo {
        self.lane.io()
    }

    async fn run(&mut self, seat: &Seat) {
        let mut is_first = true;
        loop {
            if !self.wait_for_request(seat, is_first).await {
                return;
            }
            is_first = false;
            let mut bench = Bench::take(self.io());
            let next = match self.read_head(seat, &mut bench).await {
                Ok(Some(_)) if self.io().routes_nothing_new() => {
                    seat.end_waiting();
                    self.lane.count_refused(OwnCause::NoInstance);
                    self.say(seat, &mut bench, OwnAnswer::ENDED, Method::Get, Version::Http11, false).await;
                    Next::Linger
                }
                Ok(Some(head_bytes)) => {
                    seat.end_waiting();
                    self.serve_request(seat, &mut bench, head_bytes).await
                }
                Ok(None) => Next::Close,
                // Nobody waits for this answer as much as another one waits for the seat.
                Err((cause, _)) if seat.gives_way() => {
                    self.lane.count_refused(cause);
                    Next::Close
                }
                Err((cause, answer)) => {
                    seat.end_waiting();
                    self.lane.count_refused(cause);
                    self.say(seat, &mut bench, answer, Method::Get, Version::Http11, false).await;
                    Next::Linger
                }
            };
            if let Some(sample) = bench.sample.take() {
                self.lane.mirror().submit(sample, bench.upload.tee.take(), bench.download.tee.take());
            }
            drop(bench);
            match next {
                Next::Request => {}
                Next::Linger => return self.linger(seat).await,
                Next::Close if !seat.gives_way() && !self.inbound.held().is_empty() => return self.linger(seat).await,
                Next::Close => return,
            }
        }
    }

    /// Waits without a buffer for the first byte of a request; false when the connection is over.
    async fn wait_for_request(&mut self, seat: &Seat, is_first: bool) -> bool {
        if !self.inbound.held().is_empty() {
            return true;
        }
        let io = self.io();
        seat.allow(if is_first { HEAD_TIME } else { IDLE_TIME });
        seat.begin_waiting();
        let mut is_told = false;
        let (stream, inbound) = (&mut self.stream, &mut self.inbound);
        let came = seat.wait(|cx| match inbound.poll_fill(cx, stream, &io.buffers) {
            // The reactor may not have told yet of a request that is there.
            Poll::Pending if seat.gives_way() && has_bytes(stream) => {
                seat.end_waiting();
                Poll::Pending
            }
            Poll::Pending => {
                end_in_time(seat, io, &mut is_told);
                Poll::Pending
            }
            Poll::Ready(Ok(count)) => Poll::Ready(count > 0),
            Poll::Ready(Err(_)) => Poll::Ready(false),
        });
        came.await.unwrap_or(false)
    }

    /// Length of the head, `None` when the client went away, or what to answer.
    async fn read_head(&mut self, seat: &Seat, bench: &mut Workbench) -> Result<Option<usize>, (OwnCause, OwnAnswer)> {
        let io = self.io();
        seat.allow(HEAD_TIME);
        seat.begin_waiting();
        loop {
            match bench.request.parse(self.inbound.held()) {
                Ok(Progress::Complete { head_bytes }) => return Ok(Some(head_bytes)),
                Ok(Progress::Partial) => {}
                Err(refusal) => return Err((OwnCause::Refused, own_answer::to_refusal(refusal))),
            }
            let (stream, inbound) = (&mut self.stream, &mut self.inbound);
            let mut is_told = false;
            let came = seat.wait(|cx| {
                let came = inbound.poll_fill(cx, stream, &io.buffers);
                if came.is_pending() {
                    end_in_time(seat, io, &mut is_told);
                }
                came
            });
            match came.await {
                Ok(Ok(0) | Err(_)) => return Ok(None),
                Ok(Ok(_)) => {}
                Err(_) => {
                    let cause = OwnCause::RequestTimeout;
                    return Err((cause, own_answer::to_cause(cause)));
                }
            }
        }
    }

    async fn serve_request(&mut self, seat: &Seat, bench: &mut Workbench, head_bytes: usize) -> Next {
        let Workbench { request, upload, sample, .. } = &mut *bench;
        let head = request.head(self.inbound.held());
        let upgrade = request_head::upgrade_passed_on(&head);
        let mut facts = Facts {
            method: head.method(),
            version: head.version(),
            is_persistent: head.is_persistent() && !self.io().is_closing(),
            asks_upgrade: upgrade.is_some(),
            expects_continue: head.expects_continue(),
            new_client: None,
        };
        let framing = head.framing();
        if facts.method == Method::Connect {
            self.lane.count_refused(OwnCause::Refused);
            self.say(seat, bench, own_answer::to_connect(), facts.method, facts.version, false).await;
            return Next::Linger;
        }
        let asked = Asked { peer: self.peer, is_https: self.listener.scheme() == "https", head: &head };
        let ticket = match self.lane.route(&asked) {
            Routed::Forward(mut ticket) => {
                ticket.asks_for(&head);
                ticket
            }
            Routed::Own(answer) => {
                self.inbound.consume(head_bytes);
                let stays = facts.is_persistent && framing == Framing::Empty;
                let said = self.say(seat, bench, answer, facts.method, facts.version, stays).await;
                return after_own(said, stays);
            }
        };
        facts.new_client = ticket.new_client();
        let is_websocket = upgrade.is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"websocket"));
        let sender = Sender {
            address: &self.address,
            scheme: self.listener.scheme(),
            is_trusted: self.listener.trusts_forwarded(self.peer),
        };
        let passes = |field: &Field<'_>| ticket.passes(field);
        request_head::write(&mut upload.out.lead, &head, sender, upgrade, passes, || self.lane.io().request_ids.make());
        *sample = ticket.sample(&head, upgrade.is_some());
        upload.tee = sample.as_mut().map(|sample| sample.begin(&upload.out.lead));
        self.inbound.consume(head_bytes);
        let coding = if framing == Framing::Chunked { Coding::Chunked } else { Coding::Plain };
        if let Err(refusal) = upload.begin(framing, coding, &mut self.inbound) {
            let answer = own_answer::to_refusal(refusal);
            return self.answer_own(seat, bench, ticket, OwnCause::Refused, answer, facts).await;
        }
        self.forward(seat, bench, ticket, facts, is_websocket).await
    }

    /// Sends the request to an instance and the answer back; counts the outcome.
    async fn forward(
        &mut self,
        seat: &Seat,
        bench: &mut Workbench,
        mut ticket: Ticket,
        facts: Facts,
        is_websocket: bool,
    ) -> Next {
        let io = self.io();
        let mut tries = Tries::default();
        let mut sent_before = false;
        let once = !facts.method.is_idempotent();
        loop {
            let mut reached = match tries.reach(io, seat, &mut ticket, sent_before, once).await {
                Ok(reached) => reached,
                Err(cause) => {
                    return self.answer_own(seat, bench, ticket, cause, own_answer::to_cause(cause), facts).await;
                }
            };
            let client = (&mut self.stream, &mut self.inbound);
            let ended = Exchange::new(io, seat, client, &mut reached.stream, bench, facts).run().await;
            ticket.leave_out(bench.client_wait.take(io));
            if reached.is_reused
                && matches!(ended, Ended::NoAnswer { cause: OwnCause::UpstreamClosed, untouched: true })
            {
                io.upstreams.distrust(&reached.endpoint, io.exact_now());
            }
            let (cause, answer) = match ended {
                Ended::Answered { status, client_stays, upstream_stays } => {
                    let now = ticket.finish(Outcome::Answered { status });
                    if upstream_stays {
                        io.upstreams.give(reached.endpoint, reached.stream, now);
                    }
                    return match client_stays {
                        true => Next::Request,
                        false if bench.upload.is_over() => Next::Close,
                        false => Next::Linger,
                    };
                }
                Ended::Switched => {
                    self.tunnel(seat, bench, ticket, reached.stream, is_websocket).await;
                    return Next::Close;
                }
                Ended::ClientGone { gave_up } => {
                    ticket.finish(Outcome::ClientAborted { gave_up });
                    return Next::Close;
                }
                Ended::Broken { status } => {
                    ticket.finish(Outcome::Broken { status });
                    self.break_off(facts.version);
                    return Next::Close;
                }
                Ended::NoAnswer { cause: OwnCause::UpstreamClosed, untouched: true }
                    if reached.is_reused
                        && bench.upload.is_repeatable()
                        && (facts.method.is_idempotent() || bench.upload.out.sent() == 0) =>
                {
                    // RFC 9112 9.3.1: the instance may close an idle connection at any time; sent again once.
                    sent_before = true;
                    bench.upload.out.rewind();
                    bench.answered.clear(&io.buffers);
                    bench.response.reset();
                    continue;
                }
                Ended::NoAnswer { cause, .. } => (cause, own_answer::to_cause(cause)),
                Ended::BodyRefused(refusal) => (OwnCause::Refused, own_answer::to_refusal(refusal)),
                Ended::BodyTimedOut => (OwnCause::RequestTimeout, own_answer::to_cause(OwnCause::RequestTimeout)),
            };
            return self.answer_own(seat, bench, ticket, cause, answer, facts).await;
        }
    }

    /// Answers a counted request with an error of the router's own.
    async fn answer_own(
        &mut self,
        seat: &Seat,
        bench: &mut Workbench,
        mut ticket: Ticket,
        cause: OwnCause,
        answer: OwnAnswer,
        facts: Facts,
    ) -> Next {
        // When nothing of the request is left on its way, the next one can follow.
        let stays = facts.is_persistent && bench.upload.is_read();
        let said = self.say(seat, bench, answer, facts.method, facts.version, stays).await;
        ticket.leave_out(bench.client_wait.take(self.io()));
        // A client that left just before it was told of an instance's failure had waited for that instance.
        let gave_up = cause.fault() == Fault::App;
        ticket.finish(if said { Outcome::Own(cause) } else { Outcome::ClientAborted { gave_up } });
        after_own(said, stays)
    }

    async fn tunnel(
        &mut self,
        seat: &Seat,
        bench: &mut Workbench,
        ticket: Ticket,
        mut upstream: TcpStream,
        is_websocket: bool,
    ) {
        let Workbench { response, answered, upload, download, .. } = bench;
        let head = response.head(answered.held());
        upload.clear();
        download.clear();
        let protocol = head.upgrade().unwrap_or_default();
        response_head::write_switching(&mut download.out.lead, &head, protocol, ticket.new_client());
        let head_bytes = head.head_bytes();
        answered.consume(head_bytes);
        let tunnel = Tunnel {
            io: self.lane.io(),
            seat,
            client: &mut self.stream,
            from_client: &mut self.inbound,
            to_client: &mut download.out,
            upstream: &mut upstream,
            from_upstream: answered,
            to_upstream: &mut upload.out,
            is_websocket,
        };
        tunnel.run(ticket.open_tunnel()).await;
    }

    /// Writes an answer of the router's own; false when the client did not take it.
    async fn say(
        &mut self,
        seat: &Seat,
        bench: &mut Workbench,
        answer: OwnAnswer,
        asked_by: Method,
        version: Version,
        stays: bool,
    ) -> bool {
        let (io, Workbench { download, client_wait, .. }) = (self.io(), bench);
        let out = &mut download.out;
        out.clear();
        own_answer::write(&mut out.lead, answer, asked_by, version, stays);
        seat.allow(OWN_ANSWER_TIME);
        let (stream, inbound) = (&mut self.stream, &self.inbound);
        let written = seat.wait(|cx| client_wait.around(io, || out.poll_flush(cx, stream, inbound))).await;
        matches!(written, Ok(Ok(())))
    }

    /// An HTTP/1.0 client may take the end of the connection for the end of the answer; a reset tells it otherwise.
    fn break_off(&self, client: Version) {
        match client {
            // When it can not be set the client sees a plain end, as without it.
            Version::Http10 => drop(SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))),
            Version::Http11 => {}
        }
    }

    /// Ends our side, then reads on for a while and throws it away, so that the answer arrives (RFC 9112 9.6).
    async fn linger(&mut self, seat: &Seat) {
        let io = self.io();
        seat.allow(LINGER_TIME);
        let stream = &mut self.stream;
        if !matches!(seat.wait(|cx| Pin::new(&mut *stream).poll_shutdown(cx)).await, Ok(Ok(()))) {
            return;
        }
        let mut left = LINGER_BYTES_MAX;
        while left > 0 {
            let held = self.inbound.held().len();
            self.inbound.consume(held);
            let (stream, inbound) = (&mut self.stream, &mut self.inbound);
            match seat.wait(|cx| inbound.poll_fill(cx, stream, &io.buffers)).await {
                Ok(Ok(count)) if count > 0 => left = left.saturating_sub(count as u64),
                Ok(Ok(_) | Err(_)) | Err(_) => return,
            }
        }
    }
}

/// When the router ends, a request is waited for only as long as it may still be routed.
fn end_in_time(seat: &Seat, io: &LaneIo, is_told: &mut bool) {
    if let Some(left) = io.closing_left().filter(|_| !*is_told) {
        *is_told = true;
        seat.allow(left);
    }
}

/// Asks the kernel whether anything has come.
fn has_bytes(stream: &TcpStream) -> bool {
    SockRef::from(stream).peek(&mut [MaybeUninit::uninit()]).is_ok_and(|count| count > 0)
}

fn after_own(said: bool, stays: bool) -> Next {
    match (said, stays) {
        (true, true) => Next::Request,
        (true, false) => Next::Linger,
        (false, _) => Next::Close,
    }
}
