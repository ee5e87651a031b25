//! The simulated journal: appends are atomic, nothing is lost, and a snapshot bounds what is read again.

use switchover_model::record::{Draft, Record};

#[derive(Debug, Clone, Default)]
pub(crate) struct Journal {
    pub(crate) records: Vec<Record>,
    /// A folded app as JSON, and the sequence up to which it is folded.
    pub(crate) snapshot: Option<(u64, String)>,
}

impl Journal {
    pub(crate) fn append(&mut self, drafts: Vec<Draft>) -> &[Record] {
        let from = self.records.len();
        for draft in drafts {
            let sequence = self.records.len() as u64 + 1;
            self.records.push(Record { sequence, at: draft.at, actor: draft.actor, event: draft.event });
        }
        &self.records[from..]
    }

    /// Records after `sequence`.
    pub(crate) fn after(&self, sequence: u64) -> &[Record] {
        let from = usize::try_from(sequence).unwrap_or(usize::MAX).min(self.records.len());
        &self.records[from..]
    }
}
