//! What an app's task shows to everybody else.

use std::sync::Arc;

use switchover_model::Problem;
use switchover_model::seam::Seen;
use switchover_rollout::App;
use tokio::sync::watch;

use crate::token::PreviewToken;

/// An app as its task knows it.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    /// The fold of its journal.
    pub(crate) app: Arc<App>,
    /// The last of its records that may be more than a look.
    pub(crate) told_by: u64,
    /// The last look.
    pub(crate) seen: Arc<Seen>,
    /// What stands in the way now.
    pub(crate) problems: Vec<Problem>,
    /// Its preview token; nothing before it was read.
    pub(crate) token: Option<PreviewToken>,
    /// Whether its journal has been read; before that nothing here is to be believed.
    pub(crate) is_loaded: bool,
}

/// Where an app's task shows it.
#[derive(Debug, Clone)]
pub(crate) struct Publisher {
    shown: watch::Sender<Shown>,
    count: watch::Sender<u64>,
}

impl Publisher {
    /// Shows `shown` from now on; `count` rises with each change.
    pub(crate) fn new(shown: watch::Sender<Shown>, count: watch::Sender<u64>) -> Self {
        Self { shown, count }
    }

    /// Shows this.
    pub(crate) fn show(&self, shown: Shown) {
        self.shown.send_replace(shown);
        self.count.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Shows what stands in the way, beside what was shown before.
    pub(crate) fn show_problem(&self, problem: Problem) {
        self.shown.send_modify(|shown| shown.problems = vec![problem]);
        self.count.send_modify(|count| *count = count.wrapping_add(1));
    }
}
