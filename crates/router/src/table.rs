//! The routing table: many apps' routes, compiled once, never changed, shared by all lanes.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use switchover_http1::RequestHead;
use switchover_model::seam::{Arm, Endpoint, Mirror, Part, Routes, Sticky, check_matches};
use switchover_model::{AppName, Problem, ProcessName, RevisionId, Share};

use crate::goals::GoalsTable;
use crate::ledger::Kind;
use crate::mirror::MirrorTable;
use crate::preview::{Admission, digest_from_hex};
use crate::rules::Rule;
use crate::split::{Bucket, Client, Deal, Group};
use crate::ticket::Way;

/// Longest host name that is looked up (RFC 1035 2.3.4), in bytes.
const HOST_BYTES_MAX: usize = 255;

/// All apps' routes, ready to be asked.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// The number it is put in force under.
    pub(crate) generation: u64,
    /// By place; `hosts` points here.
    pub(crate) apps: Vec<AppTable>,
    hosts: HashMap<Box<[u8]>, Found>,
    fallback: Option<usize>,
    /// The kept table could not be read: hosts that nobody names are not known to be unknown.
    pub(crate) is_incomplete: bool,
}

/// What a host leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// The app at this place of [`Table::apps`].
    App(usize),
    /// Its preview, whether one is shown now or not.
    Preview(usize),
}

/// One app.
#[derive(Debug)]
pub(crate) struct AppTable {
    pub(crate) app: AppName,
    /// The version of its routes.
    pub(crate) version: u64,
    /// Newest revision first: it has the lowest buckets.
    pub(crate) arms: Vec<ArmTable>,
    pub(crate) deal: Deal,
    /// What tells its clients apart, where that decides anything; else their address does.
    pub(crate) sticky: Sticky,
    rules: Vec<Rule>,
    /// The buckets that are measured apart as the baseline.
    baseline: Range<u16>,
    /// Who gets copies of its requests.
    pub(crate) mirror: Option<MirrorTable>,
    /// What is counted of its clients, where an experiment asks for it; given when the table is whole.
    pub(crate) goals: Option<GoalsTable>,
    /// What its preview address shows now.
    pub(crate) preview: Option<PreviewTable>,
    /// It has a preview address.
    pub(crate) has_preview_host: bool,
    pub(crate) drain_ms: u64,
}

/// One slot's part.
#[derive(Debug)]
pub(crate) struct ArmTable {
    pub(crate) revision: RevisionId,
    pub(crate) share: Share,
    /// Why requests may be led here.
    pub(crate) parts: Vec<Part>,
    pub(crate) processes: Vec<ProcessTable>,
    /// Longest first, each with the place of its process.
    prefixes: Vec<(Box<[u8]>, usize)>,
}

/// One routed process type.
#[derive(Debug)]
pub(crate) struct ProcessTable {
    pub(crate) process: ProcessName,
    pub(crate) endpoints: Vec<Endpoint>,
}

/// The preview address.
#[derive(Debug)]
pub(crate) struct PreviewTable {
    pub(crate) admission: Admission,
    pub(crate) arm: ArmTable,
}

impl Table {
    /// A table that knows nothing, and knows that.
    pub(crate) fn unreadable(generation: u64) -> Self {
        Self { generation, is_incomplete: true, ..Self::default() }
    }

