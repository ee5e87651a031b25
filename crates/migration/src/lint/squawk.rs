//! squawk's rules, as far as ours do not cover them: each is one of ours, comes along under its own name, or is left out.

use std::ops::Range;

use squawk_linter::{Linter, Rule};
use squawk_syntax::SourceFile;

use super::finding::{Finding, Said};
use super::scene::Scene;
use super::statement::Statement;
use super::{Kind, Source};

/// Squawk's rules that come along, each as a kind of ours, and those that are left out. Exhaustive, so that a rule that squawk
/// adds is decided on.
macro_rules! rules {
    (
        $(comes $kind:ident { $($coming:ident = $name:literal,)+ })+
        $(left_out { $($left:ident,)+ })+
    ) => {
        /// Those that come along, by their names there.
        const COMING: &[(&str, Rule)] = &[$($(($name, Rule::$coming)),+),+];

        /// The kind as which it comes along; nothing where it is left out: one of ours asks the same with phases and catalog,
        /// or what we run has no need of it.
        fn kind(rule: Rule) -> Option<Kind> {
            match rule {
                $($(Rule::$coming)|+ => Some(Kind::$kind),)+
                $($(Rule::$left)|+)|+ => None,
            }
        }
    };
}

rules! {
    comes BreaksUntilContract {
        BanAlterDomainWithAddConstraint = "ban-alter-domain-with-add-constraint",
        BanAlterFunctionOptions = "ban-alter-function-options",
        BanAlterGeneratedExpression = "ban-alter-generated-expression",
        BanAlterIdentity = "ban-alter-identity",
        BanAlterPolicyCondition = "ban-alter-policy-condition",
        BanAlterPolicyRoles = "ban-alter-policy-roles",
        BanAlterRowLevelSecurity = "ban-alter-row-level-security",
        BanAlterSequenceValues = "ban-alter-sequence-values",
        BanAlterViewOptions = "ban-alter-view-options",
        BanCreatePolicy = "ban-create-policy",
        BanDetachInheritance = "ban-detach-inheritance",
        BanDropDomain = "ban-drop-domain",
        BanDropExtension = "ban-drop-extension",
        BanDropFunction = "ban-drop-function",
        BanDropGeneratedExpression = "ban-drop-generated-expression",
        BanDropPolicy = "ban-drop-policy",
        BanDropSchema = "ban-drop-schema",
        BanDropSequence = "ban-drop-sequence",
        BanDropTrigger = "ban-drop-trigger",
        BanDropType = "ban-drop-type",
        BanDropView = "ban-drop-view",
        BanDisableTrigger = "ban-disable-trigger",
        BanRevoke = "ban-revoke",
    }
    comes BreaksAlways {
        RenamingObject = "renaming-object",
    }
    comes Stalls {
        BanDropDatabase = "ban-drop-database",
        BanAlterSystemOptions = "ban-alter-system-options",
        BanDuplicateColumnAssignments = "ban-duplicate-column-assignments",
        BanTruncateCascade = "ban-truncate-cascade",
        RequireConcurrentPartitionDetach = "require-concurrent-partition-detach",
    }
    comes Tells {
        BanCharField = "ban-char-field",
        BanReplaceViewFunction = "ban-replace-view-function",
        BanReplicaIdentity = "ban-replica-identity",
        IdentifierTooLong = "identifier-too-long",
        PreferTimestampTz = "prefer-timestamp-tz",
    }
    // Ours, with phases and the catalog.
    left_out {
        AddingFieldWithDefault,
        AddingForeignKeyConstraint,
        AddingNotNullableField,
        AddingRequiredField,
        AddingSerialPrimaryKeyField,
        BanConcurrentIndexCreationInTransaction,
        BanDropColumn,
        BanDropConstraint,
        BanDropDefault,
        BanDropIndex,
        BanDropNotNull,
        BanDropTable,
        BanNewWriteRestriction,
        BanSetDefault,
        BanSetSchema,
        ChangingColumnType,
        ConstraintMissingNotValid,
        DisallowedUniqueConstraint,
        PreferRepack,
        RenamingColumn,
        RenamingTable,
        RequireConcurrentIndexCreation,
        RequireConcurrentIndexDeletion,
        RequireConcurrentReindex,
        RequireLockTimeout,
        RequireTimeoutSettings,
        UnusedIgnore,
    }
    // Steps are noted, so nothing need be repeatable; what is added is what expand is for; types are the app's to choose.
    left_out {
        BanAddColumn,
        BanAddCompositeAttribute,
        BanAddEnumValue,
        BanAlterDatabaseOptions,
        BanAlterExtension,
        BanAlterRoleOptions,
        BanCreateDomainWithConstraint,
        BanUncommittedTransaction,
        PreferBigintOverInt,
        PreferBigintOverSmallint,
        PreferIdentity,
        PreferRobustStmts,
        PreferTextField,
        RequireEnumValueOrdering,
        RequireStatementTimeout,
        RequireTableSchema,
        TransactionNesting,
    }
}

/// Those that come along, in the order of the alphabet.
pub(super) fn names() -> Vec<&'static str> {
    let mut names: Vec<&str> = COMING.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    names
}

pub(super) fn findings(
    text: &str,
    source: &Source<'_>,
    statements: &[Statement],
    scene: &Scene<'_>,
    told: &[(Range<usize>, Finding)],
) -> Vec<(Range<usize>, Finding)> {
    let parse = SourceFile::parse(text);
    let violations = Linter::from(COMING.iter().map(|(_, rule)| *rule)).lint(&parse, text);
    // What one of ours refuses already needs no second word.
    let is_said = |at: &Range<usize>| told.iter().any(|(said, finding)| said == at && finding.is_refused());
    let finding = |violation: squawk_linter::Violation| {
        let kind = kind(violation.code)?;
        let severity = kind.severity(scene.phase)?;
        let start = usize::from(violation.text_range.start());
        let statement = statements.iter().find(|statement| statement.at.start <= start && start < statement.at.end)?;
        if is_said(&statement.at) {
            return None;
        }
        let sql = text.get(statement.at.clone()).unwrap_or_default();
        let message = violation.message.trim_end_matches('.').replace('`', "");
        let mut said = match kind {
            Kind::BreaksUntilContract | Kind::BreaksAlways => {
                Said::new(format!("the live version may rest on it: {message}"))
            }
            Kind::Stalls | Kind::Tells => Said::new(message),
        };
        said = said.next(match (kind, &violation.help) {
            (Kind::BreaksUntilContract, _) => "Do it when the older version is gone.".to_owned(),
            (Kind::BreaksAlways, _) => {
                "Make the new one beside the old one, and drop the old one in contract.".to_owned()
            }
            (Kind::Stalls | Kind::Tells, Some(help)) => help.clone(),
            (Kind::Stalls | Kind::Tells, None) => format!("Write it otherwise, or {}.", super::allow::WRITTEN),
        });
        if kind == Kind::BreaksUntilContract {
            said = said.contract([format!("{sql};")]);
        }
        let name = violation.code.to_string();
        Some((statement.at.clone(), source.finding(&name, severity, &statement.at, said)))
    };
    violations.into_iter().filter_map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_along_is_named_as_squawk_names_it() {
        for (name, rule) in COMING {
            assert_eq!(rule.to_string(), *name);
            assert!(kind(*rule).is_some(), "{name}");
        }
    }
}
