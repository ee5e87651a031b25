//! What is watched of a release: what its router measures and others are asked for, look by look, journaled before anything is
//! made of it, and what the judge makes of it.

mod ask;
mod built_in;
mod counter;
mod crossing;
mod judging;
mod numbers;
mod past;
mod prometheus;
mod replay;
mod report;
mod rules;
mod split;
mod trying;

use std::collections::BTreeMap;
use std::sync::Arc;

use switchover_fetch::Client;
use switchover_model::config::{Bound, CheckSource, During, Measure};
use switchover_model::evidence::{Blind, CheckVerdict, ChecksSeen, FIRST_GOAL, Look, NumberSeen, SHADOW_CHECK, Watch};
use switchover_model::experiment::ExperimentSaid;
use switchover_model::histogram::Histogram;
use switchover_model::record::{Event, Record};
use switchover_model::seam::{ArmMeasured, Builder, Measured, Seen};
use switchover_model::{Span, Timestamp};
use switchover_rollout::{App, watch};
use tokio::sync::Semaphore;
use tokio::task::{Id, JoinSet};

use crate::bounds::NUMBERS_AT_ONCE;
use judging::Judging;
use past::Past;
use rules::Sides;

pub(crate) use replay::replay;
pub(crate) use report::{NoReport, report};

/// How many looks a watch has for each doubling of its age, about: each is a record, and what lasts long is looked at less often.
/// Fixed before anything is seen, so that a look ends at no moment that was chosen by what it would show.
const LOOKS_A_WATCH: u64 = 300;
/// Between two looks at what is measured, while a release moves or is baked: at least, and at most.
const BETWEEN_LOOKS: (Span, Span) = (Span::from_secs(1), Span::from_secs(15));
/// The same while the old slot is kept warm.
const BETWEEN_WARM_LOOKS: (Span, Span) = (Span::from_secs(5), Span::from_secs(60));

/// The same where no check of the file is looked at: a part of how long the watch lasts, within these ends, so that a step or a
/// shadow comparison has at most some hundred looks, and one that lasts long a look a minute.
const BETWEEN_FEW_LOOKS: (Span, Span) = (BETWEEN_LOOKS.0, Span::from_secs(60));
/// Looks of such a watch, while it lasts.
const FEW_LOOKS: u64 = 120;

/// Watches the releases of one app.
pub(crate) struct Watcher {
    client: Client,
    asked: JoinSet<Vec<NumberSeen>>,
    at_once: Arc<Semaphore>,
    /// When each number is asked for next; one that is being asked for is not in it.
    due: BTreeMap<usize, Timestamp>,
    /// The numbers that are being asked for, by their tasks.
    asking: BTreeMap<Id, usize>,
    arrived: Vec<NumberSeen>,
    /// The reading that the newest look ended with.
    last: Option<Measured>,
    was_blind: bool,
    past: Past,
    current: Option<(Judging, ChecksSeen)>,
    /// When each check of the watch was last answered with something that says something.
    answered: BTreeMap<usize, Timestamp>,
}

impl Default for Watcher {
    fn default() -> Self {
        Self {
            client: Client::new(),
            asked: JoinSet::new(),
            at_once: Arc::new(Semaphore::new(NUMBERS_AT_ONCE)),
            due: BTreeMap::new(),
            asking: BTreeMap::new(),
            arrived: Vec::new(),
            last: None,
            was_blind: false,
            past: Past::default(),
            current: None,
            answered: BTreeMap::new(),
        }
    }
}

impl Watcher {
    /// Goes on where an earlier controller was: [`take`](Self::take) follows, with the records since the looks of `app`'s watch
    /// began.
    pub(crate) fn resume(&mut self, app: &App, now: Timestamp) {
        if let Some(watch) = watch(app) {
            self.begin(app, watch, now);
        }
    }

    /// Takes the looks that an earlier controller took.
    pub(crate) fn take(&mut self, records: &[Record]) {
        let Some((judging, said)) = &mut self.current else { return };
        for record in records {
            if let Event::Looked { watch: of, look } = &record.event
                && *of == judging.watch
            {
                judging.take(look);
                note_answers(&mut self.answered, judging, look);
            }
        }
        *said = judging.seen();
    }

    /// What the checks say by the looks that were taken.
    pub(crate) fn said(&self) -> Option<ChecksSeen> {
        self.current.as_ref().map(|(_, said)| ChecksSeen { answered: self.answered.clone(), ..said.clone() })
    }

    /// The verdicts of a record with all that they rest on.
    pub(crate) fn in_full(&self, watch: Watch, verdicts: &mut [CheckVerdict]) {
        if let Some((judging, _)) = self.current.as_ref().filter(|(judging, _)| judging.watch == watch) {
            judging.in_full(verdicts);
        }
    }