    /// Compiles the routes of all apps.
    ///
    /// Errors: what the routes of one app can not be, and a host that two apps claim.
    pub(crate) fn compile<'a>(
        generation: u64,
        all: impl IntoIterator<Item = &'a Routes>,
        is_incomplete: bool,
    ) -> Result<Self, Problem> {
        let mut table = Self { generation, is_incomplete, ..Self::default() };
        let mut claimed: BTreeMap<Box<[u8]>, AppName> = BTreeMap::new();
        for routes in all {
            let place = table.apps.len();
            if routes.hosts.is_empty() {
                if let Some(other) = table.fallback {
                    return Err(host_taken(&routes.app, "every host", &table.apps[other].app));
                }
                table.fallback = Some(place);
            }
            let named = routes.hosts.iter().map(|host| (host, Found::App(place)));
            let shown = routes.preview.as_ref().map(|preview| &preview.host);
            let reserved = routes.preview_host.as_ref().filter(|host| Some(*host) != shown);
            let preview = shown.into_iter().chain(reserved).map(|host| (host, Found::Preview(place)));
            for (host, found) in named.chain(preview) {
                let key: Box<[u8]> = host.as_str().as_bytes().into();
                if let Some(other) = claimed.insert(key.clone(), routes.app.clone()) {
                    return Err(host_taken(&routes.app, host.as_str(), &other));
                }
                table.hosts.insert(key, found);
            }
            table.apps.push(AppTable::compile(routes)?);
        }
        Ok(table)
    }

    /// What the `Host` of a request leads to; a port and a dot at the end do not matter (RFC 9110 4.2.3).
    pub(crate) fn find(&self, host: Option<&[u8]>) -> Option<Found> {
        let mut buffer = [0; HOST_BYTES_MAX];
        let name = host.and_then(|host| lowered(without_port(host), &mut buffer));
        name.and_then(|name| self.hosts.get(name).copied()).or(self.fallback.map(Found::App))
    }

    /// The app that a request nobody has read is for: the only one, or the one for every host.
    pub(crate) fn app_of_unread(&self) -> Option<usize> {
        if self.apps.len() == 1 { Some(0) } else { self.fallback }
    }

    /// The arm that a way leads through.
    pub(crate) fn arm(&self, way: Way) -> &ArmTable {
        let app = &self.apps[way.app];
        match (way.kind, &app.preview) {
            (Kind::Preview, Some(preview)) => &preview.arm,
            (Kind::Preview, None) | (Kind::Live, _) => &app.arms[way.arm],
        }
    }

    /// Where this table leads a request that table `from` led `way`.
    pub(crate) fn same_way(&self, from: &Self, way: Way) -> Option<Way> {
        let (app, arm_there) = (&from.apps[way.app].app, from.arm(way));
        let process = &arm_there.processes[way.process].process;
        let place = self.apps.iter().position(|known| known.app == *app)?;
        let known = &self.apps[place];
        let bucket = known.bucket_of(way.client);
        let (arm, number, part) = match way.kind {
            Kind::Live => {
                let matched = || known.matched_arm_of(arm_there.revision);
                let matched = if way.part == Part::Matched { matched() } else { None };
                let number = matched.or_else(|| known.arm_of(bucket))?;
                let part = if matched.is_some() { Part::Matched } else { known.part_of(bucket) };
                (&known.arms[number], number, part)
            }
            Kind::Preview => (&known.preview.as_ref()?.arm, 0, way.part),
        };
        Some(Way { app: place, arm: number, process: arm.place_of(process)?, part, bucket, ..way })
    }

    /// Whether an instance of the app's `process` is listed where requests of this kind may go.
    pub(crate) fn lists(&self, app: &AppName, process: &ProcessName, kind: Kind) -> bool {
        let Some(known) = self.apps.iter().find(|known| known.app == *app) else { return false };
        match kind {
            Kind::Live => known.lists(process),
            Kind::Preview => known.preview.as_ref().is_some_and(|preview| preview.arm.lists(process)),
        }
    }
}

impl AppTable {
    /// Whether an instance of `process` is listed in any slot, whatever its share.
    pub(crate) fn lists(&self, process: &ProcessName) -> bool {
        self.arms.iter().any(|arm| arm.lists(process))
    }

