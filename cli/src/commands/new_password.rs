//! A media password that is made for a plan: shown once, or kept in a file of its own.

use std::{
    fs::OpenOptions,
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
};

use prestage_media::{Secret, password, spec::MediaSpec};

use crate::error::CliError;

/// Stands for the terminal in place of a file.
const TERMINAL: &str = "-";

/// A new password, and where people find it.
pub struct NewPassword {
    secret: Secret,
    /// `None` for the terminal.
    file: Option<PathBuf>,
}

impl NewPassword {
    /// Makes one if the spec asks for it. Where it goes is checked before any work is done for it,
    /// unless the plan is not `kept` and nobody will need it.
    pub fn wanted(
        spec: &MediaSpec,
        place: Option<&Path>,
        kept: bool,
    ) -> Result<Option<Self>, CliError> {
        if !spec.generates_password() {
            return match place {
                None => Ok(None),
                Some(_) => Err(CliError::wrong(
                    "--new-password is given, but the spec does not ask for a new one",
                    "set security.password = { generate = true }, or leave the option out",
                )),
            };
        }
        let file = match place {
            Some(path) if path == Path::new(TERMINAL) => None,
            Some(path) => Some(free(path)?),
            None if !kept || std::io::stderr().is_terminal() => None,
            None => {
                let what = "the spec asks for a new media password, and nobody would see it";
                let advice = "name a file for it: --new-password FILE (or - to show it once)";
                return Err(CliError::wrong(what, advice));
            }
        };
        Ok(Some(Self { secret: password::generate(&mut rand::rng()), file }))
    }

    /// The password.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Tells it: there is a plan now that needs it.
    pub fn tell(&self) -> Result<(), CliError> {
        let Some(path) = &self.file else {
            eprintln!("the media password, shown this once: {}", self.secret.expose());
            return Ok(());
        };
        let failed = |error: std::io::Error| {
            let what = format!("the media password can't be kept in {}: {error}", path.display());
            CliError::failed(what, "name a new file in a folder that can be written to")
        };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(failed)?;
        writeln!(file, "{}", self.secret.expose())
            .and_then(|()| file.sync_all())
            .map_err(failed)?;
        eprintln!("the media password is in {}, which only you can read", path.display());
        Ok(())
    }
}

/// A password that another medium needs is never written over.
fn free(path: &Path) -> Result<PathBuf, CliError> {
    if path.exists() {
        let what =
            format!("{} is there already, and may be another medium's password", path.display());
        return Err(CliError::wrong(what, "name a file that does not exist"));
    }
    Ok(path.to_owned())
}
