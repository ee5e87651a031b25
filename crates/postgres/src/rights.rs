//! What the role that changes the schema has to be allowed, looked at before anything of a migration begins.

use std::collections::BTreeSet;

use switchover_migration::Ident;
use switchover_model::Problem;
use tokio_postgres::Client;

use crate::migrator::MigrateError;

/// The code of what a role may not.
const MISSING: &str = "RIGHTS-MISSING";

/// Whether the role may make or change what is ours in this database.
///
/// Errors: it may not make our schema, or that belongs to another role.
pub(crate) async fn of_ours(client: &Client) -> Result<(), MigrateError> {
    let row = client
        .query_one(
            "SELECT quote_ident(current_user), quote_ident(pg_catalog.current_database()), quote_ident(owner.rolname),
                    CASE WHEN ours.oid IS NULL THEN pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')
                         ELSE pg_catalog.pg_has_role(ours.nspowner, 'USAGE') END
               FROM (VALUES (1)) AS one LEFT JOIN pg_catalog.pg_namespace AS ours ON ours.nspname = 'switchover'
               LEFT JOIN pg_catalog.pg_roles AS owner ON owner.oid = ours.nspowner",
            &[],
        )
        .await?;
    if row.get(3) {
        return Ok(());
    }
    let (role, database): (String, String) = (row.get(0), row.get(1));
    Err(MigrateError::Refused(vec![match row.get::<_, Option<String>>(2) {
        Some(owner) => Problem::new(
            MISSING,
            format!("schema switchover, where the state is kept, belongs to {owner}, and {role} is not one of them."),
            format!("Work as {owner}, or GRANT {owner} TO {role}."),
        ),
        None => may_not_create(&role, &database),
    }]))
}

/// Whether the role may change these tables of `schema` and make a version beside them.
///
/// Errors: everything that it may not, at once.
pub(crate) async fn of_tables(client: &Client, schema: &Ident, tables: &BTreeSet<Ident>) -> Result<(), MigrateError> {
    let row = client
        .query_one(
            "SELECT quote_ident(current_user), quote_ident(pg_catalog.current_database()),
                    pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'),
                    pg_catalog.has_schema_privilege($1::text::regnamespace::oid, 'CREATE'),
                    $1::text::regnamespace::text",
            &[&schema.to_string()],
        )
        .await?;
    let (role, database): (String, String) = (row.get(0), row.get(1));
    let mut problems = Vec::new();
    if !row.get::<_, bool>(2) {
        problems.push(may_not_create(&role, &database));
    }
    if !row.get::<_, bool>(3) {
        let schema: String = row.get(4);
        let cause = format!("{role} may not create anything in schema {schema}.");
        problems.push(Problem::new(MISSING, cause, format!("GRANT CREATE ON SCHEMA {schema} TO {role}.")));
    }
    let names: Vec<&str> = tables.iter().map(Ident::as_str).collect();
    let others = client
        .query(
            "SELECT quote_ident(class.relname), quote_ident(pg_catalog.pg_get_userbyid(class.relowner))
               FROM pg_catalog.pg_class AS class JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
              WHERE namespace.nspname = $1 AND class.relname = ANY ($2) AND class.relkind IN ('r', 'p')
                AND NOT pg_catalog.pg_has_role(class.relowner, 'USAGE') ORDER BY class.relname",
            &[&schema.as_str(), &names],
        )
        .await?;
    for other in &others {
        let (table, owner): (String, String) = (other.get(0), other.get(1));
        let cause = format!("table {table} belongs to {owner}, and {role} is not one of them.");
        problems.push(Problem::new(MISSING, cause, format!("Work as {owner}, or GRANT {owner} TO {role}.")));
    }
    if problems.is_empty() { Ok(()) } else { Err(MigrateError::Refused(problems)) }
}

fn may_not_create(role: &str, database: &str) -> Problem {
    let cause = format!("{role} may not create schemas in database {database}; each version is one.");
    Problem::new(MISSING, cause, format!("GRANT CREATE ON DATABASE {database} TO {role}."))
}
