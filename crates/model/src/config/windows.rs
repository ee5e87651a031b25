//! When traffic may move: weekly windows and freezes, each in a time zone of its own.
//!
//! Pure: the moment comes in as an argument, and the time zone database is the one that is compiled in.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

use super::nearest::nearest;
use super::window_error::WindowError;

/// The most windows, and the most freezes, of an app.
pub const MAX_WINDOWS: usize = 50;
/// The most days on end that freezes may cover: what is longer never opens.
pub const LONGEST_FREEZE_DAYS: i32 = 366;
/// How many changes are looked at to find when it opens next.
const LOOKS: usize = 1_000;
/// Days that are looked ahead for the next beginning of a weekly window.
const DAYS_AHEAD: i64 = 8;
const MINUTES_OF_A_DAY: u16 = 24 * 60;
const DAYS: [(&str, Weekday); 7] = [
    ("Mon", Weekday::Monday),
    ("Tue", Weekday::Tuesday),
    ("Wed", Weekday::Wednesday),
    ("Thu", Weekday::Thursday),
    ("Fri", Weekday::Friday),
    ("Sat", Weekday::Saturday),
    ("Sun", Weekday::Sunday),
];

/// `[release] allow` and `freeze`: traffic moves forward when a window is open (always, where there is none) and no freeze
/// holds. A way back is not asked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Windows {
    /// `allow`: any of them will do.
    pub allow: Vec<Window>,
    /// `freeze`: none of them may hold.
    pub freeze: Vec<Freeze>,
}

/// `Mon-Thu 09:00-16:00 Europe/Berlin`: the wall clock of that zone shows one of these times on one of these days. A time
/// that is left out when clocks go forward never comes that day, and one that comes twice is open twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Window {
    /// One bit a day, Monday the lowest.
    days: u8,
    /// Minutes after midnight.
    from: u16,
    /// The same, not in it any more; at or before `from`: of the next day.
    to: u16,
    zone: String,
}

/// `2026-12-20..2027-01-03 Europe/Berlin`: from the beginning of the first day to the end of the last one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Freeze {
    first: Date,
    last: Date,
    zone: String,
}

// === impl Windows ===

impl Windows {
    /// Nothing is said of when: always.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.allow.is_empty() && self.freeze.is_empty()
    }

    /// Whether traffic may move forward at this moment.
    #[must_use]
    pub fn is_open(&self, at: Timestamp) -> bool {
        let is_frozen = self.freeze.iter().any(|freeze| freeze.holds(at));
        !is_frozen && (self.allow.is_empty() || self.allow.iter().any(|window| window.is_open(at)))
    }

    /// When it may move next, from `at` on; nothing where that is not to be found.
    #[must_use]
    pub fn opens_at(&self, at: Timestamp) -> Option<Timestamp> {
        let mut cursor = at;
        for _ in 0..LOOKS {
            if self.is_open(cursor) {
                return Some(cursor);
            }
            let frozen = self.freeze.iter().filter(|freeze| freeze.holds(cursor)).filter_map(Freeze::end).max();
            let next = frozen.or_else(|| self.allow.iter().filter_map(|window| window.next_begin(cursor)).min())?;
            if next <= cursor {
                return None;
            }
            cursor = next;
        }
        None
    }

    /// The moment by the wall clock of the first zone that is named, for people: `Mon 2026-11-30 09:00 Europe/Berlin`.
    #[must_use]
    pub fn told(&self, at: Timestamp) -> String {
        let zones = self.allow.iter().map(|window| &window.zone).chain(self.freeze.iter().map(|freeze| &freeze.zone));
        let zone = zones.into_iter().next().map_or("UTC", String::as_str);
        local(at, zone).map_or_else(
            || format!("{} microseconds after 1970", at.as_micros()),
            |local| format!("{} {zone}", local.strftime("%a %Y-%m-%d %H:%M")),
        )
    }

    /// The days on end that freezes cover at most, and where: too many never open.
    pub(super) fn longest_freeze(&self) -> Option<(i32, usize)> {
        let mut freezes: Vec<(usize, &Freeze)> = self.freeze.iter().enumerate().collect();
        freezes.sort_by_key(|(_, freeze)| freeze.first);
        let mut longest: Option<(i32, usize)> = None;
        let mut run: Option<(Date, Date)> = None;
        for (place, freeze) in freezes {
            let (first, last) = match run {
                Some((first, last)) if last.tomorrow().is_ok_and(|next| freeze.first <= next) => {
                    (first, last.max(freeze.last))
                }
                Some(_) | None => (freeze.first, freeze.last),
            };
            run = Some((first, last));
            let days = (last - first).get_days() + 1;
            if longest.is_none_or(|(most, _)| days > most) {
                longest = Some((days, place));
            }
        }
        longest
    }
}

