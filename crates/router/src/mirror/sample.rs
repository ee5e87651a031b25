//! One request that is copied: what is kept of it while it passes by, and what is done with that.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use switchover_http1::{Method, RequestHead, ResponseHead};
use switchover_model::seam::{LeftOut, SHADOW_EXAMPLES_MAX, SHADOW_FIELD, ShadowExample};
use switchover_model::{AppName, RevisionId};

use super::answer::Answer;
use super::compare::{self, Difference, Unreadable};
use super::copy::{self, Failed};
use super::place::Place;
use super::{Rules, redact};
use crate::lane::Lane;
use crate::table::ArmTable;

/// Headers that a copy has not, or has its own of: its body is whole when it is sent.
const NOT_COPIED: [&[u8]; 4] = [b"content-length", b"transfer-encoding", b"expect", b"trailer"];

/// What passes by, kept up to a bound, and for as long as its sample has its place.
#[derive(Debug)]
pub(crate) struct Tee {
    bytes: Vec<u8>,
    most: usize,
    /// What more than that is.
    too_large: LeftOut,
    /// The sample's.
    place: Rc<Place>,
}

impl Tee {
    fn new(most: usize, too_large: LeftOut, place: &Rc<Place>) -> Self {
        Self { bytes: Vec::new(), most, too_large, place: Rc::clone(place) }
    }

    /// `part` passed by.
    pub(crate) fn saw(&mut self, part: &[u8]) {
        if self.bytes.len() + part.len() > self.most {
            self.place.give_back(self.too_large);
        }
        if self.place.given_back().is_some() {
            self.bytes = Vec::new();
        } else {
            self.bytes.extend_from_slice(part);
        }
    }
}

/// Whether an instance of `arm` listens there.
fn has(arm: &ArmTable, address: SocketAddr) -> bool {
    arm.processes.iter().flat_map(|known| &known.endpoints).any(|known| known.address == address)
}

/// A request that is copied. It holds its place in the lane until it is dropped, or can not be copied any more.
#[derive(Debug)]
pub(crate) struct Sample {
    app: AppName,
    revision: RevisionId,
    rules: Arc<Rules>,
    live: SocketAddr,
    shadow: SocketAddr,
    method: Method,
    /// Method and path as they came.
    request: Vec<u8>,
    /// The copy's head up to its framing.
    head: Vec<u8>,
    body: Vec<u8>,
    /// What the user was answered, where that is compared.
    answer: Option<Answer>,
    /// The user has the whole answer, and its request was whole.
    has_ended_well: bool,
    place: Rc<Place>,
}

impl Sample {
    pub(super) fn new(
        place: Rc<Place>,
        (app, revision): (AppName, RevisionId),
        rules: Arc<Rules>,
        (live, shadow): (SocketAddr, SocketAddr),
        head: &RequestHead<'_>,
    ) -> Self {
        let request = [head.method_bytes(), b" ", head.path()].concat();
        let method = head.method();
        let (head, body, answer, has_ended_well) = (Vec::new(), Vec::new(), None, false);
        Self { app, revision, rules, live, shadow, method, request, head, body, answer, has_ended_well, place }
    }

    pub(super) fn of(&self) -> (&AppName, RevisionId) {
        (&self.app, self.revision)
    }

    #[cfg(test)]
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// Makes the copy's head of the one that an instance gets, and gives what its body is kept in.
    pub(crate) fn begin(&mut self, head: &[u8]) -> Tee {
        let compares = self.rules.compare.is_some();
        self.head.reserve(head.len() + SHADOW_FIELD.len() + 8);
        let mut lines = head.split_inclusive(|byte| *byte == b'\n').filter(|line| *line != b"\r\n");
        self.head.extend_from_slice(lines.next().unwrap_or_default());
        for line in lines {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
            let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
            // Plain answers can be compared.
            let is_dropped = NOT_COPIED.iter().any(|known| is(known))
                || is(SHADOW_FIELD.as_bytes())
                || (compares && is(b"accept-encoding"));
            if !is_dropped {
                self.head.extend_from_slice(line);
            }
        }
        self.head.extend_from_slice(SHADOW_FIELD.as_bytes());
        self.head.extend_from_slice(b": 1\r\n");
        Tee::new(self.rules.body_bytes, LeftOut::RequestTooLarge, &self.place)
    }

    /// The user's answer begins; where it is compared, gives what its body is kept in. One that `is_endless` is waited for by
    /// nobody.
    pub(crate) fn is_answered(&mut self, head: &ResponseHead<'_>, is_endless: bool) -> Option<Tee> {
        if is_endless {
            self.place.give_back(LeftOut::Slow);
        }
        let compare = self.rules.compare.as_ref().filter(|_| self.place.given_back().is_none())?;
        self.answer = Some(Answer::of(head, compare.headers()));
        Some(Tee::new(self.rules.body_bytes, LeftOut::AnswerTooLarge, &self.place))
    }