    /// What the experiment says, with all that it rests on.
    pub(crate) fn tried(&self, watch: Watch) -> Option<ExperimentSaid> {
        self.current.as_ref().filter(|(judging, _)| judging.watch == watch)?.0.tried()
    }

    /// Takes a look, where one is due: what is to be journaled with whatever follows from it.
    pub(crate) fn look(&mut self, app: &App, seen: &Seen, builder: &Arc<dyn Builder>, now: Timestamp) -> Option<Event> {
        let measured = seen.traffic.as_ref().and_then(|traffic| traffic.measured.as_ref());
        let Some(watch) = watch(app) else {
            self.rest(app, measured);
            return None;
        };
        if self.current.as_ref().is_none_or(|(judging, _)| judging.watch != watch) {
            self.begin(app, watch, now);
            self.last = measured.cloned();
        }
        self.gather_numbers(app, builder, now);
        self.remember(app, measured);
        let (judging, said) = self.current.as_ref()?;
        let copies = seen.traffic.as_ref().and_then(|traffic| traffic.shadow.as_ref());
        if let (Some(traffic), Some(_)) = (&seen.traffic, judging.compared()) {
            self.answered.insert(SHADOW_CHECK, traffic.at);
        }
        let news = judging.compared().and_then(|compared| compared.news(copies));
        let is_decisive = news.as_ref().is_some_and(|(_, is_another)| *is_another);
        if now.since(said.at) < pause(&watch, judging, now) && !is_decisive {
            return None;
        }
        let of_traffic = judging.checks().any(|check| matches!(check.source, CheckSource::Traffic { .. }));
        let wants_traffic = of_traffic || judging.has_split();
        let wants_silence = judging
            .checks()
            .any(|check| matches!(check.source, CheckSource::Traffic { measure: Measure::Requests, .. }));
        let (from, sides) = (said.at, judging.sides);
        let tried = app.routes.as_ref().and_then(|routes| routes.goal.goals.as_ref()).map(|goals| goals.experiment);
        let counted = measured.and_then(|measured| measured.goals.as_ref());
        let counted = judging.counted_anew(counted.filter(|counted| Some(counted.experiment) == tried));
        let mut look = Look { from, until: now, rules: judging.rules(), ..Look::default() };
        look.shadow = news.map(|(seen, _)| Box::new(seen));
        let was_blind = self.was_blind;
        if wants_traffic {
            self.take_traffic(&mut look, measured, (watch.during, sides, of_traffic));
        }
        look.numbers = std::mem::take(&mut self.arrived);
        if let (Some(goals), Some(measured)) = (counted, measured) {
            look.goals = Some(goals);
            look.until = measured.at.max(from);
        }
        let is_new_blindness = look.blind.is_some() && !was_blind;
        if look.arms.is_empty()
            && look.shadow.is_none()
            && look.numbers.is_empty()
            && look.goals.is_none()
            && !is_new_blindness
            && !(wants_silence && look.blind.is_none())
        {
            return None;
        }
        if look.blind.is_none() {
            self.last = measured.cloned().or(self.last.take());
        }
        let (judging, said) = self.current.as_mut()?;
        judging.take(&look);
        *said = judging.seen();
        note_answers(&mut self.answered, judging, &look);
        Some(Event::Looked { watch, look: Box::new(look) })
    }

    /// What the traffic measured since the last look. `in_full`: a check of the file asks for it, not only who came.
    fn take_traffic(
        &mut self,
        look: &mut Look,
        measured: Option<&Measured>,
        (during, sides, in_full): (During, Sides, bool),
    ) {
        let version = |measured: &Measured| measured.version;
        look.recounted = self.last.as_ref().zip(measured).is_some_and(|(last, now)| version(last) != version(now));
        (look.arms, look.blind) = self.since_last(measured);
        if !in_full {
            look.arms.iter_mut().for_each(|arm| arm.latency = Histogram::default());
        }
        look.arms.retain(|arm| arm.revision == sides.new || Some(arm.revision) == sides.old);
        let has_split = look.blind.is_none() && self.current.as_ref().is_some_and(|(judging, _)| judging.has_split());
        look.split = measured.filter(|_| has_split).and_then(|measured| measured.split.clone());
        look.until = match (look.blind, measured) {
            // The interval goes on: the next reading tells what happened in it.
            (Some(Blind::NotMeasured), _) | (_, None) => look.from,
            (_, Some(measured)) => measured.at.max(look.from),
        };
        if let (None, Some((judging, _))) = (look.blind, &self.current) {
            answered_by_traffic(&mut self.answered, judging, look.until);
        }
        if during != During::Shift {
            look.arms.retain(|arm| arm.revision == sides.new);
            let requests = look.arms.iter().map(ArmMeasured::requests).fold(0, u64::saturating_add);
            look.arms.extend(sides.old.map(|old| self.past.give(old, requests)).unwrap_or_default());
            look.past_used_up = self.past.is_used_up();
        }
        self.was_blind = look.blind.is_some();
    }

