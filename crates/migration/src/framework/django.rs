//! Django: `python manage.py showmigrations --plan`, and `python manage.py sqlmigrate APP NAME` for each pending one.

use super::Pending;

/// What Django writes in the place of an operation that is code (its `sqlmigrate`).
const CODE: &str = "THIS OPERATION CANNOT BE WRITTEN AS SQL";

/// App and name of a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The app's label.
    pub app: String,
    /// The migration's file without ending.
    pub name: String,
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.app, self.name)
    }
}

impl Name {
    /// The command's arguments that show its SQL.
    #[must_use]
    pub fn sqlmigrate(&self) -> [&str; 3] {
        ["sqlmigrate", &self.app, &self.name]
    }

    /// The command's arguments that carry out everything up to it. Never give it one that is before what is carried out: Django
    /// would go backwards.
    #[must_use]
    pub fn migrate(&self) -> [&str; 4] {
        ["migrate", &self.app, &self.name, "--no-input"]
    }
}

/// The arguments that list all migrations in the order in which they are carried out.
pub const PLAN: [&str; 2] = ["showmigrations", "--plan"];

/// Those of the list that are not carried out yet, in order.
///
/// Errors: the line that is none of such a list.
pub fn pending(plan: &str) -> Result<Vec<Name>, String> {
    Ok(read(plan)?.into_iter().filter(|(_, is_done)| !is_done).map(|(name, _)| name).collect())
}

/// The list, with what is carried out.
fn read(plan: &str) -> Result<Vec<(Name, bool)>, String> {
    let mut all = Vec::new();
    for line in plan.lines().map(str::trim).filter(|line| !line.is_empty() && *line != "(no migrations)") {
        let (mark, rest) = line.split_at_checked(3).ok_or_else(|| line.to_owned())?;
        let name = rest.trim().split([' ', '\t']).next().unwrap_or_default();
        let (app, name) =
            name.split_once('.').filter(|_| ["[X]", "[ ]"].contains(&mark)).ok_or_else(|| line.to_owned())?;
        all.push((Name { app: app.to_owned(), name: name.to_owned() }, mark == "[X]"));
    }
    Ok(all)
}

/// All of the list.
///
/// Errors: the line that is none of such a list.
pub fn known(plan: &str) -> Result<Vec<Name>, String> {
    Ok(read(plan)?.into_iter().map(|(name, _)| name).collect())
}

/// A pending migration with what `sqlmigrate` printed of it.
#[must_use]
pub fn with_sql(name: &Name, sql: &str) -> Pending {
    Pending {
        name: name.to_string(),
        bound: None,
        sql: Some(sql.to_owned()),
        runs_code: sql.contains(CODE) || sql.contains("Raw Python operation"),
    }
}
