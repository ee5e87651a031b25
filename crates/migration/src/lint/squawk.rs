//! squawk's rules, as far as ours do not cover them: each is one of ours, comes along under its own name, or is left out.

use std::ops::Range;

use squawk_linter::{Linter, Rule};
use squawk_syntax::SourceFile;

use super::finding::{Finding, Said};
use super::scene::Scene;
use super::statement::Statement;
use super::{Kind, Source};

/// What becomes of one of squawk's rules.
enum Place {
    /// It comes along.
    Comes(Kind),
    /// One of ours asks the same with phases and catalog, or what we run has no need of it.
    LeftOut,
}

/// Those that come along.
pub(super) fn names() -> Vec<&'static str> {
    COMING.iter().map(|(name, _)| *name).collect()
}

/// Squawk's rules that come along, by their names there.
const COMING: &[(&str, Rule)] = &[
    ("ban-alter-domain-with-add-constraint", Rule::BanAlterDomainWithAddConstraint),
    ("ban-alter-function-options", Rule::BanAlterFunctionOptions),
    ("ban-alter-generated-expression", Rule::BanAlterGeneratedExpression),
    ("ban-alter-identity", Rule::BanAlterIdentity),
    ("ban-alter-policy-condition", Rule::BanAlterPolicyCondition),
    ("ban-alter-policy-roles", Rule::BanAlterPolicyRoles),
    ("ban-alter-row-level-security", Rule::BanAlterRowLevelSecurity),
    ("ban-alter-sequence-values", Rule::BanAlterSequenceValues),
    ("ban-alter-system-options", Rule::BanAlterSystemOptions),
    ("ban-alter-view-options", Rule::BanAlterViewOptions),
    ("ban-char-field", Rule::BanCharField),
    ("ban-create-policy", Rule::BanCreatePolicy),
    ("ban-detach-inheritance", Rule::BanDetachInheritance),
    ("ban-disable-trigger", Rule::BanDisableTrigger),
    ("ban-drop-database", Rule::BanDropDatabase),
    ("ban-drop-domain", Rule::BanDropDomain),
    ("ban-drop-extension", Rule::BanDropExtension),
    ("ban-drop-function", Rule::BanDropFunction),
    ("ban-drop-generated-expression", Rule::BanDropGeneratedExpression),
    ("ban-drop-policy", Rule::BanDropPolicy),
    ("ban-drop-schema", Rule::BanDropSchema),
    ("ban-drop-sequence", Rule::BanDropSequence),
    ("ban-drop-trigger", Rule::BanDropTrigger),
    ("ban-drop-type", Rule::BanDropType),
    ("ban-drop-view", Rule::BanDropView),
    ("ban-duplicate-column-assignments", Rule::BanDuplicateColumnAssignments),
    ("ban-replace-view-function", Rule::BanReplaceViewFunction),
    ("ban-replica-identity", Rule::BanReplicaIdentity),
    ("ban-revoke", Rule::BanRevoke),
    ("ban-truncate-cascade", Rule::BanTruncateCascade),
    ("identifier-too-long", Rule::IdentifierTooLong),
    ("prefer-timestamp-tz", Rule::PreferTimestampTz),
    ("renaming-object", Rule::RenamingObject),
    ("require-concurrent-partition-detach", Rule::RequireConcurrentPartitionDetach),
];

/// Exhaustive, so that a rule that squawk adds is decided on.
fn place(rule: Rule) -> Place {
    match rule {
        Rule::BanAlterDomainWithAddConstraint
        | Rule::BanAlterFunctionOptions
        | Rule::BanAlterGeneratedExpression
        | Rule::BanAlterIdentity
        | Rule::BanAlterPolicyCondition
        | Rule::BanAlterPolicyRoles
        | Rule::BanAlterRowLevelSecurity
        | Rule::BanAlterSequenceValues
        | Rule::BanAlterViewOptions
        | Rule::BanCreatePolicy
        | Rule::BanDetachInheritance
        | Rule::BanDropDomain
        | Rule::BanDropExtension
        | Rule::BanDropFunction
        | Rule::BanDropGeneratedExpression
        | Rule::BanDropPolicy
        | Rule::BanDropSchema
        | Rule::BanDropSequence
        | Rule::BanDropTrigger
        | Rule::BanDropType
        | Rule::BanDropView
        | Rule::BanDisableTrigger
        | Rule::BanRevoke => Place::Comes(Kind::BreaksUntilContract),
        Rule::RenamingObject => Place::Comes(Kind::BreaksAlways),
        Rule::BanDropDatabase
        | Rule::BanAlterSystemOptions
        | Rule::BanDuplicateColumnAssignments
        | Rule::BanTruncateCascade
        | Rule::RequireConcurrentPartitionDetach => Place::Comes(Kind::Stalls),
        Rule::BanCharField
        | Rule::BanReplaceViewFunction
        | Rule::BanReplicaIdentity
        | Rule::IdentifierTooLong
        | Rule::PreferTimestampTz => Place::Comes(Kind::Tells),
        // Ours, with phases and the catalog.
        Rule::AddingFieldWithDefault
        | Rule::AddingForeignKeyConstraint
        | Rule::AddingNotNullableField
        | Rule::AddingRequiredField
        | Rule::AddingSerialPrimaryKeyField
        | Rule::BanConcurrentIndexCreationInTransaction
        | Rule::BanDropColumn
        | Rule::BanDropConstraint
        | Rule::BanDropDefault
        | Rule::BanDropIndex
        | Rule::BanDropNotNull
        | Rule::BanDropTable
        | Rule::BanNewWriteRestriction
        | Rule::BanSetDefault
        | Rule::BanSetSchema
        | Rule::ChangingColumnType
        | Rule::ConstraintMissingNotValid
        | Rule::DisallowedUniqueConstraint
        | Rule::PreferRepack
        | Rule::RenamingColumn
        | Rule::RenamingTable
        | Rule::RequireConcurrentIndexCreation
        | Rule::RequireConcurrentIndexDeletion
        | Rule::RequireConcurrentReindex
        | Rule::RequireLockTimeout
        | Rule::RequireTimeoutSettings
        | Rule::UnusedIgnore => Place::LeftOut,
        // Steps are noted, so nothing need be repeatable; what is added is what expand is for; types are the app's to choose.
        Rule::BanAddColumn
        | Rule::BanAddCompositeAttribute
        | Rule::BanAddEnumValue
        | Rule::BanAlterDatabaseOptions
        | Rule::BanAlterExtension
        | Rule::BanAlterRoleOptions
        | Rule::BanCreateDomainWithConstraint
        | Rule::BanUncommittedTransaction
        | Rule::PreferBigintOverInt
        | Rule::PreferBigintOverSmallint
        | Rule::PreferIdentity
        | Rule::PreferRobustStmts
        | Rule::PreferTextField
        | Rule::RequireEnumValueOrdering
        | Rule::RequireStatementTimeout
        | Rule::RequireTableSchema
        | Rule::TransactionNesting => Place::LeftOut,
    }
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
        let Place::Comes(kind) = place(violation.code) else { return None };
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
            assert!(matches!(place(*rule), Place::Comes(_)), "{name}");
        }
    }
}
