use switchover_model::ReleaseId;
use switchover_model::answer::ReplayView;
use switchover_model::evidence::Replayed;
use switchover_model::experiment::Decided;

use crate::cli::Shared;
use crate::exit::Exit;
use crate::failure::Done;
use crate::say;
use crate::show::{self, checks};

/// Reach the verdicts of a release's checks again, from what its journal holds
///
/// For every moment at which something followed from the checks it tells what was recorded, how many looks it rests on, and what the
/// same looks give now. Ends with 0 when all agree, and with 1 when one does not.
#[derive(Debug, clap::Args)]
pub(crate) struct Replay {
    /// The release; all of them when it is left out
    release: Option<u32>,
}

impl Replay {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let daemon = shared.daemon()?;
        let app = shared.app(&daemon).await?;
        let which = self.release.map_or_else(|| "all".to_owned(), |release| ReleaseId(release).to_string());
        let view: ReplayView = daemon.get(&format!("/v1/apps/{app}/replay/{which}")).await?;
        if shared.json {
            say::json(&view);
        } else {
            tell(&view);
        }
        let agree = view.moments.iter().all(|moment| moment.agrees);
        Ok(if agree { Exit::Succeeded } else { Exit::Other })
    }
}

fn tell(view: &ReplayView) {
    if view.moments.is_empty() {
        return say::line(format_args!("nothing followed from checks of {} so far", view.app));
    }
    for Replayed { recorded, looks, again, experiment, agrees } in &view.moments {
        let agreed = if *agrees { "the same again" } else { "NOT the same again" };
        let watch = &recorded.watch;
        let looks = if *looks == 1 { "1 look".to_owned() } else { format!("{looks} looks") };
        say::line(format_args!("release {}, {}, {looks}: {agreed}", watch.release, checks::place(watch)));
        checks::lines(again).iter().for_each(|line| say::line(format_args!("  {line}")));
        let decided = |of: &Option<Box<Decided>>| {
            of.iter().flat_map(|of| show::experiment::decided_lines(of)).collect::<Vec<_>>()
        };
        decided(experiment).iter().for_each(|line| say::line(format_args!("  {line}")));
        if !agrees {
            say::line("  recorded was:");
            checks::lines(&recorded.verdicts).iter().for_each(|line| say::line(format_args!("  {line}")));
            decided(&recorded.experiment).iter().for_each(|line| say::line(format_args!("  {line}")));
        }
    }
}
