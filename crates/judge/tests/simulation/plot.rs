//! The picture of how soon doubled errors are found.

use std::fmt::Write as _;

use super::{RUNS, Series};

/// What a test of a fixed size needs of each arm for the same (alpha 5 % two- and one-sided, 90 % to 95 % found).
pub(crate) const FIXED_SIZE: (f64, f64) = (3_200.0, 3_800.0);

const COLOURS: [&str; 3] = ["#1b7837", "#2166ac", "#b2182b"];

/// The share of releases that have failed, over the requests of each arm.
pub(crate) fn picture(found: &[&Series], alike: &[&Series]) -> String {
    let x = |requests: f64| 60.0 + requests / 10_000.0 * 560.0;
    let y = |share: f64| 300.0 - share * 260.0;
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 660 360\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>Share of simulated releases that failed, over requests per arm</title>\n\
         <rect width=\"660\" height=\"360\" fill=\"#ffffff\"/>\n",
    );
    let (from, to) = FIXED_SIZE;
    let _ = writeln!(
        svg,
        "<rect x=\"{:.1}\" y=\"40\" width=\"{:.1}\" height=\"260\" fill=\"#dddddd\"/>\n\
         <text x=\"{:.1}\" y=\"34\" text-anchor=\"middle\">a fixed-size test looks once, here</text>",
        x(from),
        x(to) - x(from),
        x(f64::midpoint(from, to)),
    );
    for percent in [0, 25, 50, 75, 100] {
        let at = y(f64::from(percent) / 100.0);
        let _ = writeln!(
            svg,
            "<path d=\"M60 {at:.1}H620\" stroke=\"#cccccc\"/><text x=\"52\" y=\"{:.1}\" text-anchor=\"end\">{percent} %</text>",
            at + 4.0,
        );
    }
    for requests in (0..=10_000).step_by(2_000) {
        let at = x(f64::from(requests));
        let _ = writeln!(svg, "<text x=\"{at:.1}\" y=\"318\" text-anchor=\"middle\">{requests}</text>");
    }
    svg += "<text x=\"340\" y=\"340\" text-anchor=\"middle\">requests of each arm, looked at after every 100</text>\n";
    for (place, (series, colour)) in found.iter().zip(COLOURS).enumerate() {
        let _ =
            writeln!(svg, "<path d=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>", curve(series, x, y));
        let at = 200.0 + 18.0 * place as f64;
        let _ = writeln!(
            svg,
            "<text x=\"430\" y=\"{at}\" fill=\"{colour}\">2 % instead of 1 %, alpha {} %</text>",
            series.alpha * 100.0
        );
    }
    for (series, colour) in alike.iter().zip(COLOURS) {
        let _ = writeln!(
            svg,
            "<path d=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-dasharray=\"4 3\"/>",
            curve(series, x, y)
        );
    }
    svg + "<text x=\"430\" y=\"254\">dashed: no worse, false alarms</text>\n</svg>\n"
}

fn curve(series: &Series, x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) -> String {
    let mut path = format!("M{:.1} {:.1}", x(0.0), y(0.0));
    for requests in (100..=10_000_u64).step_by(100) {
        let failed = series.failed_after.partition_point(|after| *after <= requests);
        let _ = write!(path, "L{:.1} {:.1}", x(requests as f64), y(failed as f64 / RUNS as f64));
    }
    path
}
