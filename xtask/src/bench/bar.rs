//! What a bench must show: a measured value and the most that it may be.

use std::fmt;

/// One bar and what was measured against it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bar {
    /// What is measured, such as "`rollback` typed to the flip, median".
    pub(crate) what: &'static str,
    /// What was measured.
    pub(crate) measured: f64,
    /// The most that it may be.
    pub(crate) most: f64,
    /// The unit of both, with a blank before it, or nothing for a ratio.
    pub(crate) unit: &'static str,
}

impl Bar {
    /// Whether it holds. What could not be measured (`NaN`) does not.
    pub(crate) fn is_held(&self) -> bool {
        self.measured <= self.most
    }

    /// "held" or "MISSED".
    pub(crate) fn verdict(&self) -> &'static str {
        if self.is_held() { "held" } else { "MISSED" }
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, measured, most, unit } = self;
        let most = (most * 100.0).round() / 100.0;
        write!(out, "{}: {what}: {measured:.2}{unit}, at most {most}{unit}", self.verdict())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_holds_up_to_its_most_and_never_without_a_measurement() {
        let bar = |measured| Bar { what: "flip", measured, most: 5.0, unit: " ms" };
        assert!(bar(5.0).is_held() && bar(0.1).is_held());
        assert!(!bar(5.1).is_held() && !bar(f64::NAN).is_held());
        assert_eq!(bar(6.123).to_string(), "MISSED: flip: 6.12 ms, at most 5 ms");
    }
}
