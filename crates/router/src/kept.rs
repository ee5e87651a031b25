//! The last table on disk: what a router serves that starts while no controller is there.
//!
//! Guarantees: the file is whole or it is the one before (written beside, in room that was taken for it before, then
//! renamed: a disk that is full does not forbid it); it is renamed before the flip, so
//! a router killed at any moment comes back with a table no older than what a client saw. It is served to users only in
//! the boot it was written in, and only to ports whose listening socket is the one that was there.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use switchover_model::seam::{Arm, Endpoint, Routes};
use switchover_model::{AppName, InstanceId, Timestamp};

use crate::identity;

const FORMAT: u32 = 1;
/// Longest file that is read (bytes).
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Room that is taken on the disk for the next table at least (bytes); more when the last one was larger than half of it.
const ROOM_BYTES_MIN: u64 = 64 * 1024;

/// An app's routes as they are in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InForce {
    pub(crate) routes: Routes,
    /// When this version of them came into force.
    pub(crate) since: Timestamp,
}

/// The apps of a table.
pub(crate) type Apps = BTreeMap<AppName, InForce>;

#[derive(Debug, Serialize, Deserialize)]
struct KeptTable {
    format: u32,
    boot_id: String,
    generation: u64,
    apps: Vec<InForce>,
    /// An earlier table could not be read, and nobody has said since that these are all the apps.
    #[serde(default)]
    is_incomplete: bool,
    sockets: Vec<KeptSocket>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct KeptSocket {
    instance: InstanceId,
    address: SocketAddr,
    sockets: Vec<u64>,
}

/// The file and what is remembered for it.
#[derive(Debug)]
pub(crate) struct Kept {
    path: PathBuf,
    boot_id: String,
    known: BTreeMap<(InstanceId, SocketAddr), Vec<u64>>,
}

/// What was found at the start.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) generation: u64,
    pub(crate) apps: Apps,
    /// Why the file could not be read.
    pub(crate) problem: Option<String>,
    /// Nobody knows which other hosts are served: the file could not be read, or an earlier one, not long ago.
    pub(crate) is_incomplete: bool,
}

impl Kept {
    /// Reads what a predecessor left. Endpoints that can not be trusted are left out.
    pub(crate) fn open(path: PathBuf) -> (Self, Found) {
        let mut kept = Self { path, boot_id: identity::boot_id(), known: BTreeMap::new() };
        let nothing = |problem: Option<String>| {
            let is_incomplete = problem.is_some();
            Found { generation: 0, apps: Apps::new(), problem, is_incomplete }
        };
        let found = match kept.read() {
            Ok(None) => nothing(None),
            Ok(Some(table)) => kept.trusted(table),
            Err(error) => nothing(Some(format!("{}: {error}", kept.path.display()))),
        };
        kept.take_room(0);
        (kept, found)
    }

    fn read(&self) -> io::Result<Option<KeptTable>> {
        match std::fs::metadata(&self.path) {
            Ok(about) if about.len() > FILE_BYTES_MAX => return Err(io::ErrorKind::FileTooLarge.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
        let table: KeptTable = serde_json::from_slice(&std::fs::read(&self.path)?)?;
        if table.format == FORMAT {
            Ok(Some(table))
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidData, format!("format {} is not known", table.format)))
        }
    }

    fn trusted(&mut self, table: KeptTable) -> Found {
        let same_boot = !self.boot_id.is_empty() && table.boot_id == self.boot_id;
        let addresses: Vec<_> = table.sockets.iter().map(|kept| kept.address).collect();
        let now = if same_boot { identity::listening_sockets(&addresses) } else { BTreeMap::new() };
        for kept in table.sockets {
            let is_same = now
                .get(&kept.address)
                .is_some_and(|sockets| sockets.iter().any(|socket| kept.sockets.contains(socket)));
            if is_same {
                self.known.insert((kept.instance, kept.address), kept.sockets);
            }
        }
        let mut apps = Apps::new();
        for mut app in table.apps {
            for endpoints in endpoint_lists(&mut app.routes) {
                endpoints.retain(|endpoint| {
                    // Only ports of this machine can be looked at; others are believed until the next boot.
                    same_boot && (!is_local(endpoint) || self.known.contains_key(&key(endpoint)))
                });
            }
            apps.insert(app.routes.app.clone(), app);
        }
        Found { generation: table.generation, apps, problem: None, is_incomplete: table.is_incomplete }
    }

