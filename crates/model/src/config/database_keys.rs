//! The keys of `[database]`.

use crate::time::Span;

use super::keys::{COMMAND, INSIDE, Key, Kind, TextRule, breaks_env_name, key, required};
use super::{Part, names};

/// The longest name of a schema: what PostgreSQL keeps of a name (NAMEDATALEN - 1).
const LONGEST_NAME: usize = 63;

const VARIABLE: TextRule = TextRule {
    what: "the name of a variable",
    pattern: "^(?!PORT$)(?!SWITCHOVER_)[A-Za-z_][A-Za-z0-9_]*$",
    breaks: breaks_variable,
};
const NAME: TextRule = TextRule { what: "a name", pattern: "^[^\\u0000]{1,63}$", breaks: breaks_name };
const QUERY: TextRule = TextRule { what: "a query", pattern: "\\S", breaks: breaks_query };

pub(super) static DATABASE_KEYS: &[Key] = &[
    key(
        "url",
        Kind::Text(VARIABLE),
        Part::Revision,
        None,
        "url = \"DATABASE_URL\"",
        "The variable, of `[env]`, `--env` or the secrets file, that holds the database's URL. Without it: `DATABASE_URL`. Instances get it with their version's schema as `search_path`; `SWITCHOVER_SCHEMA` names that schema too.",
    ),
    key(
        "schema",
        Kind::Text(NAME),
        Part::Revision,
        None,
        "schema = \"public\"",
        "The schema whose tables change. Without it: `public`.",
    ),
    key(
        "migrations",
        Kind::Text(INSIDE),
        Part::Revision,
        None,
        "migrations = \"db/migrations\"",
        "The directory of the migrations, inside the app's directory: files of declared operations, and SQL files. What the new revision brings is expanded before its slot starts; what only the old one needed is contracted when nothing of the old one is left. See docs/database.md. One of `migrations`, `framework` and `commands` has to be there.",
    ),
    key(
        "framework",
        Kind::Choice(names::FRAMEWORK),
        Part::Revision,
        None,
        "framework = \"django\"",
        "The app's own framework makes the changes, run from the new revision's directory with its environment and secrets. Each pending migration's SQL is read first: what both revisions can live with is carried out in expand, what only the new one can live with in contract; what fits neither is refused. Nothing is ever run backwards. See docs/database.md.",
    ),
    key(
        "command",
        Kind::Text(COMMAND),
        Part::Revision,
        None,
        "command = \".venv/bin/python manage.py\"",
        "What the framework's own words are put behind. Without it: `python manage.py` for Django, `alembic` for Alembic.",
    ),
    key(
        "commands",
        Kind::Table(COMMANDS_KEYS),
        Part::Revision,
        None,
        "commands = { status = \"bin/migrate pending\", expand = \"bin/migrate expand\" }",
        "Commands of any other framework, in the place of `framework`. They run in the new revision's directory with its environment and secrets; `SWITCHOVER_STEP` is `expand` or `contract`.",
    ),
    key(
        "vouch",
        Kind::List(NAME),
        Part::Policy,
        None,
        "vouch = [\"shop.0006_fill\"]",
        "Migrations of the framework that run code which no SQL shows, by name: somebody has read it and answers for it that both revisions can live with it. Others are refused.",
    ),
    key(
        "lock_timeout",
        Kind::Duration { least: Span::from_millis(100) },
        Part::Policy,
        Some("1m"),
        "lock_timeout = \"1m\"",
        "How long one step may try for its locks, 40 ms at a time; then the release is undone.",
    ),
    key(
        "backfill_timeout",
        Kind::Duration { least: Span::from_secs(1) },
        Part::Policy,
        Some("24h"),
        "backfill_timeout = \"24h\"",
        "How long it may take to bring one table's rows in step, to build one index, or to compare one table.",
    ),
    key(
        "backfill_rate",
        Kind::Whole { least: 1, most: u32::MAX },
        Part::Policy,
        None,
        "backfill_rate = 5000",
        "How many rows a second are brought in step at most. Without it: as many as the other sessions leave room for.",
    ),
    key(
        "backfill_lag",
        Kind::Duration { least: Span::ZERO },
        Part::Policy,
        Some("10s"),
        "backfill_lag = \"10s\"",
        "How far a standby or subscriber may be behind before rows wait for it.",
    ),
    key(
        "old_rows",
        Kind::Choice(names::OLD_ROWS),
        Part::Policy,
        Some("refuse"),
        "old_rows = \"refuse\"",
        "What becomes of an older revision's value that only a check or NOT NULL of the newer one forbids: it is refused to the older one too (`refuse`), or let in (`accept`), and its row holds contract up, named, until it is mended. Decided by the policy when a migration is expanded.",
    ),
    key(
        "quiet",
        Kind::Duration { least: Span::ZERO },
        Part::Policy,
        Some("1m"),
        "quiet = \"1m\"",
        "How long no instance, request, session or write of an older version may have been seen before contract begins.",
    ),
    key(
        "attic",
        Kind::Duration { least: Span::ZERO },
        Part::Policy,
        Some("30d"),
        "attic = \"30d\"",
        "How long what contract took away can come back with its values.",
    ),
    key(
        "restore_point",
        Kind::Flag,
        Part::Policy,
        Some("true"),
        "restore_point = false",
        "Whether a named restore point is set right before the switch (`pg_create_restore_point`); its place in the log stands in the receipt. Where the server does not let us, that is noted and the release goes on.",
    ),
    key(
        "backup",
        Kind::Table(BACKUP_KEYS),
        Part::Policy,
        None,
        "backup = { command = \"./backup.sh\" }",
        "What must end well right before contract: a command that makes a backup, or sees that there is a fresh one. While it fails contract waits.",
    ),
    key(
        "invariant",
        Kind::Tables(INVARIANT_KEYS),
        Part::Policy,
        None,
        "[[database.invariant]]",
        "What must hold of the data, before the switch, during it and through the bake. A broken one undoes the release and shows the rows' keys.",
    ),
];

