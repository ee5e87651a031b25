//! The app's own migration framework, run from a sealed revision's directory with its environment and secrets: asked what is
//! pending, and told to carry it out. Never backwards.

use std::time::{Duration, Instant};

use switchover_migration::framework::{alembic, django};
use switchover_model::Problem;
use switchover_model::config::{AppConfig, Commands, Database, Framework};
use switchover_model::framework::{Listed, Order, Pending, Step};
use switchover_model::revision::Revision;

use crate::builder::{HOOK_VARIABLE, hooks_of};
use crate::environment::{Sealed, Variables};
use crate::group_run::{self, Ran, Run};
use crate::headroom;
use crate::layout::{Layout, RevisionDir};
use crate::schema;
use crate::seal;
use crate::verdict::{Words, verdict};

/// How long a statement that others could meet waits for its lock in one try: they wait behind it.
const LOCK_TRY: Duration = Duration::from_millis(40);
/// Between two tries at first; it doubles up to the second.
const PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long a command that only shows may take.
const SHOW: Duration = Duration::from_secs(300);
/// The most that such a command may print, in bytes.
const MOST_PRINTED: usize = 4 << 20;
/// The most migrations whose SQL is asked for.
const MOST_PENDING: usize = 500;
/// How PostgreSQL and its drivers say that a lock was not to be had: 55P03, 40P01.
const NO_LOCK: [&str; 5] = ["lock timeout", "LockNotAvailable", "55P03", "deadlock detected", "DeadlockDetected"];

/// Where the framework of one revision is run.
pub(crate) struct Bench {
    rules: Database,
    framework: Framework,
    dir: RevisionDir,
    contents: Sealed,
    variables: Variables,
    mark: String,
}

impl Bench {
    pub(crate) fn open(layout: &Layout, config: &AppConfig, revision: &Revision, step: Step) -> Result<Self, Problem> {
        let rules = config.database.clone();
        let framework = rules.as_ref().and_then(|rules| rules.framework().cloned());
        let (Some(rules), Some(framework)) = (rules, framework) else {
            let cause = "the app's schema is not changed by a framework of its own any more.";
            return Err(Problem::new("FRAMEWORK-MISSING", cause, "Look at [database] in switchover.toml."));
        };
        let dir = layout.revision(&config.name, revision.id);
        let contents = Sealed::read(&dir).map_err(|_| seal::missing(revision.id))?;
        let mut variables = contents.variables();
        let own = [
            ("SWITCHOVER_APP", config.name.to_string()),
            ("SWITCHOVER_REVISION", revision.id.to_string()),
            ("SWITCHOVER_STEP", step.to_string()),
        ];
        variables.extend(own.map(|(name, value)| (name.to_owned(), value)));
        if let Some(schema) = &revision.schema {
            schema::variables(&config.name, revision.id, schema, &mut variables);
        }
        let mark = format!("{}/framework-{}", hooks_of(layout, &config.name), revision.id);
        Ok(Self { rules, framework, dir, contents, variables, mark })
    }

    // === what is pending ===

    pub(crate) async fn pending(&self, shows_sql: bool) -> Result<Listed, Problem> {
        match &self.framework {
            Framework::Django { command } => self.of_django(command, shows_sql).await,
            Framework::Alembic { command } => self.of_alembic(command, shows_sql).await,
            Framework::Commands(commands) => self.of_commands(commands, shows_sql).await,
        }
    }

    async fn of_django(&self, command: &str, shows_sql: bool) -> Result<Listed, Problem> {
        let list = words(command, &django::PLAN);
        let printed = self.ask(&list, &[]).await?;
        let names = |read: Result<Vec<django::Name>, String>| read.map_err(|line| unreadable(&list, &line));
        let known = names(django::known(&printed))?.iter().map(ToString::to_string).collect();
        let mut pending = Vec::new();
        for name in bounded(names(django::pending(&printed))?)? {
            let sql = if shows_sql { self.ask(&words(command, &name.sqlmigrate()), &[]).await? } else { String::new() };
            pending.push(django::with_sql(&name, &sql));
        }
        Ok(Listed { known: Some(known), pending })
    }