    fn compile(routes: &Routes) -> Result<Self, Problem> {
        let sum: u32 = routes.arms.iter().map(|arm| u32::from(arm.share.basis_points())).sum();
        if sum != 0 && sum != u32::from(Share::ALL.basis_points()) {
            return Err(invalid(&routes.app, &format!("its shares sum to {sum} basis points")));
        }
        let mut arms =
            routes.arms.iter().map(|arm| ArmTable::compile(&routes.app, arm)).collect::<Result<Vec<_>, _>>()?;
        arms.sort_by_key(|arm| std::cmp::Reverse(arm.revision));
        if arms.windows(2).any(|pair| pair[0].revision == pair[1].revision) {
            return Err(invalid(&routes.app, "one revision has two arms"));
        }
        if let Some(goals) = &routes.goals {
            goals.check().map_err(|error| invalid(&routes.app, &error.to_string()))?;
        }
        let rules = rules(routes, &arms)?;
        for rule in &rules {
            arms[rule.arm].may_get(Part::Matched);
        }
        let baseline = baseline(routes, &mut arms);
        let splits = arms.iter().filter(|arm| arm.share != Share::NONE).count() > 1 || !rules.is_empty();
        let preview = routes.preview.as_ref().map(|preview| {
            let digest = digest_from_hex(&preview.token_digest)
                .ok_or_else(|| invalid(&routes.app, "the preview's token digest is no SHA-256"))?;
            let networks = preview
                .networks
                .iter()
                .map(|network| network.parse().map_err(|fault| invalid(&routes.app, &format!("{fault}"))))
                .collect::<Result<_, _>>()?;
            let admission = Admission { digest, networks };
            Ok(PreviewTable { admission, arm: ArmTable::compile(&routes.app, &preview.arm)? })
        });
        Ok(Self {
            app: routes.app.clone(),
            version: routes.version,
            deal: Deal::new(&routes.app, arms.first().map_or(RevisionId(0), |newest| newest.revision)),
            arms,
            sticky: if splits { routes.sticky.clone() } else { Sticky::Address },
            rules,
            baseline,
            mirror: mirror(routes)?,
            goals: None,
            preview: preview.transpose()?,
            has_preview_host: routes.preview.is_some() || routes.preview_host.is_some(),
            drain_ms: routes.drain_ms,
        })
    }

    /// The bucket of a client.
    pub(crate) fn bucket_of(&self, client: Client) -> Bucket {
        client.bucket(self.deal)
    }

    /// The group of a client that goals are counted by.
    pub(crate) fn group_of(&self, client: Client) -> Group {
        client.group(self.deal)
    }

    /// The place of the arm that the first rule that a request meets leads to.
    pub(crate) fn matched(&self, head: &RequestHead<'_>) -> Option<usize> {
        self.rules.iter().find(|rule| rule.is_met(head)).map(|rule| rule.arm)
    }

    /// The place of this revision's arm, where a rule leads to it.
    fn matched_arm_of(&self, revision: RevisionId) -> Option<usize> {
        self.rules.iter().map(|rule| rule.arm).find(|arm| self.arms[*arm].revision == revision)
    }

    /// What a request of this bucket is measured as, in the arm that its share leads it to.
    pub(crate) fn part_of(&self, bucket: Bucket) -> Part {
        if self.baseline.contains(&bucket.0) { Part::Baseline } else { Part::Share }
    }

    /// The place of the arm whose share this bucket falls into.
    ///
    /// Guarantees: raising an arm's share never moves a client away from it, lowering it moves the last ones in back.
    pub(crate) fn arm_of(&self, bucket: Bucket) -> Option<usize> {
        let mut end = 0;
        self.arms.iter().position(|arm| {
            end += arm.share.basis_points();
            bucket.0 < end
        })
    }
}

impl ArmTable {
    /// Whether any request may be led here.
    pub(crate) fn is_served(&self) -> bool {
        self.share != Share::NONE || self.parts.contains(&Part::Matched)
    }

    fn may_get(&mut self, part: Part) {
        if !self.parts.contains(&part) {
            self.parts.push(part);
        }
    }

    /// The place of a process type.
    pub(crate) fn place_of(&self, process: &ProcessName) -> Option<usize> {
        self.processes.iter().position(|known| known.process == *process)
    }

    /// Whether it lists an instance of `process`.
    fn lists(&self, process: &ProcessName) -> bool {
        self.processes.iter().any(|known| known.process == *process && !known.endpoints.is_empty())
    }

