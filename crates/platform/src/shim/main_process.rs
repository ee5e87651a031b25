//! The app's main process: started by this shim, or found running where the shim before was killed.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions, WaitStatus};
use switchover_model::config::StopSignal;
use switchover_model::revision::Revision;

use crate::durable;
use crate::environment::{self, Sealed};
use crate::instance::{Exit, InstanceSpec};
use crate::layout::{InstanceDir, RevisionDir};
use crate::processes::{self, Identity};
use crate::schema;
use crate::shell;

/// The process that gets the stop signal and whose end is the app's.
#[derive(Debug)]
pub(super) struct MainProcess {
    pub(super) identity: Identity,
    /// Whether its exit status will be ours to take.
    pub(super) is_child: bool,
}

/// Starts the app: its own process group, the revision's tree as working directory, the sealed environment.
///
/// Errors: why it could not be started, without a value of its environment.
pub(super) fn start(
    spec: &InstanceSpec,
    dir: &InstanceDir,
    revision: &RevisionDir,
    port: Option<u16>,
) -> Result<MainProcess, String> {
    let sealed = Sealed::read(revision).map_err(|error| format!("the revision's environment: {error}"))?;
    let mut variables = sealed.variables();
    let own = [
        ("SWITCHOVER_APP", spec.app.to_string()),
        ("SWITCHOVER_SLOT", spec.slot.to_string()),
        ("SWITCHOVER_REVISION", spec.revision.to_string()),
        (processes::INSTANCE_VARIABLE, spec.id.to_string()),
        ("PORT", port.map(|port| port.to_string()).unwrap_or_default()),
    ];
    variables.extend(own.map(|(name, value)| (name.to_owned(), value)));
    let record: Option<Revision> = durable::read_json(&revision.record()).unwrap_or_default();
    if let Some(schema) = record.and_then(|record| record.schema) {
        schema::variables(&spec.app, spec.revision, &schema, &mut variables);
    }
    let (name, value) = spec.mark();
    variables.insert(name.to_owned(), value);
    if let Some(lease) = &spec.lease {
        variables.insert("SWITCHOVER_LEASE".to_owned(), environment::path_value(lease));
        variables.insert("SWITCHOVER_ROLE_FILE".to_owned(), environment::path_value(&dir.role()));
    }
    // Opened for reading too: the app never sees a broken pipe while its shim is replaced, it only waits.
    let output = OpenOptions::new().read(true).write(true).open(dir.output()).map_err(|error| error.to_string())?;
    let errors = output.try_clone().map_err(|error| error.to_string())?;
    let tree = revision.tree();
    let child = shell::command(&shell::line(&spec.command), &tree)
        .envs(variables)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .process_group(0)
        .spawn()
        .map_err(|error| shell::cannot_start(&error, &tree))?;
    let pid = i32::try_from(child.id()).map_err(|error| error.to_string())?;
    // A child that nobody has waited for keeps its line in the process table.
    let identity = Identity::of(pid).ok_or("it is not in the process table")?;
    Ok(MainProcess { identity, is_child: true })
}

impl MainProcess {
    /// One that another shim has started.
    pub(super) fn found(identity: Identity) -> Self {
        Self { identity, is_child: false }
    }

    /// Whether it is still the shell around `command`, not the app itself.
    pub(super) fn is_shell(&self, command: &str) -> bool {
        shell::is_shell_of(self.identity.pid, &shell::line(command))
    }

    /// Waits for its end and takes its exit status. Dropping the future loses nothing.
    pub(super) async fn ended(&mut self) -> io::Result<Exit> {
        self.identity.ended().await?;
        if !self.is_child {
            return Ok(Exit::Unseen);
        }
        match rustix::process::waitpid(Pid::from_raw(self.identity.pid), WaitOptions::NOHANG) {
            Ok(Some((_, status))) => Ok(exit(status)),
            Ok(None) | Err(_) => Ok(Exit::Unseen),
        }
    }
}

fn exit(status: WaitStatus) -> Exit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(number)) => Exit::Signal(number),
        (None, None) => Exit::Unseen,
    }
}

/// Whether this process has any child, running or ended: as long as it has, something of the app may live, for what an app
/// leaves behind becomes a child of its shim.
pub(super) fn has_children() -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(rustix::process::waitid(WaitId::All, options), Err(rustix::io::Errno::CHILD))
}

/// Takes the exit status of every ended child that is not `main`: orphans of the app become children of the shim.
pub(super) fn reap_orphans(main: &Option<Identity>) {
    let Some(main) = main else {
        while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
        return;
    };
    // The table is looked through only where the kernel says that some child has ended.
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let Ok(Some(_)) = rustix::process::waitid(WaitId::All, options) else { return };
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    for zombie in processes::zombies(own) {
        if *main != zombie {
            // It may be reaped only once, and only here.
            let _ = rustix::process::waitpid(Pid::from_raw(zombie.pid), WaitOptions::NOHANG);
        }
    }
}

/// The kernel's name of a stop signal.
pub(crate) fn number(signal: StopSignal) -> Signal {
    match signal {
        StopSignal::Term => Signal::TERM,
        StopSignal::Int => Signal::INT,
        StopSignal::Quit => Signal::QUIT,
        StopSignal::Usr1 => Signal::USR1,
        StopSignal::Usr2 => Signal::USR2,
        StopSignal::Hup => Signal::HUP,
    }
}
