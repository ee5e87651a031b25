//! What the role that changes the schema has to be allowed, looked at before anything of a phase begins.

use std::collections::BTreeSet;

use switchover_migration::Ident;
use switchover_migration::plan::{Piece, Planned, Step, Work};
use switchover_model::Problem;
use tokio_postgres::{Client, Row};

use crate::error::refuse_for;
use crate::migrator::MigrateError;

/// The code of what a role may not.
const MISSING: &str = "RIGHTS-MISSING";

/// Whether the role may make what is ours in this database, or change what is there of it.
///
/// Errors: it may not make our schema, or something in it belongs to another role.
pub(crate) async fn of_ours(client: &Client) -> Result<(), MigrateError> {
    let known = "SELECT pg_catalog.to_regnamespace('switchover') IS NOT NULL, quote_ident(current_user),
                        quote_ident(pg_catalog.current_database()),
                        pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')";
    let row = client.query_one(known, &[]).await?;
    let (is_there, role, database): (bool, String, String) = (row.get(0), row.get(1), row.get(2));
    if !is_there {
        return if row.get(3) { Ok(()) } else { refuse_for(vec![may_not_create_schemas(&role, &database)]) };
    }
    // Whoever makes something in it owns that, so the rights of one role are enough to look at.
    let foreign = "
        WITH ours (owner) AS (
            SELECT relowner FROM pg_catalog.pg_class WHERE relnamespace = 'switchover'::regnamespace AND relkind IN ('r', 'S')
             UNION SELECT proowner FROM pg_catalog.pg_proc WHERE pronamespace = 'switchover'::regnamespace)
        SELECT quote_ident(pg_catalog.pg_get_userbyid(owner)), pg_catalog.pg_has_role(owner, 'MEMBER')
          FROM ours WHERE NOT pg_catalog.pg_has_role(owner, 'USAGE') ORDER BY 1";
    let mut problems: Vec<Problem> = client
        .query(foreign, &[])
        .await?
        .iter()
        .map(|row| belongs("what is in schema switchover", row, 0, &role))
        .collect();
    let may_create = "SELECT pg_catalog.has_schema_privilege('switchover', 'CREATE')";
    if problems.is_empty() && !client.query_one(may_create, &[]).await?.get::<_, bool>(0) {
        let cause = format!("{role} may not create anything in schema switchover, where the state is kept.");
        problems.push(Problem::new(MISSING, cause, format!("GRANT CREATE, USAGE ON SCHEMA switchover TO {role}.")));
    }
    refuse_for(problems)
}

/// Whether the role may use the tables' schema at all.
///
/// Errors: it may not.
pub(crate) async fn of_use(client: &Client, schema: &Ident) -> Result<(), MigrateError> {
    let known = "SELECT quote_ident(current_user), $1::text::regnamespace::text, pg_catalog.has_schema_privilege($1::text::regnamespace::oid, 'USAGE')";
    let row = client.query_one(known, &[&schema.to_string()]).await?;
    if row.get(2) {
        return Ok(());
    }
    let (role, schema): (String, String) = (row.get(0), row.get(1));
    let cause = format!("{role} may not use schema {schema}.");
    refuse_for(vec![Problem::new(MISSING, cause, format!("GRANT USAGE ON SCHEMA {schema} TO {role}."))])
}

/// What a phase needs of the tables' schema.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    /// Tables and indexes that are changed, each with all of its partitions.
    pub(crate) owned: BTreeSet<Ident>,
    /// Tables that new foreign keys refer to.
    pub(crate) referred: BTreeSet<Ident>,
    /// Constraints that are dropped: a foreign key among them comes along with its column, or comes back.
    pub(crate) dropped: BTreeSet<Ident>,
    /// Whether something is made, or gets another name, in the schema.
    pub(crate) creates: bool,
    /// Whether a version's schema is made.
    pub(crate) makes_version: bool,
}

impl Needs {
    /// What `steps` of a phase of `planned` need.
    pub(crate) fn of(planned: &Planned, steps: &[Step]) -> Self {
        let mut needs = Self { owned: planned.tables().into_iter().cloned().collect(), ..Self::default() };
        for step in steps {
            needs.owned.extend(step.lock.as_ref().map(|(_, table)| table.name.clone()));
            match &step.work {
                Work::BuildIndex { build, .. } => {
                    needs.owned.insert(build.on.name.clone());
                    needs.creates = true;
                }
                Work::DropIndex { index, .. } => {
                    needs.owned.insert(index.name.clone());
                }
                Work::Together(_)
                | Work::ForeignKey { .. }
                | Work::Evaluate(_)
                | Work::Alone { .. }
                | Work::Validate { .. }
                | Work::Backfill(_)
                | Work::Check(_) => {}
            }
        }
        for piece in &planned.pieces {
            match piece {
                Piece::DroppedIndex { index } => {
                    needs.owned.insert(index.clone());
                }
                Piece::DroppedConstraint { constraint, .. } => {
                    needs.dropped.insert(constraint.clone());
                }
                Piece::RenamedIndex { from, .. } => {
                    needs.owned.insert(from.clone());
                    needs.creates = true;
                }
                Piece::MadeTable { .. }
                | Piece::MadeIndex { .. }
                | Piece::MadeKey { .. }
                | Piece::RenamedTable { .. }
                | Piece::DroppedTable { .. }
                | Piece::ReplacedStatistics { .. } => needs.creates = true,
                Piece::MadeColumn { .. }
                | Piece::ReplacedColumn { .. }
                | Piece::MadeConstraint { .. }
                | Piece::NewerRule { .. }
                | Piece::Settings { .. }
                | Piece::DroppedColumn { .. }
                | Piece::MovedSequence { .. }
                | Piece::RenamedConstraint { .. }
                | Piece::SetReplicaIdentity { .. }
                | Piece::RenamedColumn { .. }
                // What they need is theirs to say.
                | Piece::Sql { .. } => {}
            }
        }
        needs
    }

