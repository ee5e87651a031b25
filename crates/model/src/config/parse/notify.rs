//! `[[notify]]` of the file.

use super::File;
use crate::config::check::{Mistakes, Node};
use crate::config::names::Word as _;
use crate::config::{Happening, Notify, Tells};

/// The most that are told of one app.
const MOST: usize = 10;

impl File<'_> {
    pub(super) fn notify(&self, mistakes: &mut Mistakes<'_>) -> Vec<Notify> {
        let nodes = self.root.tables("notify");
        if let Some(over) = nodes.get(MOST) {
            mistakes.add(over.at.clone(), format!("more than {MOST} are to be told"), "tell one who tells the others");
        }
        let mut known: Vec<Notify> = Vec::new();
        for node in nodes {
            let Some(one) = self.one(node, mistakes) else { continue };
            if known.iter().any(|before| before.tells.who() == one.tells.who()) {
                let cause = format!("{} is told twice", one.tells);
                mistakes.add(node.at.clone(), cause, "write all its events into one [[notify]]");
            }
            known.push(one);
        }
        known
    }

    fn one(&self, node: &Node, mistakes: &mut Mistakes<'_>) -> Option<Notify> {
        let tells = self.tells(node, mistakes);
        let mut events = Vec::new();
        for (text, at) in node.list("events") {
            match Happening::from_word(text) {
                Some(event) if events.contains(&event) => {
                    mistakes.add(at.clone(), format!("\"{text}\" stands here twice"), "leave one of them out");
                }
                Some(event) => events.push(event),
                None => {}
            }
        }
        if !node.was_tried("events") {
            events = Happening::USUAL.to_vec();
        }
        Some(Notify { tells: tells?, events, timeout: node.duration("timeout") })
    }

    fn tells(&self, node: &Node, mistakes: &mut Mistakes<'_>) -> Option<Tells> {
        match (node.was_tried("command"), node.was_tried("url")) {
            (true, true) => {
                let cause = "[[notify]] has \"command\" and \"url\": only one of them can be told";
                mistakes.add(node.place("url"), cause, "leave one of them out, or write [[notify]] twice");
                return None;
            }
            (false, false) => {
                let cause = "[[notify]] has neither \"command\" nor \"url\", so nobody is told";
                mistakes.add(node.at.clone(), cause, "write: url = \"https://…\", or: command = \"/usr/local/bin/…\"");
                return None;
            }
            (true, false) => {
                if node.was_tried("secret") {
                    let cause = "\"secret\" has no effect: what a command is told is not signed";
                    mistakes.add(node.place("secret"), cause, "leave secret out, or write url in the place of command");
                }
                return node.text("command").map(|command| Tells::Command { command });
            }
            (false, true) => {}
        }
        if !node.was_tried("secret") {
            let cause = "[[notify]] has \"url\" and no \"secret\": its receiver could not tell who sends";
            mistakes.add(node.place("url"), cause, "add: secret = \"NOTIFY_SECRET\"");
        } else if !self.root.table("secrets").was_tried("file") {
            let cause = "\"secret\" names a variable of the secrets file, and the app has none";
            mistakes.add(node.place("secret"), cause, "add: [secrets] with file = \"/etc/shop/secrets.env\"");
        }
        Some(Tells::Webhook { url: node.text("url")?.parse().ok()?, secret: node.text("secret")? })
    }
}
