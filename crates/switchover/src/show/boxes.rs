//! Boxes around lines, side by side.

use console::{Alignment, measure_text_width, pad_str, truncate_str};

/// The space between two boxes.
const GAP: &str = "   ";

/// Boxes with a title and lines, side by side when they fit into `width`, below each other otherwise.
pub(crate) fn boxes(all: &[(String, Vec<String>)], width: usize) -> Vec<String> {
    let widest = |(title, lines): &(String, Vec<String>)| {
        lines.iter().map(|line| measure_text_width(line)).chain([measure_text_width(title) + 2]).max().unwrap_or(0)
    };
    let inner = all.iter().map(widest).max().unwrap_or(0).min(width.saturating_sub(4)).max(8);
    let height = all.iter().map(|(_, lines)| lines.len()).max().unwrap_or(0);
    let drawn: Vec<Vec<String>> = all.iter().map(|(title, lines)| draw(title, lines, inner, height)).collect();
    if (inner + 4) * all.len() + GAP.len() * all.len().saturating_sub(1) > width {
        return drawn.concat();
    }
    (0..height + 2)
        .map(|row| drawn.iter().filter_map(|lines| lines.get(row)).cloned().collect::<Vec<_>>().join(GAP))
        .collect()
}

fn draw(title: &str, lines: &[String], inner: usize, height: usize) -> Vec<String> {
    let title = truncate_str(title, inner.saturating_sub(2), "…");
    let rule = "─".repeat((inner + 1).saturating_sub(measure_text_width(&title) + 2));
    let mut drawn = vec![format!("╭─ {title} {rule}╮")];
    for at in 0..height {
        let line = lines.get(at).map_or("", String::as_str);
        drawn.push(format!("│ {} │", pad_str(&truncate_str(line, inner, "…"), inner, Alignment::Left, None)));
    }
    drawn.push(format!("╰{}╯", "─".repeat(inner + 2)));
    drawn
}