    /// Whether the role has what is needed.
    ///
    /// Errors: everything that it may not, at once.
    pub(crate) async fn look(&self, client: &Client, schema: &Ident) -> Result<(), MigrateError> {
        let known = "SELECT quote_ident(current_user), quote_ident(pg_catalog.current_database()), $1::text::regnamespace::text,
                            pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'),
                            pg_catalog.has_schema_privilege($1::text::regnamespace::oid, 'CREATE')";
        let row = client.query_one(known, &[&schema.to_string()]).await?;
        let (role, database, written): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        let mut problems = Vec::new();
        if self.makes_version && !row.get::<_, bool>(3) {
            problems.push(may_not_create_schemas(&role, &database));
        }
        if self.creates && !row.get::<_, bool>(4) {
            let cause = format!("{role} may not create anything in schema {written}.");
            problems.push(Problem::new(MISSING, cause, format!("GRANT CREATE ON SCHEMA {written} TO {role}.")));
        }
        // `ALTER TABLE` goes to each partition, and asks for each.
        let foreign = "
            WITH RECURSIVE all_of (oid) AS (
                SELECT class.oid FROM pg_catalog.pg_class AS class
                 WHERE class.relnamespace = $1::text::regnamespace AND class.relname = ANY ($2) AND class.relkind IN ('r', 'p', 'i', 'I')
                 UNION SELECT inhrelid FROM pg_catalog.pg_inherits JOIN all_of ON inhparent = all_of.oid WHERE NOT inhdetachpending)
            SELECT class.oid::regclass::text, quote_ident(pg_catalog.pg_get_userbyid(class.relowner)), pg_catalog.pg_has_role(class.relowner, 'MEMBER')
              FROM all_of JOIN pg_catalog.pg_class AS class ON class.oid = all_of.oid
             WHERE NOT pg_catalog.pg_has_role(class.relowner, 'USAGE') ORDER BY 1 LIMIT 20";
        let names = |names: &BTreeSet<Ident>| names.iter().map(|name| name.as_str().to_owned()).collect::<Vec<_>>();
        for row in client.query(foreign, &[&schema.to_string(), &names(&self.owned)]).await? {
            let name: String = row.get(0);
            problems.push(belongs(&name, &row, 1, &role));
        }
        let referred = "
            SELECT DISTINCT class.oid::regclass::text FROM pg_catalog.pg_class AS class
             WHERE class.relkind IN ('r', 'p')
               AND (class.relnamespace = $1::text::regnamespace AND class.relname = ANY ($2) OR class.oid IN (
                    SELECT key.confrelid FROM pg_catalog.pg_constraint AS key JOIN pg_catalog.pg_class AS of ON of.oid = key.conrelid
                     WHERE of.relnamespace = $1::text::regnamespace AND of.relname = ANY ($3) AND key.conname = ANY ($4) AND key.contype = 'f'))
               AND NOT pg_catalog.has_table_privilege(class.oid, 'REFERENCES')
               AND NOT EXISTS (SELECT FROM pg_catalog.pg_index AS key WHERE key.indrelid = class.oid AND key.indisprimary
                       AND (SELECT bool_and(pg_catalog.has_column_privilege(class.oid, number, 'REFERENCES')) FROM unnest(key.indkey::int2[]) AS number))
             ORDER BY 1";
        let (referred_to, owned, dropped) = (names(&self.referred), names(&self.owned), names(&self.dropped));
        for row in client.query(referred, &[&schema.to_string(), &referred_to, &owned, &dropped]).await? {
            let table: String = row.get(0);
            let cause = format!("{role} may make no foreign key to {table}.");
            problems.push(Problem::new(MISSING, cause, format!("GRANT REFERENCES ON {table} TO {role}.")));
        }
        refuse_for(problems)
    }
}

fn may_not_create_schemas(role: &str, database: &str) -> Problem {
    let cause = format!("{role} may not create schemas in database {database}; each version is one.");
    Problem::new(MISSING, cause, format!("GRANT CREATE ON DATABASE {database} TO {role}."))
}

/// `what` belongs to the role in `row` at `column`; behind it stands whether ours is a member that does not use its rights.
fn belongs(what: &str, row: &Row, column: usize, role: &str) -> Problem {
    let owner: String = row.get(column);
    if row.get(column + 1) {
        let cause = format!("{what} belongs to {owner}, whose rights {role} has by SET ROLE alone.");
        let next = format!(
            "Have it inherit them: GRANT {owner} TO {role} WITH INHERIT TRUE (before PostgreSQL 16: ALTER ROLE {role} INHERIT). Or work as {owner}: ALTER ROLE {role} SET role = {owner}."
        );
        return Problem::new(MISSING, cause, next);
    }
    let cause = format!("{what} belongs to {owner}, and {role} is not one of them.");
    Problem::new(MISSING, cause, format!("Work as {owner}, or GRANT {owner} TO {role}."))
}
