//! Whether new routes are a switch, or the same decision with other instances.

use switchover_model::Problem;
use switchover_model::seam::Routes;

use crate::kept::endpoint_lists;

/// What new routes change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing at all.
    Nothing,
    /// The same decision, other instances.
    Endpoints,
    /// A new decision.
    Routes,
}

/// What `wanted` changes of what is `known`.
///
/// Errors: it is older than what is known, or another content under the same number.
pub(crate) fn change(known: Option<&Routes>, wanted: &Routes) -> Result<Change, Problem> {
    let Some(known) = known else { return Ok(Change::Routes) };
    if known == wanted {
        return Ok(Change::Nothing);
    }
    match wanted.version.cmp(&known.version) {
        std::cmp::Ordering::Greater => Ok(Change::Routes),
        std::cmp::Ordering::Less => Err(Problem::new(
            "ROUTES-STALE",
            format!("version {} of {}'s routes is older than {}.", wanted.version, wanted.app, known.version),
            "Nothing: the newer one is in force.",
        )),
        std::cmp::Ordering::Equal => {
            let bare = |routes: &Routes| {
                let mut routes = routes.clone();
                endpoint_lists(&mut routes).for_each(Vec::clear);
                // One that was set before preview addresses were reserved.
                routes.preview_host = None;
                routes
            };
            if bare(known) == bare(wanted) {
                return Ok(Change::Endpoints);
            }
            Err(Problem::new(
                "ROUTES-VERSION-USED",
                format!("version {} of {}'s routes is in force with another content.", known.version, known.app),
                "Give a changed setting a new version.",
            ))
        }
    }
}
