//! A small picture of what users noticed of the switches.

use switchover_model::receipt::SwitchReceipt;
use switchover_testkit::load::Report;

/// How much time one column stands for, and how many columns stand before and after the flip.
const COLUMN_MS: u64 = 50;
const COLUMNS_BESIDE: u64 = 20;
/// Bars from nothing to full.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// One line a switch: the p99 of the quick requests around its flip, column by column.
pub(super) fn lines(report: &Report, switches: &[SwitchReceipt]) -> Vec<String> {
    let flips: Vec<(String, u64)> = switches
        .iter()
        .filter_map(|switch| {
            let flip = (switch.flipped_at?.as_micros() / 1_000).checked_sub(report.began_unix_ms)?;
            let from = switch.from.map_or_else(|| "nothing".to_owned(), |from| from.to_string());
            Some((format!("{from} -> {}", switch.to), flip))
        })
        .filter(|(_, flip)| *flip > COLUMN_MS * COLUMNS_BESIDE)
        .collect();
    let columns: Vec<Vec<Option<u64>>> = flips
        .iter()
        .map(|(_, flip)| {
            let begin = flip - COLUMN_MS * COLUMNS_BESIDE;
            (0..COLUMNS_BESIDE * 2)
                .map(|at| {
                    let from = begin + at * COLUMN_MS;
                    report.latency_between(from, from + COLUMN_MS).map(|latency| latency.p99_us)
                })
                .collect()
        })
        .collect();
    let Some(most) = columns.iter().flatten().flatten().max().copied() else { return Vec::new() };
    let mut lines = vec![format!(
        "p99 of quick requests, {COLUMN_MS} ms a column, the flip at |; a full bar is {}.{} ms",
        most / 1_000,
        most % 1_000 / 100
    )];
    for ((name, flip), columns) in flips.iter().zip(&columns) {
        let (before, after) = columns.split_at(columns.len() / 2);
        let ratio =
            report.p99_ratio_at(*flip).map(|ratio| format!("  {ratio:.2} times the second before")).unwrap_or_default();
        lines.push(format!("  {name:<14} {}|{}{ratio}", bars(before, most), bars(after, most)));
    }
    lines
}

fn bars(columns: &[Option<u64>], most: u64) -> String {
    columns
        .iter()
        .map(|micros| match micros {
            None => ' ',
            Some(micros) => {
                let bar = micros.saturating_mul(BARS.len() as u64 - 1) / most.max(1);
                BARS[usize::try_from(bar).unwrap_or(0).min(BARS.len() - 1)]
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_rise_with_the_latency_and_a_column_without_requests_is_empty() {
        assert_eq!(bars(&[Some(0), Some(50), None, Some(100)], 100), "▁▄ █");
        assert_eq!(bars(&[Some(0)], 0), "▁");
    }
}
