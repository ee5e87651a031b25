//! `[[release.check]]`, and what holds for all checks, as settings.

use super::Settings;
use crate::config::names::{MeasureKind, Word};
use crate::config::{Bound, Check, CheckSource, EvidencePolicy, Measure, NumberFrom, Part};
use crate::decimal::Decimal;
use crate::time::Span;
use crate::url::without_query;

pub(super) fn put_evidence(all: &mut Settings, evidence: &EvidencePolicy) {
    let EvidencePolicy { checks, false_alarms, timeout, no_evidence } = evidence;
    if *evidence == EvidencePolicy::default() {
        return;
    }
    // A basis point is a hundredth of a percent.
    let rate = Decimal::from_millionths(i64::from(false_alarms.basis_points()) * 10_000);
    all.put("release.false_alarms", Part::Policy, format_args!("{rate}%"));
    if checks.is_empty() {
        return;
    }
    all.put("release.evidence_timeout", Part::Policy, timeout);
    all.put("release.no_evidence", Part::Policy, no_evidence.word());
    for (at, check) in checks.iter().enumerate() {
        put_check(all, &format!("release.check.{}", at + 1), check);
    }
}

fn put_check(all: &mut Settings, key: &str, check: &Check) {
    let Check { name, source, bound, enough, during } = check;
    all.put_text(format!("{key}.name"), Part::Policy, name);
    put_source(all, key, source);
    let (name, value) = match bound {
        Bound::Most { limit } => ("max", in_unit(*limit, source)),
        Bound::Least { limit } => ("min", in_unit(*limit, source)),
        Bound::WorseBy { effect } => ("worse_by", percent(*effect)),
    };
    all.put(format!("{key}.{name}"), Part::Policy, value);
    if let Some(enough) = enough {
        all.put(format!("{key}.enough"), Part::Policy, enough);
    }
    all.put_list(format!("{key}.during"), Part::Policy, during.iter().map(|during| during.word()));
}

fn put_source(all: &mut Settings, key: &str, source: &CheckSource) {
    match source {
        CheckSource::Traffic { process, measure } => {
            if let Some(process) = process {
                all.put(format!("{key}.process"), Part::Policy, process);
            }
            let kind = match measure {
                Measure::Errors => MeasureKind::Errors,
                Measure::Requests => MeasureKind::Requests,
                Measure::UpgradesCut => MeasureKind::UpgradesCut,
                Measure::Latency { quantile } => {
                    let percent = Decimal::from_millionths(quantile.millionths().saturating_mul(100));
                    all.put(format!("{key}.quantile"), Part::Policy, format_args!("p{percent}"));
                    MeasureKind::Latency
                }
            };
            all.put(format!("{key}.measure"), Part::Policy, kind.word());
        }
        CheckSource::Number { from, interval, timeout, allowed, worse } => {
            put_number(all, key, (from, *interval, *timeout));
            all.put(format!("{key}.allowed"), Part::Policy, allowed);
            all.put(format!("{key}.worse"), Part::Policy, worse.word());
        }
    }
}

/// Who is asked for a number, how often, and how long an answer may take.
pub(super) fn put_number(all: &mut Settings, key: &str, (from, interval, timeout): (&NumberFrom, Span, Span)) {
    match from {
        NumberFrom::Prometheus { url, query, token } => {
            let shown = without_query(url);
            all.put_url(format!("{key}.prometheus"), Part::Policy, url, format_args!("{shown:?}"));
            all.put_text(format!("{key}.query"), Part::Policy, query);
            put_token(all, key, token.as_deref());
        }
        NumberFrom::Command { command } => all.put_text(format!("{key}.command"), Part::Policy, command),
        NumberFrom::Url { url, token } => {
            let shown = without_query(url);
            all.put_url(format!("{key}.url"), Part::Policy, url, format_args!("{shown:?}"));
            put_token(all, key, token.as_deref());
        }
    }
    all.put(format!("{key}.interval"), Part::Policy, interval);
    all.put(format!("{key}.timeout"), Part::Policy, timeout);
}

fn put_token(all: &mut Settings, key: &str, token: Option<&str>) {
    if let Some(token) = token {
        all.put(format!("{key}.token"), Part::Policy, token);
    }
}

/// A limit as the file writes it.
fn in_unit(limit: Decimal, source: &CheckSource) -> String {
    match source {
        CheckSource::Traffic { measure: Measure::Errors | Measure::UpgradesCut, .. } => percent(limit),
        CheckSource::Traffic { measure: Measure::Latency { .. }, .. } => {
            Span::from_micros(u64::try_from(limit.millionths()).unwrap_or_default()).to_string()
        }
        CheckSource::Traffic { measure: Measure::Requests, .. } => format!("{limit}/s"),
        CheckSource::Number { .. } => limit.to_string(),
    }
}

fn percent(part: Decimal) -> String {
    format!("{}%", Decimal::from_millionths(part.millionths().saturating_mul(100)))
}