    /// Writes the table that is about to be in force. The bytes may still be in the kernel when this returns: they
    /// survive this process, and after a fall of the machine nothing in them is trusted anyway.
    pub(crate) fn write(&mut self, generation: u64, apps: &Apps, is_incomplete: bool) -> io::Result<File> {
        self.look_at_new(apps);
        let sockets = self
            .known
            .iter()
            .map(|((instance, address), sockets)| KeptSocket {
                instance: instance.clone(),
                address: *address,
                sockets: sockets.clone(),
            })
            .collect();
        let table = KeptTable {
            format: FORMAT,
            boot_id: self.boot_id.clone(),
            generation,
            apps: apps.values().cloned().collect(),
            is_incomplete,
            sockets,
        };
        let text = serde_json::to_vec(&table)?;
        // Not cut short first, so that the room it has is used again.
        let mut file = self.beside()?;
        file.write_all(&text)?;
        file.set_len(text.len() as u64)?;
        std::fs::rename(self.path.with_extension("json.new"), &self.path)?;
        self.take_room(text.len() as u64);
        Ok(file)
    }

    fn beside(&self) -> io::Result<File> {
        let path = self.path.with_extension("json.new");
        File::options().write(true).create(true).truncate(false).mode(0o600).open(path)
    }

    /// Takes room for the next table. Without it that one is written where room is found then.
    fn take_room(&self, last_bytes: u64) {
        let bytes = ROOM_BYTES_MIN.max(last_bytes.saturating_mul(2));
        let taken = self
            .beside()
            .and_then(|file| Ok(rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes)?));
        if let Err(error) = taken {
            tracing::debug!(%error, "no room is kept for the next table");
        }
    }

    /// Brings what was written to the disk, so that after a fall of the machine the file is whole.
    pub(crate) fn sync(file: &File, directory: &Path) -> io::Result<()> {
        file.sync_all()?;
        File::open(directory)?.sync_all()
    }

    /// Remembers the sockets of endpoints not seen before, and forgets those that left.
    fn look_at_new(&mut self, apps: &Apps) {
        let mut apps = apps.clone();
        let endpoints: Vec<_> = apps
            .values_mut()
            .flat_map(|app| endpoint_lists(&mut app.routes))
            .flat_map(std::mem::take)
            .filter(is_local)
            .collect();
        let wanted: BTreeMap<_, _> = endpoints.iter().map(|endpoint| (key(endpoint), ())).collect();
        self.known.retain(|known, _| wanted.contains_key(known));
        let new: Vec<_> = endpoints.iter().filter(|endpoint| !self.known.contains_key(&key(endpoint))).collect();
        if new.is_empty() {
            return;
        }
        let addresses: Vec<_> = new.iter().map(|endpoint| endpoint.address).collect();
        let sockets = identity::listening_sockets(&addresses);
        for endpoint in new {
            if let Some(sockets) = sockets.get(&endpoint.address) {
                self.known.insert(key(endpoint), sockets.clone());
            }
        }
    }
}

fn key(endpoint: &Endpoint) -> (InstanceId, SocketAddr) {
    (endpoint.instance.clone(), endpoint.address)
}

fn is_local(endpoint: &Endpoint) -> bool {
    endpoint.address.ip().to_canonical().is_loopback()
}

/// Every list of endpoints in the routes, the preview's and the mirror's included.
pub(crate) fn endpoint_lists(routes: &mut Routes) -> impl Iterator<Item = &mut Vec<Endpoint>> {
    let preview = routes.preview.iter_mut().map(|preview| &mut preview.arm);
    let mirror = routes.mirror.iter_mut().map(|mirror| &mut mirror.arm);
    routes
        .arms
        .iter_mut()
        .chain(preview)
        .chain(mirror)
        .flat_map(|arm: &mut Arm| &mut arm.processes)
        .map(|process| &mut process.endpoints)
}

#[cfg(test)]
#[path = "kept_tests.rs"]
mod tests;
