//! An app's preview token: made once, kept 0600 beside the app, never journaled. The router gets its digest alone.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};
use switchover_model::AppName;

/// Length of a token in bytes, before it is written in hexadecimal.
const BYTES: usize = 24;

/// The preview token of one app.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PreviewToken(String);

impl PreviewToken {
    /// Reads the app's token, or makes one. Blocks on the disk.
    pub(crate) fn of(state: &Path, app: &AppName) -> io::Result<Self> {
        let directory = state.join("apps").join(app.as_str());
        let path = directory.join("preview-token");
        match std::fs::read_to_string(&path) {
            Ok(text) if text.trim().len() == BYTES * 2 => return Ok(Self(text.trim().to_owned())),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        let token = hex::encode(bytes);
        let draft = directory.join(".preview-token");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(token.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&draft, &path)?;
        Ok(Self(token))
    }

    /// The token itself, for those who may see the preview.
    pub(crate) fn secret(&self) -> &str {
        &self.0
    }

    /// Its SHA-256 in hexadecimal, for the router.
    pub(crate) fn digest(&self) -> String {
        hex::encode(Sha256::digest(self.0.as_bytes()))
    }
}

impl std::fmt::Debug for PreviewToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PreviewToken(…)")
    }
}
