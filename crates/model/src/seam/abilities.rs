//! What a traffic can do, and what a strategy needs of it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::StickyKind;
use crate::problem::Problem;

/// Something that a traffic can do and that a strategy may need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "ability", content = "by", rename_all = "kebab-case")]
pub enum Ability {
    /// Split requests by weight.
    Weights,
    /// Keep a client on its side of a split, told apart so.
    Sticky(StickyKind),
    /// Lead requests by header, cookie, query parameter or method.
    Matches,
    /// Count an equal-sized part of the live slot apart, to be compared with the new one's share.
    Baseline,
    /// Send copies of requests to a slot that answers nobody, and compare what it answers.
    Mirror,
    /// Count who of its clients reached a goal.
    Goals,
    /// Hold requests back while nobody may answer them.
    Hold,
}

impl Ability {
    /// It, for people, after "it can not".
    #[must_use]
    pub fn verb(self) -> String {
        match self {
            Self::Weights => "split requests by weight".to_owned(),
            Self::Sticky(kind) => format!("tell clients apart {}", kind.name()),
            Self::Matches => "lead requests by header, cookie, query parameter or method".to_owned(),
            Self::Baseline => "count a baseline of the live slot apart".to_owned(),
            Self::Mirror => "send copies of requests to the idle slot".to_owned(),
            Self::Goals => "count which clients reached a goal".to_owned(),
            Self::Hold => "hold requests back".to_owned(),
        }
    }
}

/// What a traffic can do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Abilities(pub BTreeSet<Ability>);

impl Abilities {
    /// Those of the built-in router.
    #[must_use]
    pub fn built_in() -> Self {
        let sticky = StickyKind::ALL.map(Ability::Sticky);
        Self(
            [Ability::Weights, Ability::Matches, Ability::Baseline, Ability::Mirror, Ability::Goals]
                .into_iter()
                .chain(sticky)
                .collect(),
        )
    }

    /// Whether it can do this.
    #[must_use]
    pub fn can(&self, ability: Ability) -> bool {
        self.0.contains(&ability)
    }
}

/// What `strategy` needs and a traffic that can do `abilities` can not, as a refusal that says what would serve.
///
/// Flow: asked by whatever refuses a strategy before it begins (`validate`, `plan`, `deploy`). Nothing: it can all.
#[must_use]
pub fn lacks(strategy: &str, needs: impl IntoIterator<Item = Ability>, abilities: &Abilities) -> Option<Problem> {
    lacks_for(&format!("the strategy \"{strategy}\""), needs, abilities)
}

/// The same of whatever else of the file asks something of the traffic, by its name for people.
#[must_use]
pub fn lacks_for(what: &str, needs: impl IntoIterator<Item = Ability>, abilities: &Abilities) -> Option<Problem> {
    let lacking: BTreeSet<Ability> = needs.into_iter().filter(|need| !abilities.can(*need)).collect();
    if lacking.is_empty() {
        return None;
    }
    let verbs: Vec<String> = lacking.iter().map(|ability| ability.verb()).collect();
    let cause = format!("{what} needs what the app's traffic can not do: {}.", verbs.join(", "));
    let built_in = Abilities::built_in();
    let next = if lacking.iter().all(|ability| built_in.can(*ability)) {
        "Leave [traffic] out, so that requests come through the built-in router, which can; or choose what needs less, such as the strategy \"blue-green\"."
    } else {
        "No traffic can do this yet: choose a strategy that needs less, such as \"blue-green\"."
    };
    Some(Problem::new("TRAFFIC-LACKS", cause, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_is_said_and_what_would_serve() {
        let canary = [Ability::Weights, Ability::Sticky(StickyKind::Cookie), Ability::Baseline];
        assert_eq!(lacks("canary", canary, &Abilities::built_in()), None);
        let weights = Abilities([Ability::Weights].into());
        let problem = lacks("canary", canary, &weights).unwrap();
        assert_eq!(problem.code, "TRAFFIC-LACKS");
        assert!(
            problem.cause.contains("tell clients apart by a cookie of its own") && !problem.cause.contains("weight")
        );
        assert!(problem.next.contains("built-in router"), "{problem}");
        assert_eq!(lacks("blue-green", [], &Abilities::default()), None);
    }

    #[test]
    fn where_nobody_can_nobody_is_named() {
        let problem = lacks("odd", [Ability::Hold], &Abilities::built_in()).unwrap();
        assert!(problem.next.starts_with("No traffic can"), "{problem}");
    }
}
