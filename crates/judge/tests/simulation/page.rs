//! The table and the picture of `docs/judge.md`.

use std::path::Path;

use super::plot::{FIXED_SIZE, picture};
use super::{RUNS, Series, all, series};

const BEGIN: &str = "<!-- simulated: begin -->\n";
const END: &str = "<!-- simulated: end -->";

fn table() -> String {
    let mut table = format!(
        "| {RUNS} releases each | alpha | requests per arm (or values), at most | failed | with 95 % between | half of them failed by |\n\
         |---|---:|---:|---:|---:|---:|\n"
    );
    for series in all() {
        let (low, high) = series.interval();
        let median = series.median().map_or_else(|| "-".to_owned(), |median| median.to_string());
        let Series { name, most, .. } = series;
        table += &format!(
            "| {name} | {} % | {most} | {:.2} % | {:.2} % and {:.2} % | {median} |\n",
            series.alpha * 100.0,
            series.share() * 100.0,
            low * 100.0,
            high * 100.0,
        );
    }
    let (from, to) = FIXED_SIZE;
    table
        + &format!(
            "\nA test of a fixed size needs {from} to {to} requests of each arm for doubled errors, and may look once.\n"
        )
}

#[test]
fn the_page_shows_what_was_simulated() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let page = std::fs::read_to_string(docs.join("judge.md")).expect("the page");
    let (before, rest) = page.split_once(BEGIN).expect("where the table begins");
    let (_, after) = rest.split_once(END).expect("where the table ends");
    let should_be = format!("{before}{BEGIN}{}{END}{after}", table());
    let svg = picture(&series("errors: 2 %"), &series("errors: 1 %"));
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(docs.join("judge.md"), &should_be).expect("the page is written");
        std::fs::write(docs.join("judge.svg"), &svg).expect("the picture is written");
        return;
    }
    assert!(page == should_be, "docs/judge.md is not what was simulated; UPDATE_EXPECT=1 writes it:\n{}", table());
    let kept = std::fs::read_to_string(docs.join("judge.svg")).expect("the picture");
    assert!(kept == svg, "docs/judge.svg is not what was simulated; UPDATE_EXPECT=1 writes it");
}
