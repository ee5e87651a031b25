//! `[route] sticky`: what keeps a client on its side of a split.

use crate::config::check::{Mistakes, Node};
use crate::config::names::sticky_of;
use crate::seam::Sticky;

const WRITE: &str = "write one of them: sticky = { cookie = \"session\" }, or sticky = { header = \"X-User\" }";

/// By the written word or table, or by the default of the table of keys.
pub(super) fn sticky(route: &Node, mistakes: &mut Mistakes<'_>) -> Sticky {
    if let Some(word) = route.text("sticky").filter(|_| !route.has_table("sticky")) {
        return sticky_of(&word).unwrap_or_default();
    }
    let table = route.table("sticky");
    match (table.text("cookie"), table.text("header")) {
        (Some(_), Some(_)) => {
            let cause = "route.sticky names a cookie and a header: a client could be told apart by either";
            mistakes.add(table.place("header"), cause, WRITE);
            Sticky::default()
        }
        (Some(name), None) => name.parse().map(|name| Sticky::AppCookie { name }).unwrap_or_default(),
        (None, Some(name)) => name.parse().map(|name| Sticky::Header { name }).unwrap_or_default(),
        (None, None) => {
            if !table.was_tried("cookie") && !table.was_tried("header") {
                mistakes.add(route.place("sticky"), "route.sticky names neither a cookie nor a header", WRITE);
            }
            Sticky::default()
        }
    }
}
