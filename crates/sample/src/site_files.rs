//! The files that people read: the site's description, the specs, the password, the read-me.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::Path,
};

use prestage_media::Secret;
use time::{Duration, OffsetDateTime, UtcOffset};

use crate::{
    SampleError,
    identity::{self, DP1, DP2, MANAGEMENT_POINTS, Package, SITE, TASK_SEQUENCE},
    library::library_folder,
    os_image::ENTERPRISE_INDEX,
};

pub(crate) const SPEC: &str = "spec.toml";
pub(crate) const MINIMAL_SPEC: &str = "spec-minimal.toml";
pub(crate) const PASSWORD_FILE: &str = "media-password.txt";

/// Writes all of them into the sample's folder.
pub(crate) fn write(
    site: &Path,
    password: &Secret,
    now: OffsetDateTime,
    software: &[Package],
) -> Result<(), SampleError> {
    let save = |name: &str, text: String| {
        let path = site.join(name);
        fs::write(&path, text).map_err(SampleError::io(path))
    };
    save("site.toml", site_toml())?;
    save(SPEC, spec(now, software)?)?;
    save(MINIMAL_SPEC, minimal_spec())?;
    save("README.txt", read_me())?;
    write_password(&site.join(PASSWORD_FILE), password)
}

fn site_toml() -> String {
    let points = [DP1, DP2].map(|point| {
        let (name, library) = (point.name, library_folder(&point));
        format!("\n[[distribution_point]]\nname = \"{name}\"\ncontent_library = \"{library}\"\n")
    });
    let managers =
        MANAGEMENT_POINTS.map(|url| format!("\n[[management_point]]\nurl = \"{url}\"\n"));
    format!(
        "# An offline site: what AdminService answered, and the content libraries, in folders beside this file.\n\
         [site]\ncode = \"{SITE}\"\nadmin_service = \"adminservice\"\n{}{}",
        points.concat(),
        managers.concat()
    )
}

/// Midnight (UTC) of today, and of the same day a year later, in TOML.
fn validity(now: OffsetDateTime) -> Result<[String; 2], SampleError> {
    let clock = || SampleError::Clock { now: now.to_string() };
    let start = now.checked_to_offset(UtcOffset::UTC).ok_or_else(clock)?.date();
    let year = start.year();
    // 29 February has no anniversary.
    let expiry = start
        .replace_year(year + 1)
        .ok()
        .or_else(|| start.checked_add(Duration::days(365)))
        .ok_or_else(clock)?;
    match (1950..9990).contains(&year) {
        true => Ok([start, expiry].map(|day| format!("{day}T00:00:00Z"))),
        false => Err(clock()),
    }
}

fn spec(now: OffsetDateTime, software: &[Package]) -> Result<String, SampleError> {
    let [start, expiry] = validity(now)?;
    let (boot, os) = (identity::BOOT_IMAGE.id, identity::OS_IMAGE.id);
    let packages = [&identity::VENDOR_TOOLS].into_iter().chain(software);
    let packages: Vec<_> = packages.map(|package| format!("\"{}\"", package.id)).collect();
    let packages = packages.join(", ");
    let (drivers, prestart) = (identity::DRIVERS.id, identity::PRESTART.id);
    let (viewer, agent) = (identity::VIEWER.model_name(), identity::AGENT.name);
    let (runtime, [mp1, mp2]) = (identity::RUNTIME.name, MANAGEMENT_POINTS);
    let (dp1, dp2) = (DP1.name, DP2.name);
    Ok(format!(
        r#"# The sample medium with everything. Build it:   prestage build {SPEC}
# (the site is the folder that this file is in; the password is in {PASSWORD_FILE})
name = "w11-sample"
task_sequence   = "{TASK_SEQUENCE}"
boot_image      = "{boot}"
os_image        = {{ package = "{os}", index = {ENTERPRISE_INDEX} }}
# What the task sequence references is carried anyway; this is added.
applications    = ["{viewer}"]
packages        = [{packages}]
driver_packages = ["{drivers}"]
# {agent}, which the task sequence installs, depends on {runtime}.
detect_application_dependencies = true
# In order of preference. The first one lacks the drivers.
distribution_points = ["{dp1}", "{dp2}"]

[media]
mode = "dynamic"
management_points = ["{mp1}", "{mp2}"]
unattended = true
created_by = "Prestage sample"
version    = "1.0"
comment    = "Made by prestage sample: starts no computer"

[security]
unknown_computer_support = true
password    = {{ file = "{PASSWORD_FILE}" }}
certificate = {{ self_signed = {{ start = {start}, expiry = {expiry} }} }}
user_device_affinity = "do-not-allow"

[customization]
variables = {{ OSDTimeZone = "UTC", SampleGreeting = "Grüße aus dem Depot" }}
prestart  = {{ command = "cmd /c prestart.cmd", package = "{prestart}" }}

[output]
file = "out/w11-sample.wim"
integrity_table = true
codec = "balanced"
"#
    ))
}

