//! Who the app is and what is wrong with it.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// The version of an app that was not told any.
const UNTOLD_VERSION: &str = "v1";

/// Everything that makes one instance of the sample app differ from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What it says its version is.
    pub version: String,
    /// `SWITCHOVER_SLOT`, or empty.
    pub slot: String,
    /// `SWITCHOVER_REVISION`; the version where nobody set it.
    pub revision: String,
    /// `SWITCHOVER_INSTANCE`, or empty.
    pub instance: String,
    /// What is wrong with it.
    pub sickness: Sickness,
    /// Where `/work` leaves jobs for the worker.
    pub spool: Option<PathBuf>,
}

/// What is wrong with an app. Written as a list: `never-healthy,boots-in=500,crashes-after=10`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sickness {
    /// How `/up` answers: `never-healthy`, `redirects-health`, `wants-host=HOST`, `hangs-health`.
    pub health: Health,
    /// `exits=CODE`: prints a few lines and exits at once.
    pub exits: Option<u8>,
    /// `ignores-sigterm`: goes on serving after SIGTERM.
    pub ignores_sigterm: bool,
    /// `floods=BYTES`: so much goes to its output, as fast as it can, before it listens.
    pub floods_bytes: u64,
    /// `boots-in=MILLISECONDS`: so long until it listens.
    pub boots_in: Duration,
    /// `crashes-after=N`: the N-th request, `/up` not counted, is its last: it dies with it unanswered.
    pub crashes_after: Option<u64>,
    /// `fails-every=N`: each N-th request, `/up` not counted, is answered with 500.
    pub fails_every: Option<u64>,
    /// `late=MILLISECONDS`: each request, `/up` not counted, is answered so much later.
    pub late: Duration,
    /// `late-every=N`: of those requests only each N-th is late.
    pub late_every: Option<u64>,
}

/// How `/up` answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Health {
    /// 200.
    #[default]
    Green,
    /// 500, always.
    Never,
    /// 301 to https on the host that was asked for, unless `X-Forwarded-Proto` says https.
    Redirects,
    /// 400 unless the Host field is this one.
    WantsHost(String),
    /// Never answers.
    Hangs,
}

/// A setting that cannot be understood.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SettingsError {
    /// No such sickness.
    #[error("unknown sickness `{0}`")]
    UnknownSickness(String),
    /// The part after `=` is not a number, or is missing.
    #[error("`{0}` wants a whole number after `=`")]
    NotANumber(String),
    /// An argument nobody knows.
    #[error("unknown argument `{0}`")]
    UnknownArgument(String),
    /// An argument without its value.
    #[error("`{0}` wants a value")]
    MissingValue(String),
}

impl Settings {
    /// A healthy app that says `version` for its revision too.
    #[must_use]
    pub fn of_version(version: &str) -> Self {
        Self {
            version: version.to_owned(),
            slot: String::new(),
            revision: version.to_owned(),
            instance: String::new(),
            sickness: Sickness::default(),
            spool: None,
        }
    }

    /// Settings from what an argument said, else the environment, else the files `VERSION` and `SICK` in `dir`.
    ///
    /// # Errors
    /// A sickness that cannot be understood.
    pub fn gather(
        version: Option<String>,
        sick: Option<String>,
        env: impl Fn(&str) -> Option<String>,
        dir: &Path,
    ) -> Result<Self, SettingsError> {
        let file = |name: &str| std::fs::read_to_string(dir.join(name)).ok().map(|text| text.trim().to_owned());
        let version = version
            .or_else(|| env("SAMPLE_VERSION"))
            .or_else(|| file("VERSION"))
            .unwrap_or_else(|| UNTOLD_VERSION.to_owned());
        let sick = sick.or_else(|| env("SAMPLE_SICK")).or_else(|| file("SICK")).unwrap_or_default();
        Ok(Self {
            slot: env("SWITCHOVER_SLOT").unwrap_or_default(),
            revision: env("SWITCHOVER_REVISION").unwrap_or_else(|| version.clone()),
            instance: env("SWITCHOVER_INSTANCE").unwrap_or_default(),
            sickness: Sickness::parse(&sick)?,
            spool: env("SAMPLE_SPOOL").map(PathBuf::from),
            version,
        })
    }
}

impl Sickness {
    /// Reads a list such as `never-healthy,boots-in=500`; the empty list is a healthy app.
    ///
    /// # Errors
    /// An unknown name, or a number that is none.
    pub fn parse(list: &str) -> Result<Self, SettingsError> {
        let mut sickness = Self::default();
        for item in list.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let (name, value) = item.split_once('=').unwrap_or((item, ""));
            let number = || value.parse::<u64>().map_err(|_| SettingsError::NotANumber(item.to_owned()));
            match name {
                "never-healthy" => sickness.health = Health::Never,
                "redirects-health" => sickness.health = Health::Redirects,
                "hangs-health" => sickness.health = Health::Hangs,
                "wants-host" => sickness.health = Health::WantsHost(value.to_owned()),
                "ignores-sigterm" => sickness.ignores_sigterm = true,
                "exits" => {
                    let code = u8::try_from(number()?);
                    sickness.exits = Some(code.map_err(|_| SettingsError::NotANumber(item.to_owned()))?);
                }
                "floods" => sickness.floods_bytes = number()?,
                "boots-in" => sickness.boots_in = Duration::from_millis(number()?),
                "crashes-after" => sickness.crashes_after = Some(number()?),
                "fails-every" => sickness.fails_every = Some(number()?.max(1)),
                "late" => sickness.late = Duration::from_millis(number()?),
                "late-every" => sickness.late_every = Some(number()?.max(1)),
                _ => return Err(SettingsError::UnknownSickness(item.to_owned())),
            }
        }
        Ok(sickness)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_sicknesses_is_read_whole() {
        let sickness = Sickness::parse("wants-host=shop.example, boots-in=500,exits=3,ignores-sigterm").unwrap();
        assert_eq!(
            sickness,
            Sickness {
                health: Health::WantsHost("shop.example".into()),
                boots_in: Duration::from_millis(500),
                exits: Some(3),
                ignores_sigterm: true,
                ..Sickness::default()
            }
        );
    }

    #[test]
    fn a_misspelt_sickness_is_refused() {
        assert_eq!(Sickness::parse("never-helthy"), Err(SettingsError::UnknownSickness("never-helthy".into())));
        assert_eq!(Sickness::parse("exits=300"), Err(SettingsError::NotANumber("exits=300".into())));
        assert_eq!(Sickness::parse("floods"), Err(SettingsError::NotANumber("floods".into())));
    }

    #[test]
    fn an_argument_wins_over_the_environment_and_that_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("VERSION"), "from-file\n").unwrap();
        let env = |name: &str| (name == "SAMPLE_VERSION").then(|| "from-env".to_owned());
        let version = |argument: Option<&str>, env: &dyn Fn(&str) -> Option<String>| {
            Settings::gather(argument.map(str::to_owned), None, env, dir.path()).unwrap().version
        };
        assert_eq!(version(Some("from-argument"), &env), "from-argument");
        assert_eq!(version(None, &env), "from-env");
        assert_eq!(version(None, &|_| None), "from-file");
    }
}
