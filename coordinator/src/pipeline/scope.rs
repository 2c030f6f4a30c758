//! What a task may touch in the object store, and of the outputs: a pure function of the lease.
//!
//! S3 and Google lend what begins with a name, and a policy has room for few names; so what a medium is put
//! together from, hundreds of packs, is named by what their keys have in common: those tasks may read all
//! packs. Azure lends single objects, of any number, and here each of them is named. No task may write any but
//! its own.

use prestage_proto::v1::{self, task::Work};
use prestage_store::{
    BuildId, ObjectUrl, PackKey, UploadToken,
    lent::{Area, Scope},
    location::Cloud,
};

/// Volumes of a medium that are named before anybody knows how many there are: at 4 GiB they hold four
/// terabytes.
const VOLUMES_NAMED_MAX: u32 = 1024;
/// Where open compositions are marked, beside their outputs.
const OPEN_FOLDER: &str = ".prestage/";

/// Where packs are named that must not be used.
const QUARANTINE_FOLDER: &str = "quarantine/";

/// A task that is lent access.
pub struct Borrower<'a> {
    /// The task.
    pub task: &'a v1::Task,
    /// The name of its lease.
    pub lease: &'a str,
    /// The packs of its build, where [`packs_wanted`] asks for them.
    pub packs: &'a [PackKey],
}

/// What a task may touch of what lies in buckets.
pub fn scope_of(borrower: &Borrower<'_>) -> Scope {
    let v1::Task { objects_url, work: Some(work) } = borrower.task else {
        return Scope::default();
    };
    let Ok(root) = ObjectUrl::parse(objects_url) else {
        return Scope::default();
    };
    let mut named = Named { root, borrower, scope: Scope::default() };
    named.add(work);
    named.scope
}

/// The build whose packs a task reads, if each of them has to be named.
pub fn packs_wanted(task: &v1::Task) -> Option<BuildId> {
    let build = match task.work.as_ref()? {
        Work::Assemble(task) => &task.build_id,
        Work::Merge(task) => &task.build_id,
        Work::Publish(task) => &task.build_id,
        _ => return None,
    };
    let root = ObjectUrl::parse(&task.objects_url).ok()?;
    lends_single_objects(&root).then(|| BuildId::new(build.as_str()).ok())?
}

fn lends_single_objects(url: &ObjectUrl) -> bool {
    matches!(url, ObjectUrl::Bucket { cloud: Cloud::Azure, .. })
}

/// Runs that are named one by one, which a boundary and a policy have room for. More of them are only read,
/// and left to the collection of garbage.
fn runs_named(root: &ObjectUrl) -> usize {
    match root {
        ObjectUrl::Bucket { cloud: Cloud::Azure, .. } => usize::MAX,
        ObjectUrl::Bucket { cloud: Cloud::Google, .. } => 4,
        _ => 8,
    }
}

/// Objects below a folder: all whose names begin with `common`, or those of the names.
fn areas(folder: &ObjectUrl, common: &str, names: impl IntoIterator<Item = String>) -> Vec<Area> {
    let names = match lends_single_objects(folder) {
        true => names.into_iter().collect(),
        false => vec![common.to_owned()],
    };
    names.into_iter().filter_map(|name| Area::at(&folder.join(&name))).collect()
}

struct Named<'a> {
    root: ObjectUrl,
    borrower: &'a Borrower<'a>,
    scope: Scope,
}

