//! The words that stand for a choice in the file, each with the value it means.

use crate::release::Stage;
use crate::seam::Sticky;

use super::{
    Better, Drift, During, Handover, Happening, HookMethod, NoEvidence, OldRows, OnCrash, Preset, StopSignal,
    Undecided, When, Worse,
};

/// A choice that is written as one of a few words.
pub(super) trait Word: Copy + PartialEq + 'static {
    /// Every value that may be written, beside its word.
    const ALL: &'static [(&'static str, Self)];

    /// The value that `word` stands for.
    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == word).map(|(_, value)| *value)
    }

    /// The word that stands for this value.
    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, value)| *value == self).map_or("?", |(word, _)| word)
    }
}

/// The frameworks that are known by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FrameworkKind {
    Django,
    Alembic,
}

/// What the traffic counts, by the word of `measure`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MeasureKind {
    Errors,
    Latency,
    Requests,
    UpgradesCut,
}

/// The strategies, without what each takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StrategyKind {
    BlueGreen,
    Canary,
    Linear,
    Ab,
    Rolling,
}

macro_rules! words {
    ($list:ident: $type:ty { $($word:literal => $value:expr),+ $(,)? }) => {
        pub(super) const $list: &[&str] = &[$($word),+];
        impl Word for $type {
            const ALL: &'static [(&'static str, Self)] = &[$(($word, $value)),+];
        }
    };
}

words!(EVENT: Happening {
    "paused" => Happening::Paused,
    "switched" => Happening::Switched,
    "succeeded" => Happening::Succeeded,
    "unproven" => Happening::Unproven,
    "rolled-back" => Happening::RolledBack,
    "aborted" => Happening::Aborted,
    "failed" => Happening::Failed,
});
words!(DRIFT: Drift { "correct" => Drift::Correct, "report" => Drift::Report });
words!(OLD_ROWS: OldRows { "refuse" => OldRows::Refuse, "accept" => OldRows::Accept });
words!(ON_CRASH: OnCrash { "rerun" => OnCrash::Rerun, "fail" => OnCrash::Fail });
words!(HANDOVER: Handover {
    "stop-first" => Handover::StopFirst,
    "start-first" => Handover::StartFirst,
    "drain" => Handover::Drain,
    "lease" => Handover::Lease,
});
words!(STOP_SIGNAL: StopSignal {
    "SIGTERM" => StopSignal::Term,
    "SIGINT" => StopSignal::Int,
    "SIGQUIT" => StopSignal::Quit,
    "SIGUSR1" => StopSignal::Usr1,
    "SIGUSR2" => StopSignal::Usr2,
    "SIGHUP" => StopSignal::Hup,
});
words!(FRAMEWORK: FrameworkKind { "django" => FrameworkKind::Django, "alembic" => FrameworkKind::Alembic });
words!(WHEN: When { "before" => When::Before, "after" => When::After });
words!(HOOK_METHOD: HookMethod { "POST" => HookMethod::Post, "PUT" => HookMethod::Put, "GET" => HookMethod::Get });
words!(STRATEGY: StrategyKind {
    "blue-green" => StrategyKind::BlueGreen,
    "canary" => StrategyKind::Canary,
    "linear" => StrategyKind::Linear,
    "ab" => StrategyKind::Ab,
    "rolling" => StrategyKind::Rolling,
});
words!(CANARY: Preset { "quick" => Preset::Quick, "careful" => Preset::Careful, "by-hand" => Preset::ByHand });
words!(HOOK_STAGE: Stage {
    "build" => Stage::Build,
    "expand" => Stage::Expand,
    "provision" => Stage::Provision,
    "verify" => Stage::Verify,
    "approve" => Stage::Approve,
    "shift" => Stage::Shift,
    "bake" => Stage::Bake,
    "retire" => Stage::Retire,
    "contract" => Stage::Contract,
});

words!(MEASURE: MeasureKind {
    "errors" => MeasureKind::Errors,
    "latency" => MeasureKind::Latency,
    "requests" => MeasureKind::Requests,
    "upgrades-cut" => MeasureKind::UpgradesCut,
});
words!(WORSE: Worse { "higher" => Worse::Higher, "lower" => Worse::Lower });
words!(NO_EVIDENCE: NoEvidence { "undo" => NoEvidence::Undo, "pause" => NoEvidence::Pause });
words!(BETTER: Better { "higher" => Better::Higher, "lower" => Better::Lower });
words!(UNDECIDED: Undecided { "drop" => Undecided::Drop, "promote" => Undecided::Promote, "ask" => Undecided::Ask });
words!(DURING: During { "shift" => During::Shift, "bake" => During::Bake, "warm" => During::Warm });

/// The ways to tell clients apart that need no name.
pub(super) const STICKY: &[&str] = &["cookie", "address", "none"];

/// The way that one of [`STICKY`] stands for.
pub(super) fn sticky_of(word: &str) -> Option<Sticky> {
    match word {
        "cookie" => Some(Sticky::Cookie),
        "address" => Some(Sticky::Address),
        "none" => Some(Sticky::None),
        _ => None,
    }
}
