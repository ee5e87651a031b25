//! When a file comes into force: at once, or with the release that waits.

use switchover_model::ReleaseId;
use switchover_model::config::AppConfig;

use crate::app::App;
use crate::release::Release;

impl App {
    /// The newest release that one opened now would wait for: it has not ended its shift, or its undoing.
    pub(crate) fn busy_with(&self) -> Option<ReleaseId> {
        self.releases.iter().rev().find(|release| release.keeps_others_waiting()).map(|release| release.id)
    }

    /// A file that is applied is in force at once, and newer than what waits.
    pub(super) fn apply_file(&mut self, config: &AppConfig) {
        self.releases.iter_mut().for_each(|release| release.brings_policy = false);
        self.set_policy(config);
    }

    /// A file that is deployed is in force at once, unless its release waits: it changes nothing of the one that goes on.
    pub(super) fn deploy_by(&mut self, config: &AppConfig) {
        self.deploy_file = None;
        if self.config.is_some() && self.busy_with().is_some() {
            self.deploy_file = Some(config.clone());
        } else {
            self.set_policy(config);
        }
    }

    /// A release that has waited begins, and with it its file.
    pub(super) fn bring_policy(&mut self, id: ReleaseId) {
        let waited = self.releases.iter_mut().find(|release| release.id == id && release.brings_policy);
        let Some(release) = waited else { return };
        release.brings_policy = false;
        if let Some(config) = release.config.clone() {
            self.set_policy(&config);
        }
    }

    fn set_policy(&mut self, config: &AppConfig) {
        let same = self.config.as_ref().is_none_or(|before| before.route == config.route);
        if let Some(routes) = &mut self.routes
            && !same
        {
            routes.outdated = true;
        }
        self.config = Some(config.clone());
    }
}

impl Release {
    /// A newer release begins when this one has ended its shift, or its undoing.
    pub(crate) fn keeps_others_waiting(&self) -> bool {
        self.is_open() && (self.is_undoing() || self.stage() == Some(switchover_model::release::Stage::Shift))
    }
}
