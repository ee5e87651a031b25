//! Pages whose measured parts are written by a chore: each part between its own marks, the rest by hand.

use std::path::Path;

use crate::bench::{BenchError, Tried, root};

/// Puts `text` between the marks of `part` in the page `page` (relative to the root), and leaves all else as it is.
///
/// A page without these marks gets them at its end.
pub(crate) fn keep(page: &str, part: &str, text: &str) -> Result<(), BenchError> {
    let path = root().join(page);
    let before = read(&path)?;
    std::fs::write(&path, replaced(&before, part, text)).tried(path.display().to_string())?;
    println!("written to {page}: {part}");
    Ok(())
}

fn read(path: &Path) -> Result<String, BenchError> {
    std::fs::read_to_string(path).tried(path.display().to_string())
}

fn marks(part: &str) -> (String, String) {
    (format!("<!-- {part}: begin -->\n"), format!("<!-- {part}: end -->\n"))
}

fn replaced(page: &str, part: &str, text: &str) -> String {
    let (begin, end) = marks(part);
    let within = format!("{begin}\n{}\n\n{end}", text.trim());
    let around = page.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    match around {
        Some((before, after)) => format!("{before}{within}{after}"),
        None => format!("{}\n\n{within}", page.trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_part_is_replaced_and_the_others_stay() {
        let page = "# Page\n\n<!-- a: begin -->\n\nold\n\n<!-- a: end -->\n\nby hand\n\n<!-- b: begin -->\n\nkept\n\n<!-- b: end -->\n";
        let after = replaced(page, "a", "new\n");
        assert_eq!(after, page.replace("old", "new"));
        assert_eq!(replaced(&after, "a", "new"), after, "the same again changes nothing");
    }

    #[test]
    fn a_part_that_is_not_there_comes_at_the_end() {
        let after = replaced("# Page\n", "a", "text");
        assert_eq!(after, "# Page\n\n<!-- a: begin -->\n\ntext\n\n<!-- a: end -->\n");
        assert_eq!(replaced(&after, "a", "text"), after);
    }
}
