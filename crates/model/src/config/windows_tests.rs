//! Windows and freezes, also where clocks change.

use super::*;

fn windows(allow: &[&str], freeze: &[&str]) -> Windows {
    Windows {
        allow: allow.iter().map(|text| text.parse().unwrap()).collect(),
        freeze: freeze.iter().map(|text| text.parse().unwrap()).collect(),
    }
}

/// A moment, given with its offset.
fn at(text: &str) -> Timestamp {
    moment(text.parse().unwrap()).unwrap()
}

/// When `windows` open next after a moment, in UTC.
fn opens(windows: &Windows, from: &str) -> String {
    let opens = windows.opens_at(at(from)).unwrap();
    jiff::Timestamp::from_microsecond(i64::try_from(opens.as_micros()).unwrap()).unwrap().to_string()
}

#[test]
fn a_window_is_open_by_the_wall_clock_of_its_zone() {
    let windows = windows(&["Mon-Thu 09:00-16:00 Europe/Berlin"], &[]);
    for (moment, open) in [
        ("2026-11-30T09:00:00+01:00", true),
        ("2026-11-30T08:59:59+01:00", false),
        ("2026-11-30T15:59:59+01:00", true),
        ("2026-11-30T16:00:00+01:00", false),
        ("2026-11-27T10:00:00+01:00", false), // a Friday
        ("2026-07-06T09:00:00+02:00", true),  // in summer
        ("2026-07-06T09:00:00+01:00", true),
    ] {
        assert_eq!(windows.is_open(at(moment)), open, "{moment}");
    }
    assert_eq!(opens(&windows, "2026-11-26T16:00:00+01:00"), "2026-11-30T08:00:00Z");
    assert_eq!(opens(&windows, "2026-11-30T10:00:00+01:00"), "2026-11-30T09:00:00Z", "it is open");
    assert_eq!(windows.told(at("2026-11-30T08:00:00Z")), "Mon 2026-11-30 09:00 Europe/Berlin");
}

#[test]
fn a_window_that_ends_before_it_begins_goes_over_midnight() {
    let windows = windows(&["Fri 22:00-06:00 UTC"], &[]);
    for (moment, open) in [
        ("2026-11-27T21:59:59Z", false),
        ("2026-11-27T22:00:00Z", true),
        ("2026-11-28T05:59:59Z", true),
        ("2026-11-28T06:00:00Z", false),
        ("2026-11-28T22:30:00Z", false),
        ("2026-11-27T05:00:00Z", false),
    ] {
        assert_eq!(windows.is_open(at(moment)), open, "{moment}");
    }
    assert_eq!(opens(&windows, "2026-11-28T06:00:00Z"), "2026-12-04T22:00:00Z");
}

#[test]
fn days_go_round_the_week_and_a_whole_day_ends_at_24() {
    let windows = windows(&["Fri-Mon 00:00-24:00 UTC"], &[]);
    let open: Vec<u8> = (23..=29).filter(|day| windows.is_open(at(&format!("2026-11-{day}T23:59:00Z")))).collect();
    assert_eq!(open, [23, 27, 28, 29]);
    let two = self::windows(&["Mon 09:00-10:00 UTC", "Mon 09:30-11:00 UTC", "Wed,Fri 09:00-10:00 UTC"], &[]);
    assert!(two.is_open(at("2026-11-30T10:30:00Z")), "windows that overlap are one");
    assert_eq!(opens(&two, "2026-11-30T11:00:00Z"), "2026-12-02T09:00:00Z");
}

#[test]
fn what_clocks_leave_out_does_not_come_and_what_they_show_twice_is_open_twice() {
    // In Berlin 02:00 to 03:00 does not come on 2026-03-29, and comes twice on 2026-10-25.
    let gap = windows(&["Sun 02:15-02:45 Europe/Berlin"], &[]);
    assert_eq!(opens(&gap, "2026-03-28T12:00:00Z"), "2026-04-05T00:15:00Z");
    let over_it = windows(&["Sun 02:15-04:00 Europe/Berlin"], &[]);
    assert_eq!(opens(&over_it, "2026-03-28T12:00:00Z"), "2026-03-29T01:15:00Z");
    assert!(over_it.is_open(at("2026-03-29T03:00:00+02:00")));
    assert_eq!(opens(&gap, "2026-10-25T02:45:00+02:00"), "2026-10-25T01:15:00Z", "the second time");
    assert!(gap.is_open(at("2026-10-25T02:30:00+02:00")) && gap.is_open(at("2026-10-25T02:30:00+01:00")));
}

