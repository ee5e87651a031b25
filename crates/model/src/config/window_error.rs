//! Why a text of `allow` or `freeze` is none.

use super::windows::LONGEST_FREEZE_DAYS;

/// Why a text is no window or freeze.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// Its parts are not days, times and a zone.
    #[error(
        "\"{0}\" is not a time window: write days, times and a time zone, such as \"Mon-Thu 09:00-16:00 Europe/Berlin\""
    )]
    NoWindow(String),
    /// Its parts are not dates and a zone.
    #[error(
        "\"{0}\" is not a freeze: write its first and last day and a time zone, such as \"2026-12-20..2027-01-03 Europe/Berlin\""
    )]
    NoFreeze(String),
    /// Nobody could tell whose nine o'clock is meant.
    #[error("\"{0}\" has no time zone: write \"{0} Europe/Berlin\", or \"{0} UTC\"")]
    NoZone(String),
    /// A zone that is not in the database.
    #[error("there is no time zone \"{zone}\"{}", .near.as_ref().map(|near| format!(": did you mean \"{near}\"?")).unwrap_or_default())]
    UnknownZone {
        /// As it was written.
        zone: String,
        /// What may have been meant.
        near: Option<String>,
    },
    /// A day that is none.
    #[error("\"{0}\" is no day: write Mon, Tue, Wed, Thu, Fri, Sat or Sun")]
    UnknownDay(String),
    /// A day that is in it already.
    #[error("{0} stands in \"{1}\" twice")]
    DayTwice(&'static str, String),
    /// A time that is none.
    #[error("\"{0}\" is no time: write hours and minutes, such as \"09:00\"; a day ends at \"24:00\"")]
    UnknownTime(String),
    /// It begins when it ends.
    #[error("\"{0}\" never opens: it ends when it begins; a whole day is \"00:00-24:00\"")]
    Empty(String),
    /// A date that is none.
    #[error("\"{0}\" is no date: write year, month and day, such as \"2026-12-20\"")]
    UnknownDate(String),
    /// It ends before it begins.
    #[error("\"{0}\" ends before it begins")]
    Backwards(String),
    /// It is longer than a year.
    #[error("\"{0}\" lasts longer than {LONGEST_FREEZE_DAYS} days, so nothing would be released")]
    TooLong(String),
}
