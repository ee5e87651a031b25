//! `[release.shadow]`, as settings.

use super::Settings;
use crate::config::{Part, Shadow};

pub(super) fn put_shadow(all: &mut Settings, shadow: &Shadow) {
    let Shadow { rules, stays, enough, tolerate } = shadow;
    all.put("release.shadow.share", Part::Policy, rules.share);
    all.put("release.shadow.for", Part::Policy, stays);
    all.put_list("release.shadow.methods", Part::Policy, rules.methods.iter());
    all.put("release.shadow.body", Part::Policy, format_args!("{}KiB", rules.body_bytes / 1024));
    all.put("release.shadow.enough", Part::Policy, enough);
    all.put("release.shadow.tolerate", Part::Policy, tolerate);
    if let Some(compare) = &rules.compare {
        let key = |name: &str| format!("release.shadow.compare.{name}");
        all.put_list(key("headers"), Part::Policy, compare.headers.iter());
        all.put_list(key("ignore_headers"), Part::Policy, compare.ignore_headers.iter());
        all.put_list(key("ignore_fields"), Part::Policy, compare.ignore_fields.iter());
    }
}