#[test]
fn a_freeze_holds_whole_days_and_what_follows_is_found() {
    let windows = windows(
        &["Mon-Thu 09:00-16:00 Europe/Berlin"],
        &["2026-12-20..2027-01-03 Europe/Berlin", "2027-01-04 Europe/Berlin"],
    );
    assert!(!windows.is_open(at("2026-12-21T10:00:00+01:00")));
    assert!(windows.is_open(at("2026-12-17T10:00:00+01:00")));
    assert_eq!(opens(&windows, "2026-12-17T16:00:00+01:00"), "2027-01-05T08:00:00Z");
    let only = self::windows(&[], &["2026-12-24 America/New_York"]);
    assert!(only.is_open(at("2026-12-24T04:59:59Z")) && !only.is_open(at("2026-12-24T05:00:00Z")));
    assert_eq!(opens(&only, "2026-12-24T12:00:00Z"), "2026-12-25T05:00:00Z");
}

#[test]
fn what_is_not_clear_is_refused_with_how_to_write_it() {
    for (text, told) in [
        ("Mon-Thu 09:00-16:00", "has no time zone"),
        ("Mon-Thu 09:00-16:00 Europe/Berln", "did you mean \"Europe/Berlin\"?"),
        ("Mon-Thu", "is not a time window"),
        ("09:00-16:00 UTC", "is not a time window"),
        ("monday 09:00-16:00 UTC", "\"monday\" is no day"),
        ("Mon-Wed,Tue 09:00-16:00 UTC", "Tue stands in \"Mon-Wed,Tue\" twice"),
        ("Mon 9:00-16:00 UTC", "\"9:00\" is no time"),
        ("Mon 09:00-16:60 UTC", "\"16:60\" is no time"),
        ("Mon 09:00-24:01 UTC", "\"24:01\" is no time"),
        ("Mon 24:00-01:00 UTC", "\"24:00\" is no time"),
        ("Mon 09:00-09:00 UTC", "never opens"),
        ("Mon 09:00-16:00 UTC more", "is not a time window"),
    ] {
        let refused = text.parse::<Window>().unwrap_err().to_string();
        assert!(refused.contains(told), "{text}: {refused}");
    }
    for (text, told) in [
        ("2026-12-20..2027-01-03", "has no time zone"),
        ("2027-01-03..2026-12-20 UTC", "ends before it begins"),
        ("2026-02-30 UTC", "\"2026-02-30\" is no date"),
        ("20.12.2026 UTC", "\"20.12.2026\" is no date"),
        ("2026-01-01..2027-01-02 UTC", "lasts longer than 366 days"),
        ("2026-12-20 Mars/Base", "there is no time zone \"Mars/Base\""),
    ] {
        let refused = text.parse::<Freeze>().unwrap_err().to_string();
        assert!(refused.contains(told), "{text}: {refused}");
    }
}

#[test]
fn windows_read_back_as_they_were_written_and_a_zone_that_went_never_opens() {
    let before = windows(&["Mon-Sun 22:00-06:00 Europe/Berlin", "Mon,Wed 00:00-24:00 UTC"], &["2026-12-24 UTC"]);
    let text = serde_json::to_string(&before).unwrap();
    assert!(
        text.contains("Mon-Sun 22:00-06:00 Europe/Berlin") && text.contains("2026-12-24..2026-12-24 UTC"),
        "{text}"
    );
    assert_eq!(serde_json::from_str::<Windows>(&text).unwrap(), before);
    let gone: Windows = serde_json::from_str(r#"{"allow":["Mon-Sun 00:00-24:00 Mars/Base"],"freeze":[]}"#).unwrap();
    assert!(!gone.is_open(at("2026-12-24T12:00:00Z")));
    assert_eq!(gone.opens_at(at("2026-12-24T12:00:00Z")), None);
}
