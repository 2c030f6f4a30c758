//! The whole sample, step by step.

use std::{fs, path::Path, sync::Arc};

use prestage_media::password;
use time::OffsetDateTime;

use crate::{
    SampleError, SampleOptions, SampleSummary, boot_image,
    contents::{self, ImageFiles},
    export, identity,
    image::{self, WimSettings},
    library, os_image,
    place::Place,
    random::Random,
    site_files,
};

/// Writes a sample site and its specs into `dir`, which must be absent or an empty folder.
///
/// Everything is prepared in a folder beside it and moved there at the end, so that what is in `dir`
/// is whole. The same options (with a password given) and `now` give the same bytes.
///
/// # Errors
/// [`SampleError`]; nothing is left behind then.
pub fn write_sample(
    dir: &Path,
    options: &SampleOptions,
    now: OffsetDateTime,
) -> Result<SampleSummary, SampleError> {
    options.check()?;
    let place = Place::prepare(dir)?;
    let (site, scratch) = (place.site(), place.scratch());
    let (os, boot) = (scratch.join("install.wim"), scratch.join("boot.wim"));
    write_images(&os, &boot, options)?;
    let software = &identity::SOFTWARE[..options.packages];
    let contents = contents::all(options, &ImageFiles { os: &os, boot: &boot }, software);
    let listings = library::write(&site, &contents)?;
    let wmi = site.join("adminservice/wmi");
    fs::create_dir_all(&wmi).map_err(SampleError::io(&wmi))?;
    let facts = export::Facts { listings: &listings, now, seed: options.seed, software };
    export::write(&wmi, &facts)?;
    let password = options.password.clone();
    let password = password.unwrap_or_else(|| password::generate(&mut rand::rng()));
    site_files::write(&site, &password, now, software)?;
    let (os_image_bytes, boot_image_bytes) = (size(&os)?, size(&boot)?);
    let folder = place.put()?;
    Ok(SampleSummary {
        spec: folder.join(site_files::SPEC),
        minimal_spec: folder.join(site_files::MINIMAL_SPEC),
        password_file: folder.join(site_files::PASSWORD_FILE),
        folder,
        contents: listings.len(),
        content_files: listings.values().map(|listing| listing.files.len() as u64).sum(),
        content_bytes: listings.values().map(|listing| listing.total_bytes()).sum(),
        os_image_bytes,
        boot_image_bytes,
    })
}

fn write_images(os: &Path, boot: &Path, options: &SampleOptions) -> Result<(), SampleError> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(options.threads)
        .build()
        .map_err(|error| SampleError::Threads { reason: error.to_string() })?;
    let pool = Arc::new(pool);
    let settings = |name, boot_index| WimSettings {
        pool: pool.clone(),
        guid: Random::named(options.seed, name).guid(),
        boot_index,
    };
    image::write_wim(os, &os_image::images(options), settings("OS image", 0))?;
    image::write_wim(boot, &boot_image::images(options.seed), settings("boot image", 1))
}

fn size(path: &Path) -> Result<u64, SampleError> {
    Ok(fs::metadata(path).map_err(SampleError::io(path))?.len())
}
