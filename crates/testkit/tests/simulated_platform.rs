//! The simulated platform keeps the seam's promises.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use switchover_model::config::{Health, Stop, StopSignal};
use switchover_model::revision::{Digest, Revision, RevisionProcess, Source};
use switchover_model::seam::{InstanceSeen, Platform};
use switchover_model::{AppName, ProcessName, RevisionId, Span};
use switchover_testkit::conformance_platform::{Behaviour, GRACE, HEALTH_DEADLINE, Plan, PlatformBed};
use switchover_testkit::simulated_platform::{SimulatedPlatform, World};

struct Bed {
    world: World,
    platform: Arc<SimulatedPlatform>,
}

async fn bed() -> Bed {
    let world = World::new();
    Bed { platform: Arc::new(SimulatedPlatform::new(world.clone())), world }
}

#[async_trait]
impl PlatformBed for Bed {
    fn app(&self) -> AppName {
        "shop".parse().expect("an app name")
    }

    fn platform(&self) -> Arc<dyn Platform> {
        self.platform.clone()
    }

    async fn restart(&mut self) {
        self.platform = Arc::new(SimulatedPlatform::new(self.world.clone()));
    }

    async fn seal(&mut self, id: RevisionId, processes: &BTreeMap<ProcessName, Plan>) -> Revision {
        let process = |plan: &Plan| RevisionProcess {
            command: match plan.behaviour {
                Behaviour::Well => "app",
                Behaviour::NeverHealthy => "app never-healthy",
                Behaviour::ExitsAtOnce => "app exits",
                Behaviour::IgnoresStop => "app ignores-stop",
            }
            .to_owned(),
            health: plan.handover.is_none().then(|| Health {
                path: "/up".to_owned(),
                any_below_500: false,
                interval: Span::from_millis(100),
                timeout: Span::from_secs(1),
                deadline: HEALTH_DEADLINE,
            }),
            stop: Stop { signal: StopSignal::Term, grace: GRACE },
            handover: plan.handover,
        };
        Revision {
            id,
            artifact: Digest(String::new()),
            env: Digest(String::new()),
            secrets: None,
            processes: processes.iter().map(|(name, plan)| (name.clone(), process(plan))).collect(),
            probe_host: None,
            shared: Vec::new(),
            schema: None,
            source: Source::Revision { id },
            sealed_at: self.world.now(),
        }
    }

    async fn kill_app(&mut self, instance: &InstanceSeen) {
        self.world.kill(&instance.id);
    }

    async fn pause(&mut self) {
        self.world.advance(Span::from_millis(5));
    }

    async fn finish(self) {}
}

switchover_testkit::platform_conformance!(bed);
