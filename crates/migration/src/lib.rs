//! Schema changes as values: files of declared operations are parsed strictly and planned as phases of SQL statements,
//! so that two versions of an app can use one database at the same time.
//!
//! Promises: a wrong file gets every mistake at once, with line, column and how to write it; every identifier is quoted
//! in one place ([`Ident`]), every expression is read by a real parser ([`Expression`]); a plan is complete before its
//! first statement runs: phases, locks, checks, and what undoing each means.
//! Must never: do I/O, look at a clock, glue an identifier or a literal into SQL by hand, plan what would take the live
//! version's schema away.
//! Begin reading at [`parse`] and [`Operation`], then [`plan`], and [`change`] for what keeps two versions in step.

pub mod catalog;
pub mod change;
pub mod directory;
mod expression;
mod file;
mod fragment;
pub mod framework;
mod ident;
mod index_definition;
pub mod lint;
mod mistake;
mod operation;
pub mod plan;
mod reference;
pub mod road;
mod sql;
pub mod version;
mod yaml;

pub use expression::{Expression, NotAnExpression};
pub use file::{Migration, parse};
pub use fragment::is_type;
pub use ident::{BadIdent, Ident, Literal, QualifiedName};
pub use index_definition::{IndexBuild, loose_part, loose_prefix, part_name};
pub use mistake::Mistake;
pub use operation::{
    AddColumn, AlterColumn, Check, Column, Constraint, ConstraintKind, CreateConstraint, CreateIndex, CreateTable,
    DefaultChange, DropColumn, DropConstraint, DropIndex, DropMultiColumnConstraint, DropTable, Generated, IndexColumn,
    IndexMethod, IndexStorage, Nulls, OnDelete, Operation, Order, RawSql, References, RenameColumn, RenameConstraint,
    RenameTable, ReplicaIdentity, SetReplicaIdentity,
};
