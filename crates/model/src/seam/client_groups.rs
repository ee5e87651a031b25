//! Whose requests they were, told coarsely: enough to see whether errors are one client's or many clients'.

use serde::{Deserialize, Serialize};

/// Groups that the clients of an arm are told apart in. As many as a number of thirty-two bits has bits: twenty clients fill about
/// half of them.
pub const CLIENT_GROUPS: usize = 32;

/// Counts by group of clients. A client is in one group for as long as two revisions share the traffic; several may share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientGroups([u64; CLIENT_GROUPS]);

impl From<[u64; CLIENT_GROUPS]> for ClientGroups {
    fn from(counts: [u64; CLIENT_GROUPS]) -> Self {
        Self(counts)
    }
}

impl ClientGroups {
    /// The place of the client with this number.
    #[must_use]
    pub const fn group(client: u16) -> usize {
        client as usize % CLIENT_GROUPS
    }

    /// Counts `count` for the client with this number.
    pub fn count(&mut self, client: u16, count: u64) {
        let sum = &mut self.0[Self::group(client)];
        *sum = sum.saturating_add(count);
    }

    /// Adds what another has counted. Counts stop at the largest number instead of wrapping.
    pub fn merge(&mut self, other: &Self) {
        for (sum, more) in self.0.iter_mut().zip(other.0) {
            *sum = sum.saturating_add(more);
        }
    }

    /// What was counted since `earlier`; nothing where a count fell.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Option<Self> {
        let mut rest = *self;
        for (now, before) in rest.0.iter_mut().zip(earlier.0) {
            *now = now.checked_sub(before)?;
        }
        Some(rest)
    }

    /// Groups that something was counted for: at most as many as there were different clients.
    #[must_use]
    pub fn different(&self) -> u32 {
        self.0.iter().map(|count| u32::from(*count > 0)).sum()
    }

    /// All that was counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The group that most was counted for.
    #[must_use]
    pub fn heaviest(&self) -> usize {
        self.0.iter().enumerate().max_by_key(|(_, count)| **count).map_or(0, |(group, _)| group)
    }

    /// What was counted for a group.
    #[must_use]
    pub fn of(&self, group: usize) -> u64 {
        self.0.get(group).copied().unwrap_or_default()
    }

    /// Whether nothing was counted, as where clients are not told apart.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.different() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_is_one_group_however_often_it_comes_and_counts_subtract() {
        let mut groups = ClientGroups::default();
        assert!(groups.is_empty());
        groups.count(9_999, 500);
        assert_eq!(groups.different(), 1);
        let earlier = groups;
        groups.count(9_999, 1);
        groups.count(0, 3);
        let since = groups.since(&earlier).expect("counts rose");
        assert_eq!(since.different(), 2);
        assert_eq!(earlier.since(&groups), None);
        let mut again = earlier;
        again.merge(&since);
        assert_eq!(again, groups);
        let kept = serde_json::to_string(&groups).expect("JSON");
        assert_eq!(serde_json::from_str::<ClientGroups>(&kept).expect("groups"), groups);
    }
}