    fn compile(app: &AppName, arm: &Arm) -> Result<Self, Problem> {
        let mut prefixes = Vec::new();
        let mut processes = Vec::new();
        for (place, routed) in arm.processes.iter().enumerate() {
            for path in &routed.paths {
                if !path.starts_with('/') {
                    return Err(invalid(app, &format!("the path \"{path}\" does not begin with \"/\"")));
                }
                prefixes.push((path.trim_end_matches('/').as_bytes().into(), place));
            }
            processes.push(ProcessTable { process: routed.process.clone(), endpoints: routed.endpoints.clone() });
        }
        prefixes.sort_by(|(a, _): &(Box<[u8]>, usize), (b, _)| b.len().cmp(&a.len()).then(a.cmp(b)));
        if prefixes.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(invalid(app, "two processes claim the same path"));
        }
        Ok(Self { revision: arm.revision, share: arm.share, parts: vec![Part::Share], processes, prefixes })
    }

    /// The place of the process whose path prefix is the longest that `path` begins with, at a segment boundary.
    pub(crate) fn process_of(&self, path: &[u8]) -> Option<usize> {
        let matches = |prefix: &[u8]| {
            prefix.is_empty() || (path.starts_with(prefix) && matches!(path.get(prefix.len()), None | Some(b'/')))
        };
        self.prefixes.iter().find(|(prefix, _)| matches(prefix)).map(|(_, place)| *place)
    }
}

/// The rules with the places of their arms.
fn rules(routes: &Routes, arms: &[ArmTable]) -> Result<Vec<Rule>, Problem> {
    check_matches(&routes.matches).map_err(|error| invalid(&routes.app, &error.to_string()))?;
    let arm_of = |revision: RevisionId| arms.iter().position(|arm| arm.revision == revision);
    let placed = routes.matches.iter().map(|rule| {
        let arm = arm_of(rule.revision)
            .filter(|_| routes.arms.iter().any(|arm| (arm.slot, arm.revision) == (rule.slot, rule.revision)));
        let cause =
            || invalid(&routes.app, &format!("a rule leads to {} in {}, which has no arm", rule.revision, rule.slot));
        Ok(Rule::new(rule, arm.ok_or_else(cause)?))
    });
    placed.collect()
}

fn mirror(routes: &Routes) -> Result<Option<MirrorTable>, Problem> {
    let compile = |mirror: &Mirror| {
        mirror.rules.check().map_err(|error| invalid(&routes.app, &error.to_string()))?;
        Ok(MirrorTable::new(mirror, ArmTable::compile(&routes.app, &mirror.arm)?))
    };
    routes.mirror.as_ref().map(compile).transpose()
}

/// The buckets of the baseline: as many of its slot as the other one has, those nearest to the border between them.
fn baseline(routes: &Routes, arms: &mut [ArmTable]) -> Range<u16> {
    let Some(slot) = routes.baseline else { return 0..0 };
    let mut served = arms.iter_mut().filter(|arm| arm.share != Share::NONE);
    let (Some(first), Some(second), None) = (served.next(), served.next(), served.next()) else { return 0..0 };
    let is_its = |arm: &ArmTable| routes.arms.iter().any(|known| (known.slot, known.revision) == (slot, arm.revision));
    let border = first.share.basis_points();
    let size = border.min(second.share.basis_points());
    match (is_its(first), is_its(second)) {
        (false, true) => {
            second.may_get(Part::Baseline);
            border..border + size
        }
        (true, false) => {
            first.may_get(Part::Baseline);
            border - size..border
        }
        (true, true) | (false, false) => 0..0,
    }
}

fn without_port(host: &[u8]) -> &[u8] {
    if host.starts_with(b"[") {
        let end = host.iter().position(|byte| *byte == b']').map_or(host.len(), |at| at + 1);
        return &host[..end];
    }
    let host = host.split(|byte| *byte == b':').next().unwrap_or(host);
    host.strip_suffix(b".").unwrap_or(host)
}

fn lowered<'a>(host: &[u8], buffer: &'a mut [u8; HOST_BYTES_MAX]) -> Option<&'a [u8]> {
    let place = buffer.get_mut(..host.len())?;
    place.copy_from_slice(host);
    place.make_ascii_lowercase();
    Some(place)
}

fn host_taken(app: &AppName, host: &str, other: &AppName) -> Problem {
    Problem::new(
        "HOST-TAKEN",
        format!("{app} wants to answer for {host}, which {other} answers for."),
        "Give each app its own hosts in [route].",
    )
}

fn invalid(app: &AppName, cause: &str) -> Problem {
    Problem::new("ROUTES-INVALID", format!("the routes of {app} can not be served: {cause}."), "Report this as a bug.")
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
