//! What is the same for all seeds: a site, plans, and the media that come of them undisturbed.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use prestage_media::{Secret, spec::MediaSpec};
use prestage_proto::v1;
use prestage_sample::{SampleOptions, write_sample};
use time::OffsetDateTime;

use crate::{
    hosts::{MEDIA, PACKS},
    store::Store,
};

/// The media password of the sample: it must never be seen.
pub const CANARY: &str = "Canary-Yellow-4711-Simulated";
/// The plans that are made, by name.
pub const PLANS: [&str; 3] = ["full", "minimal", "balanced"];

/// A folder with all of it.
#[derive(Clone)]
pub struct Prepared {
    /// Where it is.
    pub folder: PathBuf,
}

/// A plan, and what comes of it.
#[derive(Clone)]
pub struct Reference {
    /// Its name.
    pub name: &'static str,
    /// The plan.
    pub plan_json: Bytes,
    /// The files of the medium, by what their names end in behind that of the output.
    pub volumes: Vec<(String, Bytes)>,
}

impl Prepared {
    /// The site as hosts see it in a run.
    pub fn site(&self) -> PathBuf {
        self.folder.join("site")
    }

    /// Writes the site, untouched.
    pub fn write_site(&self, now: OffsetDateTime) -> io::Result<()> {
        let options = SampleOptions {
            os_files: 100,
            os_bytes: 2 << 20,
            large_file_bytes: 1 << 20,
            driver_files: 16,
            driver_bytes: 1 << 16,
            payload_bytes: 11 << 20,
            application_bytes: 200 << 10,
            threads: 1,
            password: Some(Secret::new(CANARY.to_owned())),
            ..SampleOptions::default()
        };
        write_sample(&self.untouched(), &options, now).map_err(io::Error::other)?;
        Ok(())
    }

    fn untouched(&self) -> PathBuf {
        self.folder.join("site.untouched")
    }

    /// Makes the site of a run: the same files under other names, so that one that is changed there stays
    /// as it is here.
    pub fn renew_site(&self) -> io::Result<()> {
        remove(&self.site())?;
        remove(&self.folder.join("hosts"))?;
        link(&self.untouched(), &self.site())
    }

    /// What is asked for to get a plan.
    pub fn request(&self, name: &str, now: OffsetDateTime) -> io::Result<v1::PlanMediaRequest> {
        let file = if name == "minimal" { "spec-minimal.toml" } else { "spec.toml" };
        let spec = MediaSpec::load(&self.site().join(file), now).map_err(io::Error::other)?;
        let spec = spec.spec;
        let mut secrets = Vec::new();
        for (name, source) in spec.secrets() {
            let secret = source.read().map_err(io::Error::other)?;
            let value = secret.expose().as_bytes().to_vec().into();
            secrets.push(v1::SecretValue { name, value });
        }
        Ok(v1::PlanMediaRequest {
            spec_json: serde_json::to_vec(&spec)?.into(),
            site: self.site().to_string_lossy().into_owned(),
            secrets,
            output: output("reference"),
            codec: if name == "balanced" { name } else { "fast" }.into(),
            strict_package_hash: true,
        })
    }

    /// Keeps a plan and its medium.
    pub fn keep(&self, reference: &Reference) -> io::Result<()> {
        let folder = self.folder.join("references").join(reference.name);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("plan.json"), &reference.plan_json)?;
        for (end, body) in &reference.volumes {
            fs::write(folder.join(format!("volume{end}")), body)?;
        }
        Ok(())
    }

    /// Keeps the listings that plans pin.
    pub fn keep_listings(&self, store: &Store) -> io::Result<()> {
        let folder = self.folder.join("listings");
        fs::create_dir_all(&folder)?;
        for key in store.keys(PACKS) {
            if let (true, Some(body)) = (key.contains("/listings/"), store.body(PACKS, &key)) {
                fs::write(folder.join(key.replace('/', "+")), body)?;
            }
        }
        Ok(())
    }

    /// Puts them into a store, if there are any yet.
    pub fn put_listings(&self, store: &mut Store, now: OffsetDateTime) -> io::Result<()> {
        let folder = self.folder.join("listings");
        if !folder.is_dir() {
            return Ok(());
        }
        let mut files: Vec<_> = fs::read_dir(folder)?.collect::<io::Result<_>>()?;
        files.sort_by_key(fs::DirEntry::file_name);
        for file in files {
            let key = file.file_name().to_string_lossy().replace('+', "/");
            store.place(PACKS, &key, fs::read(file.path())?.into(), now);
        }
        Ok(())
    }

    /// Reads the plans and their media.
    pub fn references(&self) -> io::Result<Vec<Reference>> {
        PLANS.into_iter().map(|name| self.reference(name)).collect()
    }

    fn reference(&self, name: &'static str) -> io::Result<Reference> {
        let folder = self.folder.join("references").join(name);
        let mut volumes = Vec::new();
        for file in fs::read_dir(&folder)? {
            let file = file?;
            let found = file.file_name().to_string_lossy().into_owned();
            if let Some(end) = found.strip_prefix("volume") {
                volumes.push((end.to_owned(), fs::read(file.path())?.into()));
            }
        }
        volumes.sort();
        let plan_json = fs::read(folder.join("plan.json"))?.into();
        Ok(Reference { name, plan_json, volumes })
    }
}

/// The address of a medium.
pub fn output(medium: &str) -> String {
    format!("s3://{MEDIA}/{medium}.wim")
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn link(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            link(&from, &to)?;
        } else {
            fs::hard_link(from, to)?;
        }
    }
    Ok(())
}