    async fn of_alembic(&self, command: &str, shows_sql: bool) -> Result<Listed, Problem> {
        let history = words(command, &["history"]);
        let printed = self.ask(&history, &[]).await?;
        let current = self.ask(&words(command, &["current"]), &[]).await?;
        let known = alembic::known(&printed).map_err(|why| unreadable(&history, &why))?;
        let steps = alembic::pending(&printed, &current).map_err(|why| unreadable(&history, &why))?;
        let mut pending = Vec::new();
        for step in bounded(steps)? {
            if !shows_sql {
                pending.push(alembic::with_sql(&step, ""));
                continue;
            }
            let shows = step.sql();
            let shown = self.ask(&words(command, &shows.each_ref().map(String::as_str)), &[]).await;
            pending.push(match shown {
                Ok(sql) => alembic::with_sql(&step, &sql),
                // Code that asks the database for something has no SQL to show.
                Err(_) => Pending { runs_code: true, ..alembic::with_sql(&step, "") },
            });
        }
        Ok(Listed { known: Some(known), pending })
    }

    async fn of_commands(&self, commands: &Commands, shows_sql: bool) -> Result<Listed, Problem> {
        let mut pending = Vec::new();
        let steps = [Some(Step::Expand), commands.contract.is_some().then_some(Step::Contract)];
        for step in steps.into_iter().flatten() {
            let printed = self.ask(&commands.status, &[("SWITCHOVER_STEP", step.as_str())]).await?;
            let names = printed.lines().map(str::trim).filter(|name| !name.is_empty());
            for name in bounded(names.collect())? {
                let sql = match &commands.sql {
                    Some(command) if shows_sql => {
                        let own = [("SWITCHOVER_STEP", step.as_str()), ("SWITCHOVER_MIGRATION", name)];
                        Some(self.ask(command, &own).await?)
                    }
                    Some(_) | None => None,
                };
                pending.push(Pending { name: name.to_owned(), bound: Some(step), sql, runs_code: false });
            }
        }
        Ok(Listed { known: None, pending })
    }

