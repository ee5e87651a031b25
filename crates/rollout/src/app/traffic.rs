//! Where an app's traffic goes and shall go.

use switchover_model::seam::{ArmGoal, RoutesGoal, Sticky};
use switchover_model::{Share, Slot, Span};

use super::App;
use crate::release::Release;
use crate::{limits, routes};

impl App {
    /// The slot and revision that were last seen to have all the traffic, or all that a step has left to them.
    #[must_use]
    pub fn live(&self) -> Option<ArmGoal> {
        self.in_force.as_ref().and_then(routes::main_arm)
    }

    /// The slot and revision that shall have all the traffic, or all that a step leaves to them.
    #[must_use]
    pub fn heading(&self) -> Option<ArmGoal> {
        self.routes.as_ref().and_then(|routes| routes::main_arm(&routes.goal))
    }

    /// Whether `slot` has a share of the traffic, or shall have one.
    #[must_use]
    pub fn leads_to(&self, slot: Slot) -> bool {
        let goals = self.routes.iter().map(|routes| &routes.goal).chain(&self.in_force);
        goals.into_iter().any(|goal| routes::share_of(goal, slot) != Share::NONE)
    }

    /// Number of the routes that shall be in force; 0 before the first.
    #[must_use]
    pub fn routes_version(&self) -> u64 {
        self.routes.as_ref().map_or(0, |routes| routes.version)
    }

    /// The routes that shall be in force, with their number ([`switchover_model::seam::Routes::version`]).
    #[must_use]
    pub fn routes(&self) -> Option<(u64, &RoutesGoal)> {
        self.routes.as_ref().map(|routes| (routes.version, &routes.goal))
    }

    /// What keeps a client on its side: by the file in force, and while the traffic is split by the one of the release that
    /// has split it, so that nobody is dealt anew.
    #[must_use]
    pub fn sticky(&self) -> Sticky {
        let is_split = self.routes.as_ref().is_some_and(|routes| routes::is_split(&routes.goal));
        // On its way back by batches too.
        let shares =
            |release: &&Release| release.at_step().is_some() || release.is_undoing() && !release.steps.is_empty();
        let splits = self.releases.iter().rev().filter(|_| is_split).find(shares);
        let file = splits.and_then(|release| release.config.as_ref()).or(self.config.as_ref());
        file.map(|config| config.route.sticky.clone()).unwrap_or_default()
    }

    /// How long requests on the slot that lost the traffic may go on.
    pub(crate) fn drain_limit(&self) -> Span {
        self.config.as_ref().map_or(limits::DRAIN, |config| config.route.drain)
    }
}