    /// The user has the whole answer, to a whole request.
    pub(crate) fn ended_well(&mut self) {
        self.has_ended_well = true;
    }

    /// The request is over. Errors: what was kept of it or of its answer is not whole, or it did not end well.
    pub(super) fn is_over(&mut self, body: Option<Tee>, answer: Option<Tee>) -> Result<(), LeftOut> {
        self.place.begin_copying()?;
        if !self.has_ended_well {
            return Err(LeftOut::OriginalFailed);
        }
        self.body = body.map(|tee| tee.bytes).unwrap_or_default();
        if let Some(known) = &mut self.answer {
            known.body = answer.map(|tee| tee.bytes).unwrap_or_default();
        }
        Ok(())
    }

    /// Sends the copies and counts what came of them.
    pub(super) async fn carry_out(mut self: Box<Self>, lane: &Lane) {
        let rules = Arc::clone(&self.rules);
        let counted = match (&rules.compare, self.answer.take()) {
            (Some(compare), Some(user)) => self.compare(lane, compare, user).await,
            (None, _) | (_, None) => match self.send(lane, self.shadow, &[]).await {
                Ok(_) | Err(Failed::TooLarge) => {
                    lane.mirror().note(&self.app, self.revision, |seen| seen.dropped += 1);
                    Ok(())
                }
                Err(Failed::Unanswered) => Err(LeftOut::Unanswered),
                Err(Failed::Ended) => Err(LeftOut::Ended),
            },
        };
        if let Err(why) = counted {
            lane.mirror().leave_out(&self, why);
        }
    }

    /// Sends a copy, where the sample's mirror is in the table in force. An instance that is there no more answers nothing: its
    /// port may be another's.
    async fn send(&self, lane: &Lane, to: SocketAddr, headers: &[String]) -> Result<Answer, Failed> {
        let table = lane.table();
        let known = table.table.apps.iter().find(|known| known.app == self.app);
        let mirror = known.and_then(|app| app.mirror.as_ref());
        let (Some(app), Some(mirror)) = (known, mirror.filter(|mirror| mirror.arm.revision == self.revision)) else {
            return Err(Failed::Ended);
        };
        let mut arms = app.arms.iter().chain(std::iter::once(&mirror.arm));
        if !arms.any(|arm| has(arm, to)) {
            return Err(Failed::Unanswered);
        }
        drop(table);
        let most = self.rules.body_bytes;
        let request = copy::Request { head: &self.head, body: &self.body, method: self.method, headers, most };
        copy::send(&lane.mirror().connections, to, &request).await
    }

    /// The new revision first and the live one after it: what changes with time has changed in the second live answer, too.
    async fn compare(&self, lane: &Lane, rules: &compare::Rules, mut user: Answer) -> Result<(), LeftOut> {
        let most = self.rules.body_bytes;
        user.decode(most)?;
        // The live answer can be read: one that can not differs from it.
        let shadow = match self.send(lane, self.shadow, rules.headers()).await {
            Ok(mut answer) => match answer.decode(most) {
                Ok(()) => Ok(answer),
                Err(LeftOut::AnswerTooLarge) => Err(Unreadable::TooLarge),
                Err(_) => Err(Unreadable::Encoded),
            },
            Err(Failed::Unanswered) => Err(Unreadable::Unanswered),
            Err(Failed::TooLarge) => Err(Unreadable::TooLarge),
            Err(Failed::Ended) => return Err(LeftOut::Ended),
        };
        let again = match self.send(lane, self.live, rules.headers()).await {
            Ok(mut answer) => answer.decode(most).map(|()| answer)?,
            Err(Failed::Unanswered) => return Err(LeftOut::LiveUnanswered),
            Err(Failed::TooLarge) => return Err(LeftOut::AnswerTooLarge),
            Err(Failed::Ended) => return Err(LeftOut::Ended),
        };
        let noise = rules.noise(&user, &again);
        if noise.says_nothing() {
            return Err(LeftOut::Unsteady);
        }
        let differences = rules.differences((&user, &again), shadow.as_ref().map_err(|why| *why), &noise);
        lane.mirror().note(&self.app, self.revision, |seen| self.count(seen, &noise, differences));
        Ok(())
    }

    fn count(
        &self,
        seen: &mut switchover_model::seam::ShadowSeen,
        noise: &compare::Differences,
        differences: compare::Differences,
    ) {
        for field in noise.fields() {
            if let Some(known) = seen.field(field) {
                known.noise += 1;
            }
        }
        let mut is_same = true;
        for (field, Difference { live, other }) in differences.told() {
            is_same = false;
            if let Some(known) = seen.field(&field) {
                known.differs += 1;
                if known.examples.len() < SHADOW_EXAMPLES_MAX {
                    let request = redact::request(&self.request);
                    known.examples.push(ShadowExample { request, live, shadow: other });
                }
            }
        }
        *(if is_same { &mut seen.equal } else { &mut seen.differing }) += 1;
    }
}