    /// What the arms did since the last look, or why that is not known; the next one begins here then.
    fn since_last(&mut self, measured: Option<&Measured>) -> (Vec<ArmMeasured>, Option<Blind>) {
        // A reading that is missing ends nothing: the next one tells what happened since the last.
        let Some(now) = measured else { return (Vec::new(), Some(Blind::NotMeasured)) };
        let Some(last) = &self.last else {
            self.last = Some(now.clone());
            return (Vec::new(), Some(Blind::BeganAnew));
        };
        if !past::goes_on(last, now) {
            self.last = Some(now.clone());
            return (Vec::new(), Some(Blind::BeganAnew));
        }
        (past::between(last, now), None)
    }

    fn begin(&mut self, app: &App, watch: Watch, now: Timestamp) {
        self.asked.abort_all();
        self.asked = JoinSet::new();
        self.arrived.clear();
        self.due.clear();
        self.asking.clear();
        self.answered.clear();
        self.past.begin();
        self.last = None;
        self.was_blind = false;
        self.current = Judging::new(app, watch).map(|judging| {
            let mut said = judging.seen();
            said.at = said.at.max(now);
            (judging, said)
        });
        if let (Some(config), Some((judging, _))) = (app.config_of(watch.release), &self.current) {
            self.due = numbers::places(config, judging).map(|place| (place, now)).collect();
        }
    }

    /// Nothing is watched: what the live slot does now is a next release's past.
    fn rest(&mut self, app: &App, measured: Option<&Measured>) {
        if self.current.take().is_some() {
            self.asked.abort_all();
            self.asked = JoinSet::new();
            self.due.clear();
            self.arrived.clear();
        }
        self.last = None;
        self.remember(app, measured);
    }

    /// What the live slot does: what full traffic on a next one will be held against, where a check compares with it.
    fn remember(&mut self, app: &App, measured: Option<&Measured>) {
        let compares = app.config.as_ref().is_some_and(|config| {
            config.release.evidence.checks.iter().any(|check| {
                matches!(check.bound, Bound::WorseBy { .. }) && matches!(check.source, CheckSource::Traffic { .. })
            })
        });
        if let (true, Some(live), Some(measured)) = (compares, app.live(), measured) {
            self.past.grow(live.revision, measured);
        }
    }
}

/// How long nothing is looked at after a look.
fn pause(watch: &Watch, judging: &Judging, now: Timestamp) -> Span {
    let has_checks = judging.checks().next().is_some();
    let (least, most) = match watch.during {
        During::Warm => BETWEEN_WARM_LOOKS,
        During::Shift | During::Shadow | During::Bake if has_checks => BETWEEN_LOOKS,
        // Its end may come long before its time.
        During::Shift | During::Shadow | During::Bake if judging.tries() => BETWEEN_FEW_LOOKS,
        During::Shift | During::Shadow | During::Bake => {
            let (shortest, longest) = BETWEEN_FEW_LOOKS;
            let part = |length: Span| Span::from_micros(length.as_micros() / FEW_LOOKS).clamp(shortest, longest);
            return watch.length.map_or(longest, part);
        }
    };
    Span::from_micros(now.since(watch.since).as_micros() / LOOKS_A_WATCH).clamp(least, most)
}

/// What the traffic measures was read, whether or not there was anything in it.
fn answered_by_traffic(answered: &mut BTreeMap<usize, Timestamp>, judging: &Judging, at: Timestamp) {
    let by_traffic = judging.placed().filter(|(_, check)| matches!(check.source, CheckSource::Traffic { .. }));
    answered.extend(by_traffic.map(|(place, _)| (place, at)));
}

/// What a look answers: the traffic where it is not blind, and each number that is one for every slot that was asked about.
fn note_answers(answered: &mut BTreeMap<usize, Timestamp>, judging: &Judging, look: &Look) {
    if look.blind.is_none() {
        answered_by_traffic(answered, judging, look.until);
    }
    for number in &look.numbers {
        let together = look.numbers.iter().filter(|other| (other.check, other.at) == (number.check, number.at));
        // A goal is no check: it says by itself how it was answered.
        if number.check < FIRST_GOAL && together.clone().all(|one| one.value.is_some()) {
            answered.insert(number.check, number.at);
        }
    }
}