    /// What a command prints that changes nothing.
    async fn ask(&self, command: &str, own: &[(&str, &str)]) -> Result<String, Problem> {
        let mut variables = self.variables.clone();
        variables.extend(own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let ran = self.start(command, variables, SHOW, Some(MOST_PRINTED)).await?;
        self.verdict(&ran, command, SHOW)?;
        String::from_utf8(ran.answer).map_err(|_| unreadable(command, "it is not UTF-8"))
    }

    // === carrying out ===

    pub(crate) async fn migrate(&self, order: &Order) -> Result<Vec<String>, Problem> {
        if let Framework::Commands(commands) = &self.framework {
            let command = match order.step {
                Step::Expand => Some(&commands.expand),
                Step::Contract => commands.contract.as_ref(),
            };
            let Some(command) = command else { return Ok(Vec::new()) };
            return self.carry_out(command, order.pending.iter().all(Pending::is_concurrent)).await;
        }
        let mut output = Vec::new();
        if order.everything {
            return self.carry_out(&self.everything(), false).await;
        }
        for pending in &order.pending {
            output.extend(self.carry_out(&self.one(pending), pending.is_concurrent()).await?);
        }
        Ok(output)
    }

    fn everything(&self) -> String {
        match &self.framework {
            Framework::Django { command } => words(command, &["migrate", "--no-input"]),
            Framework::Alembic { command } => words(command, &["upgrade", "head"]),
            Framework::Commands(commands) => commands.expand.clone(),
        }
    }

    /// What carries one migration out, of which it is known that everything before it is.
    fn one(&self, pending: &Pending) -> String {
        match &self.framework {
            Framework::Django { command } => {
                let (app, name) = pending.name.split_once('.').unwrap_or((&pending.name, ""));
                let name = django::Name { app: app.to_owned(), name: name.to_owned() };
                words(command, &name.migrate())
            }
            Framework::Alembic { command } => words(command, &["upgrade", &pending.name]),
            Framework::Commands(commands) => commands.expand.clone(),
        }
    }

    /// Runs a command until it had its locks, or had time enough for that.
    ///
    /// What is built concurrently makes nobody wait and leaves something half built when it gives up: it has all the time at
    /// once and is not run again.
    async fn carry_out(&self, command: &str, is_concurrent: bool) -> Result<Vec<String>, Problem> {
        let patience = self.rules.lock_timeout.to_std();
        let timeout = self.rules.backfill_timeout.to_std();
        let mut variables = self.variables.clone();
        let lock = if is_concurrent { patience } else { LOCK_TRY };
        schema::with_lock_timeout(&mut variables, &self.rules.url, lock.as_millis());
        let begun = Instant::now();
        let mut pause = PAUSE;
        loop {
            let ran = self.start(command, variables.clone(), timeout, None).await?;
            let problem = match self.verdict(&ran, command, timeout) {
                Ok(lines) => return Ok(lines),
                Err(problem) => problem,
            };
            let had_no_lock = ran.last_lines.iter().any(|line| NO_LOCK.iter().any(|words| line.contains(words)));
            if is_concurrent || !had_no_lock {
                return Err(problem);
            }
            if begun.elapsed() + pause > patience {
                let cause = format!(
                    "`{command}` did not get its locks within {}, {} ms at a time.",
                    self.rules.lock_timeout,
                    LOCK_TRY.as_millis()
                );
                let next = "End the long transactions on these tables (`pg_stat_activity`), or raise `lock_timeout` in \
                            [database]; then deploy again.";
                return Err(Problem::new("FRAMEWORK-LOCKED", cause, next).with_detail(problem.detail));
            }
            tokio::time::sleep(jittered(pause)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn start(
        &self,
        command: &str,
        variables: Variables,
        timeout: Duration,
        answers: Option<usize>,
    ) -> Result<Ran, Problem> {
        let run = Run {
            command,
            directory: &self.dir.tree(),
            variables,
            mark: (HOOK_VARIABLE, self.mark.clone()),
            timeout,
            log: None,
            answers,
            input: None,
        };
        group_run::run(run).await.map_err(|error| headroom::state_problem(&format!("running `{command}`"), &error))
    }

    fn verdict(&self, ran: &Ran, command: &str, timeout: Duration) -> Result<Vec<String>, Problem> {
        let words = Words {
            failed: "FRAMEWORK-FAILED",
            timed_out: "FRAMEWORK-TIMED-OUT",
            what: format!("`{command}`"),
            place: match self.framework {
                Framework::Django { .. } | Framework::Alembic { .. } => "database.command",
                Framework::Commands(_) => "database.commands",
            },
        };
        verdict(ran, command, timeout, &self.contents, &words)
    }
}

/// A command with words behind it, each as it is for the shell.
fn words(command: &str, words: &[&str]) -> String {
    let mut line = command.trim().to_owned();
    for word in words {
        line.push(' ');
        if !word.is_empty() && word.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.:".contains(letter)) {
            line.push_str(word);
        } else {
            line.push_str(&format!("'{}'", word.replace('\'', r"'\''")));
        }
    }
    line
}

fn bounded<T>(pending: Vec<T>) -> Result<Vec<T>, Problem> {
    if pending.len() <= MOST_PENDING {
        return Ok(pending);
    }
    let cause = format!("{} migrations are pending, more than the {MOST_PENDING} that are looked at.", pending.len());
    let next = "Bring the database nearer to the app by hand, then deploy again.";
    Err(Problem::new("FRAMEWORK-UNREADABLE", cause, next))
}

fn unreadable(command: &str, line: &str) -> Problem {
    let cause = format!("what `{command}` printed is not what it should: {line}.");
    let next = "Run it by hand in the app's directory; only its answer may be on its standard output.";
    Problem::new("FRAMEWORK-UNREADABLE", cause, next)
}

/// Between half of `pause` and all of it: two that wait for each other do not meet again.
fn jittered(pause: Duration) -> Duration {
    let mut byte = [0];
    // Without randomness it is the whole pause.
    let part = getrandom::fill(&mut byte).map_or(1.0, |()| f64::from(byte[0]) / 255.0);
    pause.mul_f64(0.5 + part / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_one_word_of_the_shell() {
        assert_eq!(
            words("python manage.py ", &["sqlmigrate", "shop", "0001_a"]),
            "python manage.py sqlmigrate shop 0001_a"
        );
        assert_eq!(words("alembic", &["upgrade", "a; rm -r 'x'"]), r"alembic upgrade 'a; rm -r '\''x'\'''");
        assert_eq!(words("alembic", &["upgrade", "base:a1", "--sql"]), "alembic upgrade base:a1 --sql");
    }
}