fn minimal_spec() -> String {
    let (boot, os) = (identity::BOOT_IMAGE.id, identity::OS_IMAGE.id);
    let (mp, dp1, dp2) = (MANAGEMENT_POINTS[0], DP1.name, DP2.name);
    format!(
        r#"# The least that a medium needs. Without a password, whoever has it can read its certificate.
name = "w11-minimal"
task_sequence = "{TASK_SEQUENCE}"
boot_image = "{boot}"
os_image = {{ package = "{os}" }}
distribution_points = ["{dp1}", "{dp2}"]

[media]
mode = "site-based"
management_points = ["{mp}"]

[security]
no_password = true

[output]
file = "out/w11-minimal.wim"
"#
    )
}

fn read_me() -> String {
    let (agent, runtime) = (identity::AGENT.name, identity::RUNTIME.name);
    let (drivers, dp1, dp2) = (identity::DRIVERS.id, DP1.name, DP2.name);
    let text = format!(
        "A sample site for Prestage
=========================

Build a medium from it:

    prestage plan   {SPEC}
    prestage build  {SPEC}
    prestage verify out/w11-sample.wim
    prestage inspect out/w11-sample.wim

NOTHING HERE IS REAL. The files bear names of Windows and of drivers, but hold generated bytes. The
boot files are placeholders, so a disk with this medium on it DOES NOT START A COMPUTER. The formats
are real: images, content libraries and the export are read with the tools and code that read yours.

{SPEC}              a medium with everything: drivers, packages, applications, prestart, password
{MINIMAL_SPEC}      the least that builds
{PASSWORD_FILE}     the media password, drawn at random for this sample only; keep yours elsewhere
site.toml              the offline site: where everything else is
adminservice/wmi/      what AdminService answered, a file for each class, in several encodings
dp1/, dp2/             content libraries of {dp1} and {dp2}

What to look at
* {dp1} lacks the drivers ({drivers}); they are taken from {dp2}.
  Take {dp2} out of the spec, and the build is refused with what is missing where.
* {agent}, which the task sequence installs, depends on {runtime}, which is
  carried as well.
* A disabled step names a package that is gone ({deleted}): that is a warning, not an error.
* The OS image has two editions. Index {ENTERPRISE_INDEX} has hard links, alternate data streams, junctions,
  symbolic links, security descriptors, names in many scripts, empty files and folders, and a large
  file nearly all of zeros that stands for one of over 4 GiB.
",
        deleted = identity::DELETED_PACKAGE,
    );
    text.replace('\n', "\r\n")
}

/// Only for the account that made the sample, where the system has such rights.
fn write_password(path: &Path, password: &Secret) -> Result<(), SampleError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(SampleError::io(path))?;
    writeln!(file, "{}", password.expose()).map_err(SampleError::io(path))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn certificates_last_from_this_midnight_for_a_year() {
        let of = |now| validity(now).unwrap();
        assert_eq!(
            of(datetime!(2026-11-22 23:30 -2)),
            ["2026-11-23T00:00:00Z", "2027-11-23T00:00:00Z"]
        );
        assert_eq!(of(datetime!(2028-02-29 12:00 UTC))[1], "2029-02-28T00:00:00Z");
    }
}
