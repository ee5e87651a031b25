//! Whether errors are of many clients, or of a few that repeat themselves.

use switchover_model::seam::ClientGroups;

use crate::look::Counts;

/// Whose requests and errors the new arm's were.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Clients {
    requests: ClientGroups,
    errors: ClientGroups,
}

impl Clients {
    pub(crate) fn take(&mut self, counts: &Counts) {
        self.requests.merge(&counts.requests_by);
        self.errors.merge(&counts.errors_by);
    }

    /// Whether fewer than `least` clients had errors, and some that came had none. Clients that are not told apart, such as all behind
    /// one address, are one that came.
    pub(crate) fn are_too_few(&self, least: u32) -> bool {
        self.errors.different() < least.min(self.requests.different())
    }

    /// The rate of errors of all but one client, where that one sent more than half of the requests.
    pub(crate) fn rate_of_the_others(&self) -> Option<f64> {
        let heaviest = self.requests.heaviest();
        let rest = |counted: &ClientGroups| counted.total().saturating_sub(counted.of(heaviest));
        let (requests, errors) = (rest(&self.requests), rest(&self.errors));
        #[expect(clippy::cast_precision_loss, reason = "a rate: counts beyond 2^52 lose nothing that matters")]
        (0 < requests && requests < self.requests.of(heaviest)).then(|| errors as f64 / requests as f64)
    }
}
