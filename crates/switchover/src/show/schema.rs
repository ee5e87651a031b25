//! The schema of an app's database, in a few lines.

use console::style;
use switchover_model::schema::{Found, MigrationPhase, SchemaSeen};

/// What is there, what is being done, and what does not hold.
pub(crate) fn lines(seen: &SchemaSeen) -> Vec<String> {
    let mut lines = Vec::new();
    let pending: Vec<String> = seen
        .migrations
        .iter()
        .filter(|migration| migration.phase != MigrationPhase::Contracted)
        .map(|migration| format!("{} {}", migration.id.name, phase(migration.phase)))
        .collect();
    if let Some(framework) = &seen.framework {
        let waiting = match framework.waiting.join(", ") {
            none if none.is_empty() => String::new(),
            names => format!("; waits for contract: {names}"),
        };
        lines.push(format!("{}: changed by the app's own framework{waiting}", style("schema").bold()));
        lines.extend(rest(seen));
        return lines;
    }
    let settled = seen.migrations.len() - pending.len();
    let pending = if pending.is_empty() { String::new() } else { format!("; {}", pending.join(", ")) };
    let migrations = if settled == 1 { "migration" } else { "migrations" };
    lines.push(format!("{}: {settled} {migrations} contracted{pending}", style("schema").bold()));
    lines.extend(rest(seen));
    lines
}

/// What is being done, what can come back, and what does not hold.
fn rest(seen: &SchemaSeen) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(work) = &seen.doing {
        let rows = work.rows.map(|rows| format!(", {rows}")).unwrap_or_default();
        lines.push(format!("  {}{rows}", work.step));
        lines.extend(work.blockers.iter().map(|who| format!("  waits for {who}")));
    }
    for attic in &seen.attic {
        lines.push(format!("  what {} took away can come back until {}", attic.migration, attic.until));
    }
    for invariant in &seen.invariants {
        match &invariant.found {
            Found::Holds => {}
            Found::Broken { keys } => {
                lines.push(format!("  {} is broken by {}", style(&invariant.name).red(), keys.join(", ")));
            }
            Found::Unknown { why } => lines.push(format!("  whether {} holds is not known: {why}", invariant.name)),
        }
    }
    lines
}

const fn phase(phase: MigrationPhase) -> &'static str {
    match phase {
        MigrationPhase::Expanding => "is being expanded",
        MigrationPhase::Expanded => "expanded",
        MigrationPhase::Detached => "detached",
        MigrationPhase::Contracting => "is being contracted",
        MigrationPhase::Contracted => "contracted",
        MigrationPhase::Undoing => "is being taken back",
    }
}
