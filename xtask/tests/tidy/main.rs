//! The invariants of the house. Each test names one; a failure names the file and the line.

mod floors;
mod licences;
mod purity;
mod sources;
mod tree;
