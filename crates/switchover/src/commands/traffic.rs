use switchover_model::answer::TrafficView;
use switchover_model::seam::TrafficSeen;

use crate::cli::Shared;
use crate::exit::Exit;
use crate::failure::Done;
use crate::say;
use crate::show::table::Table;

/// Show the current numbers of an app's traffic
#[derive(Debug, clap::Args)]
pub(crate) struct Traffic {}

impl Traffic {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let daemon = shared.daemon()?;
        let app = shared.app(&daemon).await?;
        let view: TrafficView = daemon.get(&format!("/v1/apps/{app}/traffic")).await?;
        if shared.json {
            say::json(&view);
            return Ok(Exit::Succeeded);
        }
        match &view.seen {
            None => say::line("unknown: the router could not be asked"),
            Some(seen) => lines(seen).into_iter().for_each(say::line),
        }
        Ok(Exit::Succeeded)
    }
}

fn lines(seen: &TrafficSeen) -> Vec<String> {
    let mut table = Table::new(&["revision", "share", "in flight", "upgrades", "answered", "5xx"], &[1, 2, 3, 4, 5]);
    let arms = seen.routes.iter().flat_map(|routes| &routes.arms);
    let share = |revision| arms.clone().find(|arm| arm.revision == revision).map(|arm| arm.share.basis_points());
    let mut revisions: Vec<_> = seen.ledger.by_revision.keys().copied().collect();
    revisions.extend(arms.clone().map(|arm| arm.revision));
    revisions.sort_unstable();
    revisions.dedup();
    for revision in revisions {
        let answered = seen.ledger.by_revision.get(&revision).map(|ledger| ledger.answered).unwrap_or_default();
        let count = |of: &std::collections::BTreeMap<_, u64>| of.get(&revision).copied().unwrap_or(0).to_string();
        table.row([
            revision.to_string(),
            share(revision).map(|points| format!("{} %", points / 100)).unwrap_or_default(),
            count(&seen.in_flight),
            count(&seen.upgrades),
            answered.iter().sum::<u64>().to_string(),
            answered[4].to_string(),
        ]);
    }
    let mut lines = table.lines();
    let own: u64 = seen.ledger.own.values().map(|own| own.count).sum();
    lines.push(format!(
        "accepted {}, in flight {}, left by clients {}, answered by the router itself {own}",
        seen.ledger.accepted, seen.ledger.in_flight, seen.ledger.aborted
    ));
    for (cause, own) in &seen.ledger.own {
        lines.push(format!("  {cause}: {} ({} lost)", own.count, own.lost));
    }
    if !seen.unrouted.is_empty() {
        lines.push("answered by the router itself, for no app:".to_owned());
        lines.extend(seen.unrouted.iter().map(|(cause, own)| format!("  {cause}: {} ({} lost)", own.count, own.lost)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use switchover_model::receipt::OwnLedger;

    use super::*;

    #[test]
    fn what_came_for_no_app_is_told_and_nothing_is_said_where_nothing_came() {
        let mut seen = TrafficSeen::default();
        assert!(!lines(&seen).join("\n").contains("no app"));
        seen.unrouted.insert("too-many-connections".to_owned(), OwnLedger { count: 3, lost: 3 });
        let told = lines(&seen).join("\n");
        assert!(told.ends_with("for no app:\n  too-many-connections: 3 (3 lost)"), "{told}");
    }
}