// === impl Window ===

impl Window {
    fn is_open(&self, at: Timestamp) -> bool {
        let Some(local) = local(at, &self.zone) else { return false };
        let minute = minute_of(local);
        let has = |day: Weekday| self.days & bit(day) != 0;
        let today = local.weekday();
        if self.from < self.to {
            return has(today) && (self.from..self.to).contains(&minute);
        }
        has(today) && minute >= self.from || has(today.previous()) && minute < self.to
    }

    /// When it begins next after `at`, as far as clocks show it at all.
    fn next_begin(&self, at: Timestamp) -> Option<Timestamp> {
        let zone = zone(&self.zone)?;
        let today = local(at, &self.zone)?.date();
        let begin = Time::new(i8::try_from(self.from / 60).ok()?, i8::try_from(self.from % 60).ok()?, 0, 0).ok()?;
        let days = (-1..=DAYS_AHEAD).filter_map(|ahead| today.checked_add(jiff::Span::new().days(ahead)).ok());
        let begins = days.filter(|day| self.days & bit(day.weekday()) != 0).flat_map(|day| {
            let ambiguous = zone.to_ambiguous_timestamp(day.to_datetime(begin));
            [ambiguous.earlier().ok(), ambiguous.later().ok()]
        });
        begins.flatten().filter_map(moment).filter(|begin| *begin > at).min()
    }

    /// The parts of a text, without a look at whether there is such a zone.
    fn read(text: &str) -> Result<Self, WindowError> {
        let no_window = || WindowError::NoWindow(text.to_owned());
        let mut parts = text.split(' ');
        let (days, times) = parts.next().zip(parts.next()).ok_or_else(no_window)?;
        let (from, to) = times.split_once('-').ok_or_else(no_window)?;
        let (days, from, to) = (read_days(days)?, read_time(from)?, read_time(to)?);
        if from == MINUTES_OF_A_DAY {
            return Err(WindowError::UnknownTime("24:00".to_owned()));
        }
        if from == to {
            return Err(WindowError::Empty(text.to_owned()));
        }
        let zone = parts.next().ok_or_else(|| WindowError::NoZone(text.to_owned()))?;
        if parts.next().is_some() || zone.is_empty() {
            return Err(no_window());
        }
        Ok(Self { days, from, to, zone: zone.to_owned() })
    }
}

impl FromStr for Window {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, WindowError> {
        let window = Self::read(text)?;
        Ok(Self { zone: known_zone(&window.zone)?, ..window })
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: Vec<&str> =
            DAYS.iter().filter(|(_, day)| self.days & bit(*day) != 0).map(|(name, _)| *name).collect();
        let (from, to) = (self.from, self.to);
        let days = if named.len() == DAYS.len() { "Mon-Sun".to_owned() } else { named.join(",") };
        write!(f, "{days} {:02}:{:02}-{:02}:{:02} {}", from / 60, from % 60, to / 60, to % 60, self.zone)
    }
}

impl TryFrom<String> for Window {
    type Error = WindowError;

    /// A zone that a newer database does not know any more is no reason not to read a journal: its window never opens.
    fn try_from(text: String) -> Result<Self, WindowError> {
        Self::read(&text)
    }
}

impl From<Window> for String {
    fn from(window: Window) -> Self {
        window.to_string()
    }
}

// === impl Freeze ===

impl Freeze {
    fn holds(&self, at: Timestamp) -> bool {
        local(at, &self.zone).is_some_and(|local| (self.first..=self.last).contains(&local.date()))
    }

    /// The beginning of the day after the last one.
    fn end(&self) -> Option<Timestamp> {
        let next = self.last.tomorrow().ok()?;
        moment(next.to_zoned(zone(&self.zone)?).ok()?.timestamp())
    }