static COMMANDS_KEYS: &[Key] = &[
    required(key(
        "status",
        Kind::Text(COMMAND),
        Part::Revision,
        None,
        "status = \"bin/migrate pending\"",
        "Prints what is not carried out yet of the step in `SWITCHOVER_STEP`: names, one a line, in their order; nothing when all is done. It is asked before each run, so also after a crash.",
    )),
    required(key(
        "expand",
        Kind::Text(COMMAND),
        Part::Revision,
        None,
        "expand = \"bin/migrate expand\"",
        "Carries out what both revisions can live with, before the new one serves.",
    )),
    key(
        "contract",
        Kind::Text(COMMAND),
        Part::Revision,
        None,
        "contract = \"bin/migrate contract\"",
        "Carries out what only the new revision can live with, when nothing of the old one is left. Without it there is no such step.",
    ),
    key(
        "sql",
        Kind::Text(COMMAND),
        Part::Revision,
        None,
        "sql = \"bin/migrate sql\"",
        "Prints the SQL of the migration in `SWITCHOVER_MIGRATION`, which is read before anything runs. Without it what they do is not looked at: that both revisions can live with what stands in expand is yours to know.",
    ),
];

static BACKUP_KEYS: &[Key] = &[
    required(key(
        "command",
        Kind::Text(COMMAND),
        Part::Policy,
        None,
        "command = \"./backup.sh\"",
        "Run by `/bin/sh -c` in the revision's directory with its environment and its secrets.",
    )),
    key(
        "timeout",
        Kind::Duration { least: Span::from_secs(1) },
        Part::Policy,
        Some("1h"),
        "timeout = \"1h\"",
        "How long it may take; then its process group is killed and it counts as failed.",
    ),
];

static INVARIANT_KEYS: &[Key] = &[
    required(key("name", Kind::Text(NAME), Part::Policy, None, "name = \"orders have users\"", "What people call it.")),
    required(key(
        "query",
        Kind::Text(QUERY),
        Part::Policy,
        None,
        "query = \"SELECT id FROM orders WHERE user_id IS NULL\"",
        "Finds the rows that break it; the first column names each. It runs in a read-only transaction on the schema's own tables.",
    )),
    key(
        "timeout",
        Kind::Duration { least: Span::from_millis(10) },
        Part::Policy,
        Some("5s"),
        "timeout = \"5s\"",
        "How long the query may take. One that takes longer says nothing, and no data is never a pass.",
    ),
];

fn breaks_variable(text: &str) -> Option<String> {
    breaks_env_name(text)
}

fn breaks_name(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some("a name is empty".to_owned());
    }
    if text.contains('\0') {
        return Some("a name contains a zero byte".to_owned());
    }
    (text.len() > LONGEST_NAME).then(|| format!("\"{text}\" is longer than {LONGEST_NAME} bytes"))
}

fn breaks_query(text: &str) -> Option<String> {
    if text.trim().is_empty() {
        return Some("a query is empty".to_owned());
    }
    text.contains('\0').then(|| "a query contains a zero byte".to_owned())
}
