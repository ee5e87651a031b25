//! From declared operations to phases of statements: what makes the new version beside the old one (*expand*), what
//! takes the old one away once nobody is left on it (*contract*), and what takes the new one back (*undo*).

mod add_column;
mod alter_column;
mod carry;
mod clause;
mod constraints;
mod contract;
mod detach;
mod draft;
mod expand;
mod expressions;
mod finding;
mod ground;
mod in_step;
mod indexes;
mod meaning;
mod our_names;
mod partitions;
mod piece;
mod planned;
mod probe;
mod purge;
mod renaming;
mod restore;
pub(crate) mod sql;
mod standing;
mod step;
mod tables;
mod undo;
mod version_anew;

use expressions::{refuse_query, refuse_unsure};
use finding::{key_in, key_of, order_in};
use ground::nearest;
use our_names::{attic, attic_prefix, kept_mark, ours, put_table_aside};

pub use contract::{came_since, plan_contract, plan_stop_contract};
pub use detach::{out_of_step, plan_attach, plan_detach};
pub use expand::{plan_expand, version_step};
pub use finding::Finding;
pub use ground::Ground;
pub use meaning::{Meaning, meaning};
pub use piece::Piece;
pub use planned::Planned;
pub use probe::{Probe, plan_probes};
pub use purge::plan_purge;
pub use restore::{FUNCTIONS as RESTORE_FUNCTIONS, Kept, kept, plan_restore};
pub use sql::{SESSION_PATH, STATEMENT};
pub use step::{Backfill, Evaluate, Lock, Step, Work};
pub use undo::plan_undo;
pub use version_anew::{Hidden, Standing, standing, with_what_came};
