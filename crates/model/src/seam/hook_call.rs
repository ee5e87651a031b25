//! What a hook is told when it is called.

use crate::name::{Host, ReleaseId, Slot};
use crate::time::Span;

/// One call of a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookCall {
    /// Index in `AppConfig::release.hooks`.
    pub hook: usize,
    /// How long it may take: what is left of its time-out.
    pub limit: Span,
    /// The release it belongs to.
    pub release: ReleaseId,
    /// The slot looked at.
    pub slot: Slot,
    /// `SWITCHOVER_URL`: where the slot under test answers.
    pub url: String,
    /// The preview token, given as `SWITCHOVER_PREVIEW_TOKEN`.
    pub preview_token: String,
    /// What goes into `Host` for the preview address: `SWITCHOVER_PREVIEW_HOST`.
    pub preview_host: Option<Host>,
}
