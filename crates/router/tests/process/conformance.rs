//! The router does what every traffic must.

use switchover_model::seam::{Routes, Traffic};
use switchover_model::{AppName, RevisionId};
use switchover_testkit::conformance_traffic::{Request, TrafficBed};

use crate::bed::{Router, Upstream, routes, shop};

/// A router of two lanes, and one instance in each slot that answers with the slot's name.
struct Bed {
    router: Router,
    blue: Upstream,
    green: Upstream,
}

impl TrafficBed for Bed {
    fn app(&self) -> AppName {
        shop()
    }

    fn traffic(&self) -> &dyn Traffic {
        &self.router.client
    }

    fn routes(&self, version: u64, live: u32) -> Routes {
        routes(version, &[(1, live == 1, &[&self.blue]), (2, live == 2, &[&self.green])])
    }

    fn request_with(&self, fields: &[(&str, &str)]) -> (Request, Option<String>) {
        let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let answer = self.router.ask(&format!("GET / HTTP/1.1\r\nHost: shop\r\n{fields}Connection: close\r\n\r\n"));
        let by = [("blue", 1), ("green", 2)].into_iter().find(|(name, _)| answer.ends_with(name));
        let by = by.map_or(Request::Unanswered, |(_, revision)| Request::AnsweredBy(RevisionId(revision)));
        (by, answer.lines().find_map(|line| line.strip_prefix("Set-Cookie: ")).map(str::to_owned))
    }
}

fn with_bed(case: impl AsyncFnOnce(&dyn TrafficBed)) {
    let bed = Bed { router: Router::start(2), blue: Upstream::start("blue"), green: Upstream::start("green") };
    bed.router.block_on(case(&bed));
}

switchover_testkit::traffic_conformance!(with_bed);
