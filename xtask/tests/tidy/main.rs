//! The invariants of the house. Each test names one; a failure names the file and the line.

mod bytes;
mod code;
mod floors;
mod lengths;
mod licences;
mod purity;
mod sources;
mod tree;
mod words;
