//! When traffic may move, from `[release]`.

use std::ops::Range;
use std::str::FromStr;

use crate::config::check::{Mistakes, Node};
use crate::config::{LONGEST_FREEZE_DAYS, MAX_WINDOWS, Windows};

/// The windows of `[release]`; what makes that nothing would ever open is told.
pub(super) fn windows(release: &Node, mistakes: &mut Mistakes<'_>) -> Windows {
    let (allow, freeze) = (release.list("allow"), release.list("freeze"));
    let windows = Windows { allow: read("allow", allow, mistakes), freeze: read("freeze", freeze, mistakes) };
    // Texts that are none were told, and moved the places.
    let all_read = windows.freeze.len() == freeze.len();
    if let Some((days, place)) = windows.longest_freeze().filter(|(days, _)| all_read && *days > LONGEST_FREEZE_DAYS)
        && let Some((_, at)) = freeze.get(place)
    {
        let cause = format!("these freezes cover {days} days on end, so nothing would be released");
        mistakes.add(at.clone(), cause, format!("leave days open: at most {LONGEST_FREEZE_DAYS} on end"));
    }
    windows
}

fn read<T: FromStr + PartialEq>(name: &str, texts: &[(String, Range<usize>)], mistakes: &mut Mistakes<'_>) -> Vec<T> {
    if let Some((_, at)) = texts.get(MAX_WINDOWS) {
        let cause = format!("\"{name}\" has {} entries; it may have {MAX_WINDOWS}", texts.len());
        mistakes.add(at.clone(), cause, "write fewer");
    }
    let mut read: Vec<T> = Vec::new();
    for (text, at) in texts {
        // Its own rule was told where it is none.
        let Ok(one) = text.parse::<T>() else { continue };
        if read.contains(&one) {
            mistakes.add(at.clone(), format!("\"{text}\" stands here twice"), "leave one of them out");
        }
        read.push(one);
    }
    read
}
