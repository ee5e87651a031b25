//! What a release's hooks have answered, kept for people: the journal has all of it.

use switchover_model::ReleaseId;
use switchover_model::config::AppConfig;
use switchover_model::hook_view::{HookView, HookWord};
use switchover_model::record::{Attempt, AttemptResult};

use crate::app::App;
use crate::fold::shortened;
use crate::release::{AttemptState, Release};

impl App {
    /// An attempt of `release` begins.
    pub(crate) fn start_attempt(&mut self, release: ReleaseId, state: AttemptState) {
        if let Some(known) = self.releases.iter_mut().find(|known| known.id == release) {
            known.ask(&state.what, self.config.as_ref());
            known.attempts.push(state);
        }
    }
}

impl Release {
    /// A hook is asked. `policy` is the app's own file, for a release that brings none.
    fn ask(&mut self, what: &Attempt, policy: Option<&AppConfig>) {
        let Attempt::Hook { stage, hook: index } = what else { return };
        let number = index + 1;
        if let Some(known) = self.hooks.iter_mut().find(|known| known.hook == number) {
            known.questions += 1;
            known.answer = HookWord::Asked;
            return;
        }
        let Some(hook) = self.config.as_ref().or(policy).and_then(|config| config.release.hooks.get(*index)) else {
            return;
        };
        self.hooks.push(HookView {
            hook: number,
            stage: *stage,
            when: hook.when,
            asks: shortened(&hook.asks.to_string()),
            questions: 1,
            answer: HookWord::Asked,
            output: Vec::new(),
        });
    }

    /// A hook has answered, or will not.
    pub(crate) fn hear(&mut self, what: &Attempt, result: &AttemptResult) {
        let Attempt::Hook { hook: index, .. } = what else { return };
        let Some(known) = self.hooks.iter_mut().find(|known| known.hook == index + 1) else { return };
        let (answer, output) = match result {
            AttemptResult::Passed { output } => (HookWord::Passed, Some(output)),
            AttemptResult::NotYet { output } => (HookWord::NotYet, Some(output)),
            AttemptResult::Failed { cause } => (HookWord::Failed, Some(&cause.detail)),
            AttemptResult::Cancelled => (HookWord::Cancelled, None),
            AttemptResult::Lost => (HookWord::Lost, None),
        };
        known.answer = answer;
        if let Some(output) = output {
            let last = &output[output.len().saturating_sub(HookView::LINES)..];
            known.output = last.iter().map(|line| line.chars().take(HookView::LINE).collect()).collect();
        }
    }
}
