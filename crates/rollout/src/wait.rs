//! What a release can wait for, in the words a person reads. The text is also the identity of the wait: its clock runs
//! from the record that names it until another reason or a step forward takes its place.

/// A bake cannot be watched.
pub(crate) const EVIDENCE: &str = "the new slot to be seen again";
/// A bake sees some instances not healthy.
pub(crate) const RECOVERY: &str = "every instance of the new slot to be healthy again";