impl Named<'_> {
    fn add(&mut self, work: &Work) {
        match work {
            Work::Encode(v1::EncodeTask { pack_key, .. })
            | Work::Splice(v1::SpliceTask { pack_key, .. })
            | Work::Boot(v1::BootTask { pack_key, .. }) => self.write_pack(pack_key),
            Work::EncodeRun(task) => {
                self.read_pack(&task.pack_key);
                if let Some(run) = &task.run {
                    self.write_pack(&run.run_key);
                }
            }
            Work::Join(task) => self.join(task),
            Work::Verify(task) => {
                if let Some(encode) = &task.encode {
                    self.read_pack(&encode.pack_key);
                }
            }
            Work::Assemble(task) => self.assemble(task),
            Work::Merge(task) => {
                self.read_packs();
                let own = [format!("glue.{}", task.volume), format!("recipe.{}", task.volume)];
                self.read_build(&task.build_id, own);
                self.write_medium(&task.output, false, &[]);
                self.mark(&task.output, &task.upload, false);
            }
            Work::Publish(task) => self.publish(task),
        }
    }

    fn join(&mut self, task: &v1::JoinTask) {
        self.write_pack(&task.pack_key);
        let named = runs_named(&self.root);
        if task.runs.len() > named {
            self.scope.reads.extend(areas(&self.root, "packs/", None));
        }
        for run in task.runs.iter().take(named) {
            self.write_pack(&run.run_key);
        }
    }

    fn assemble(&mut self, task: &v1::AssembleTask) {
        self.read_packs();
        let split = task.split_bytes > 0;
        let count = if split { VOLUMES_NAMED_MAX } else { 1 };
        let build = &task.build_id;
        let placements = areas(&self.root, "", [format!("builds/{build}/placements")]);
        if lends_single_objects(&self.root) {
            self.scope.reads.extend(placements);
        }
        let own = (1..=count).flat_map(|n| [format!("glue.{n}"), format!("recipe.{n}")]);
        let own = own.map(|name| format!("builds/{build}/{name}"));
        self.scope.writes.extend(areas(&self.root, &format!("builds/{build}/"), own));
        let Ok(output) = ObjectUrl::parse(&task.output) else {
            return;
        };
        if !lends_single_objects(&output) {
            self.write_medium(&task.output, split, &[]);
            self.mark(&task.output, "", true);
            return;
        }
        // It opens the compositions, and nothing of the medium is there yet.
        let volume = |number| if split { output.volume(number).ok() } else { Some(output.clone()) };
        let marker = |volume| UploadToken::marker_under(self.borrower.lease, &volume);
        let markers = (1..=count).filter_map(volume).filter_map(marker);
        self.scope.writes.extend(markers.filter_map(|marker| Area::at(&marker)));
    }

    fn publish(&mut self, task: &v1::PublishTask) {
        self.read_packs();
        self.read_quarantine();
        let count = 1..=task.volumes.len();
        let own = count.flat_map(|n| [format!("glue.{n}"), format!("recipe.{n}")]);
        self.read_build(&task.build_id, own);
        let Some(first) = task.volumes.first() else {
            return;
        };
        // Those of an older medium go: see `remove_stale_volumes`.
        let split = task.volumes.len() > 1 || first.output.ends_with(".swm");
        self.write_medium(&first.output, split, &task.sidecars);
        for volume in &task.volumes {
            self.mark(&volume.output, &volume.upload, true);
        }
    }

    fn read_pack(&mut self, key: &str) {
        let areas = areas(&self.root, &pack(key), pack_names(key));
        self.scope.reads.extend(areas);
    }

    fn write_pack(&mut self, key: &str) {
        let areas = areas(&self.root, &pack(key), pack_names(key));
        self.scope.writes.extend(areas);
    }

    /// Those of the medium.
    fn read_packs(&mut self) {
        let packs = self.borrower.packs.iter();
        let names = packs.flat_map(|key| pack_names(&key.to_string()));
        self.scope.reads.extend(areas(&self.root, "packs/", names));
    }

    /// Whether those of the medium are in quarantine.
    fn read_quarantine(&mut self) {
        let packs = self.borrower.packs.iter();
        let names = packs.map(|key| format!("{QUARANTINE_FOLDER}{key}"));
        self.scope.reads.extend(areas(&self.root, QUARANTINE_FOLDER, names));
    }

    fn read_build(&mut self, build: &str, names: impl IntoIterator<Item = String>) {
        let folder = format!("builds/{build}/");
        let names = names.into_iter().map(|name| format!("{folder}{name}"));
        self.scope.reads.extend(areas(&self.root, &folder, names));
    }

    /// A medium and what lies beside it under its name. A medium of several volumes has a name for each,
    /// which begin alike.
    fn write_medium(&mut self, output: &str, split: bool, sidecars: &[v1::Sidecar]) {
        let Ok(output) = ObjectUrl::parse(output) else {
            return;
        };
        if lends_single_objects(&output) {
            let sidecars = sidecars.iter().map(|sidecar| format!("{output}{}", sidecar.suffix));
            let sidecars = sidecars.filter_map(|url| ObjectUrl::parse(&url).ok());
            let volumes = (2..=VOLUMES_NAMED_MAX).take(if split { usize::MAX } else { 0 });
            let volumes = volumes.filter_map(|number| output.volume(number).ok());
            let all = std::iter::once(output.clone()).chain(sidecars).chain(volumes);
            self.scope.writes.extend(all.filter_map(|url| Area::at(&url)));
            return;
        }
        let mut medium = Area::at(&output);
        if split && let Some(medium) = &mut medium {
            let stem = medium.prefix.rfind('.').unwrap_or(medium.prefix.len());
            medium.prefix.truncate(stem);
        }
        self.scope.writes.extend(medium);
    }

    /// The marks of a medium's open composition: that of the token, or the folder of them.
    fn mark(&mut self, output: &str, token: &str, removes: bool) {
        let folder = ObjectUrl::parse(output).ok().and_then(|output| output.parent().ok());
        let Some(folder) = folder else {
            return;
        };
        if !lends_single_objects(&folder) {
            let marks = Area::at(&folder.join(OPEN_FOLDER)).filter(|marks| !self.writes(marks));
            self.scope.writes.extend(marks);
            return;
        }
        let marker = UploadToken::from(token.to_owned()).marker().ok().flatten();
        // A token comes from a worker.
        let beside = |marker: &ObjectUrl| {
            let marks = marker.parent().ok();
            marks.is_some_and(|marks| marks == folder.join(OPEN_FOLDER.trim_end_matches('/')))
        };
        let marker = marker.filter(beside).as_ref().and_then(Area::at);
        if removes { &mut self.scope.writes } else { &mut self.scope.reads }.extend(marker);
    }

    fn writes(&self, area: &Area) -> bool {
        self.scope.writes.contains(area)
    }
}

/// What the names of a pack and of its index begin with.
fn pack(key: &str) -> String {
    format!("packs/{}/{key}.", key.get(..2).unwrap_or_default())
}

fn pack_names(key: &str) -> [String; 2] {
    ["pack", "index"].map(|end| format!("{}{end}", pack(key)))
}

#[cfg(test)]
#[path = "scope_tests.rs"]
mod tests;
