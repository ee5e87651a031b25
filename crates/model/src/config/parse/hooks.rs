//! `[[release.hook]]` of the file.

use super::{File, word};
use crate::config::check::{Mistakes, Node};
use crate::config::{Asks, Hook, HookMethod, OnCrash, When};
use crate::release::Stage;

impl File<'_> {
    pub(super) fn hooks(&self, release: &Node, mistakes: &mut Mistakes<'_>) -> Vec<Hook> {
        let nodes = release.tables("hook");
        nodes.iter().filter_map(|node| self.hook(node, mistakes)).collect()
    }

    fn hook(&self, node: &Node, mistakes: &mut Mistakes<'_>) -> Option<Hook> {
        let stage: Option<Stage> = word(node, "stage");
        if let Some(stage) = stage.filter(|stage| stage.is_of_the_schema() && !self.root.has("database")) {
            let cause = format!("the app has no [database], so its releases have no stage \"{stage}\"");
            mistakes.add(node.place("stage"), cause, "write another stage, or add [database]");
        }
        let when = word(node, "when").unwrap_or(When::After);
        let asks = self.asks(node, mistakes)?;
        if let (Some(Stage::Build), When::Before, Asks::Command { .. }) = (stage, when, &asks) {
            let cause = "before the build there is no revision whose directory the command could run in";
            mistakes.add(node.place("when"), cause, "ask a server (url = …), or leave \"when\" out");
        }
        Some(Hook {
            stage: stage?,
            when,
            asks,
            timeout: node.duration("timeout"),
            retries: node.whole("retries"),
            pause: node.duration("pause"),
            on_crash: word(node, "on_crash").unwrap_or(OnCrash::Fail),
        })
    }

    fn asks(&self, node: &Node, mistakes: &mut Mistakes<'_>) -> Option<Asks> {
        match (node.was_tried("command"), node.was_tried("url")) {
            (true, true) => {
                let cause = "the hook has \"command\" and \"url\": only one of them can be asked";
                mistakes.add(node.place("url"), cause, "leave one of them out, or write two hooks");
                return None;
            }
            (false, false) => {
                let cause = "the hook has neither \"command\" nor \"url\", so there is nothing to ask";
                mistakes.add(node.at.clone(), cause, "write: command = \"./smoke.sh\", or: url = \"https://…\"");
                return None;
            }
            (true, false) | (false, true) => {}
        }
        for key in ["method", "token"] {
            if node.was_tried(key) && !node.was_tried("url") {
                let cause = format!("\"{key}\" has no effect: a command is not asked over HTTP");
                mistakes.add(node.place(key), cause, format!("leave {key} out, or write url in the place of command"));
            }
        }
        if node.has("token") && node.was_tried("url") && !self.root.table("secrets").was_tried("file") {
            let cause = "\"token\" names a variable of the secrets file, and the app has none";
            mistakes.add(node.place("token"), cause, "add: [secrets] with file = \"/etc/shop/secrets.env\"");
        }
        if let Some(command) = node.text("command") {
            return Some(Asks::Command { command });
        }
        let url = node.text("url")?.parse().ok()?;
        let method = word(node, "method").unwrap_or(HookMethod::Post);
        Some(Asks::Http { url, method, token: node.text("token") })
    }
}
