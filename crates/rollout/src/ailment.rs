//! What ails instances, in sentences: the same cause of several is said once.

/// Stands for the instance in a cause that names it.
const INSTANCE: &str = "\0";

/// A sentence for each cause among `ill` (instance, cause), in the order in which they come.
pub(crate) fn sentences(ill: &[(&str, &str)]) -> String {
    let mut groups: Vec<(String, Vec<&str>, String)> = Vec::new();
    for (instance, cause) in ill {
        let told = told_of(instance, cause);
        let alike = without_run_time(&told);
        match groups.iter_mut().find(|(key, ..)| *key == alike) {
            Some((_, instances, _)) => instances.push(instance),
            None => groups.push((alike, vec![instance], told)),
        }
    }
    let said = groups.into_iter().map(|(alike, instances, told)| match instances.as_slice() {
        [only] => told.replace(INSTANCE, only),
        many => {
            let each = format!("each of {} instances ({})", many.len(), many.join(", "));
            alike.replace(INSTANCE, &each)
        }
    });
    said.collect::<Vec<_>>().join(" ")
}

/// What to do about an app that printed `lines`, or nothing.
pub(crate) fn next_step(lines: &[String]) -> &'static str {
    if lines.is_empty() {
        "Mend the app, then deploy again."
    } else {
        "Read the app's last lines, mend it, then deploy again."
    }
}

/// The cause as a sentence about [`INSTANCE`], which it names once.
fn told_of(instance: &str, cause: &str) -> String {
    let cause = cause.trim().trim_end_matches('.');
    let about = cause.replace(instance, INSTANCE);
    if about.contains(INSTANCE) { format!("{about}.") } else { format!("{INSTANCE}: {about}.") }
}

/// Without how long it ran, which differs by milliseconds between instances that end alike.
fn without_run_time(told: &str) -> String {
    match told.rsplit_once(" after ") {
        Some((head, tail)) if tail.ends_with(" ms.") => format!("{head}."),
        Some(_) | None => told.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_named_once_and_a_common_cause_is_said_once() {
        let ill = |id: &str| format!("{id} was not healthy within 4s: /up answered 500.");
        assert_eq!(sentences(&[("web-1", &ill("web-1"))]), "web-1 was not healthy within 4s: /up answered 500.");
        assert_eq!(
            sentences(&[("web-1", &ill("web-1")), ("web-2", &ill("web-2")), ("web-3", "no answer yet")]),
            "each of 2 instances (web-1, web-2) was not healthy within 4s: /up answered 500. web-3: no answer yet."
        );
        let ended = |id: &str, ms| format!("{id} of r2 ended by itself with exit code 1 after {ms} ms.");
        assert_eq!(sentences(&[("a", &ended("a", 7))]), ended("a", 7));
        assert_eq!(
            sentences(&[("web-1", &ended("web-1", 7)), ("web-2", &ended("web-2", 9))]),
            "each of 2 instances (web-1, web-2) of r2 ended by itself with exit code 1."
        );
    }
}
