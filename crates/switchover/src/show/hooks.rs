//! What a release's hooks have answered, line by line.

use switchover_model::config::When;
use switchover_model::hook_view::HookView;

/// Each hook with its answer, and the last lines of it.
pub(crate) fn lines(hooks: &[HookView]) -> Vec<String> {
    let mut lines = Vec::new();
    for hook in hooks {
        let when = match hook.when {
            When::Before => "before",
            When::After => "after",
        };
        let asked = if hook.questions > 1 { format!(", asked {} times", hook.questions) } else { String::new() };
        let asks = crate::say::printable(&hook.asks);
        lines.push(format!("hook {when} {} `{asks}`: {}{asked}", hook.stage, hook.answer));
        lines.extend(hook.output.iter().map(|line| format!("  | {}", crate::say::printable(line))));
    }
    lines
}