    fn read(text: &str) -> Result<Self, WindowError> {
        let mut parts = text.split(' ');
        let dates = parts.next().unwrap_or_default();
        let (first, last) = dates.split_once("..").unwrap_or((dates, dates));
        let (first, last) = (read_date(first)?, read_date(last)?);
        if last < first {
            return Err(WindowError::Backwards(text.to_owned()));
        }
        if (last - first).get_days() >= LONGEST_FREEZE_DAYS {
            return Err(WindowError::TooLong(text.to_owned()));
        }
        let zone = parts.next().ok_or_else(|| WindowError::NoZone(text.to_owned()))?;
        if parts.next().is_some() || zone.is_empty() {
            return Err(WindowError::NoFreeze(text.to_owned()));
        }
        Ok(Self { first, last, zone: zone.to_owned() })
    }
}

impl FromStr for Freeze {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, WindowError> {
        let freeze = Self::read(text)?;
        Ok(Self { zone: known_zone(&freeze.zone)?, ..freeze })
    }
}

impl fmt::Display for Freeze {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{} {}", self.first, self.last, self.zone)
    }
}

impl TryFrom<String> for Freeze {
    type Error = WindowError;

    fn try_from(text: String) -> Result<Self, WindowError> {
        Self::read(&text)
    }
}

impl From<Freeze> for String {
    fn from(freeze: Freeze) -> Self {
        freeze.to_string()
    }
}

// === parts of the texts ===

fn read_days(text: &str) -> Result<u8, WindowError> {
    let place = |name: &str| {
        let found = DAYS.iter().position(|(known, _)| *known == name);
        found.ok_or_else(|| WindowError::UnknownDay(name.to_owned()))
    };
    let mut days = 0;
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (place(first)?, place(last)?);
        // From Friday to Monday is four days.
        let count = (last + DAYS.len() - first) % DAYS.len() + 1;
        for (name, day) in DAYS.iter().cycle().skip(first).take(count) {
            if days & bit(*day) != 0 {
                return Err(WindowError::DayTwice(name, text.to_owned()));
            }
            days |= bit(*day);
        }
    }
    Ok(days)
}

fn read_time(text: &str) -> Result<u16, WindowError> {
    let unknown = || WindowError::UnknownTime(text.to_owned());
    let two = |digits: &str| {
        let is_number = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| digits.parse::<u16>().ok()).flatten()
    };
    let (hours, minutes) = text.split_once(':').ok_or_else(unknown)?;
    let (hours, minutes) = two(hours).zip(two(minutes)).ok_or_else(unknown)?;
    let time = hours * 60 + minutes;
    if minutes < 60 && time <= MINUTES_OF_A_DAY { Ok(time) } else { Err(unknown()) }
}

fn read_date(text: &str) -> Result<Date, WindowError> {
    let unknown = || WindowError::UnknownDate(text.to_owned());
    let is_plain = text.len() == "2026-12-20".len() && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit());
    if is_plain { text.parse().map_err(|_| unknown()) } else { Err(unknown()) }
}

/// The name of the zone as the database spells it.
fn known_zone(name: &str) -> Result<String, WindowError> {
    if let Some(zone) = zone(name) {
        return Ok(zone.iana_name().unwrap_or(name).to_owned());
    }
    let database = TimeZoneDatabase::bundled();
    let known: Vec<String> = database.available().map(|known| known.as_str().to_owned()).collect();
    let near = nearest(name, known.iter().map(String::as_str)).map(str::to_owned);
    Err(WindowError::UnknownZone { zone: name.to_owned(), near })
}

fn zone(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}

/// What the wall clock of the zone shows at this moment.
fn local(at: Timestamp, name: &str) -> Option<DateTime> {
    let micros = i64::try_from(at.as_micros()).ok()?;
    Some(zone(name)?.to_datetime(jiff::Timestamp::from_microsecond(micros).ok()?))
}

fn moment(at: jiff::Timestamp) -> Option<Timestamp> {
    u64::try_from(at.as_microsecond()).ok().map(Timestamp::from_micros)
}

fn minute_of(local: DateTime) -> u16 {
    // An hour is 0 to 23, a minute 0 to 59.
    u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs())
}

fn bit(day: Weekday) -> u8 {
    1 << day.to_monday_zero_offset()
}

#[cfg(test)]
#[path = "windows_tests.rs"]
mod tests;
