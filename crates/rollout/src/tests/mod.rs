//! Scenarios on a small obedient world: what it is told it does at once; what a test wants to go wrong, the test breaks.

mod ailing;
mod bed;
mod commands;
mod evidence;
mod experiment;
mod framework;
mod hooks;
mod lasting;
mod notices;
mod policies;
mod rollbacks;
mod rolling;
mod rolling_back;
mod schema;
mod schema_back;
mod schema_bed;
mod shadow;
mod shown;
mod stages;
mod steps;
mod story;
mod trouble;
mod way_back_in_steps;
mod windows;
mod workers;
