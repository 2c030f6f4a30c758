//! Reading a site and its distribution points while planning. A share that hangs costs its patience, no more.

use std::{io, path::Path, sync::Arc};

use prestage_access::Access;
use prestage_configmgr::{
    ContentRequest, Resolution, Site,
    content_library::ListedFile,
    distribution_point::{ContentPlace, FileOfContent, RemoteRanges, ShareRanges},
    resolve::ContentSource,
};
use prestage_shares::Shares;
use prestage_wim::{RangeRead, Wim, WimError};

use super::PlanFailure;

/// How distribution points are read.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    /// Over HTTP.
    pub access: &'a Access,
    /// By path.
    pub shares: &'a Shares,
}

impl Reading<'_> {
    /// Every content of a request. A site is many small files, so it is read on a thread of its own.
    pub async fn resolve(
        self,
        site: String,
        request: ContentRequest,
    ) -> Result<Resolution, PlanFailure> {
        let (task_sequence, points) = (&request.task_sequence, &request.distribution_points);
        let site = Site::connect(Path::new(&site), self.access, task_sequence, points).await?;
        let site = site.with_shares(self.shares);
        let work = prestage_threads::off_thread(move || {
            Ok::<_, PlanFailure>(prestage_configmgr::resolve(&site, &request)?)
        });
        work.await.map_err(|error| PlanFailure::internal(error.to_string()))?
    }

    /// Opens a WIM at a source: one file, or the parts of a split one.
    pub async fn wim(self, source: &ContentSource, files: &[&ListedFile]) -> Result<Wim, WimError> {
        let mut opened: Vec<Arc<dyn RangeRead>> = Vec::with_capacity(files.len());
        for listed in files {
            opened.push(self.file(source, listed).await?);
        }
        Wim::open_set(opened).await
    }

    async fn file(
        self,
        source: &ContentSource,
        listed: &ListedFile,
    ) -> io::Result<Arc<dyn RangeRead>> {
        let (path, size, sha256) = (listed.path.clone(), listed.size, listed.sha256);
        let file = FileOfContent { path, size, sha256 };
        let (point, place) = (&source.distribution_point, source.place.clone());
        if let ContentPlace::Http(_) = place {
            return Ok(Arc::new(RemoteRanges(place.remote(&file, self.access)?)));
        }
        let name = file.path.clone();
        let looked = self.shares.call(point, move |_| place.local_path(&file)).await??;
        let path = looked.ok_or_else(|| io::Error::other("it lies in no folder"))?;
        let file = self.shares.open_file(point, path).await?;
        Ok(Arc::new(ShareRanges { file, name }))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use prestage_access::Floor;
    use prestage_test_servers::hung_mount::HungMount;

    use super::*;

    #[tokio::test]
    async fn a_wim_on_a_share_that_hangs_is_given_up() {
        let library = tempfile::tempdir().unwrap();
        let _hung = HungMount::new(library.path());
        let within = Duration::from_millis(200);
        let shares = Shares::new(Floor { within, ..Floor::default() });
        let reading = Reading { access: &Access::anonymous(), shares: &shares };
        let place = ContentPlace::Library(library.path().to_owned());
        let source = ContentSource { distribution_point: "dp1".into(), place };
        let file = ListedFile {
            path: "install.wim".into(),
            size: 1,
            sha256: [7; 32],
            attributes: 0,
            modified: 0,
        };
        let start = Instant::now();
        let error = reading.wim(&source, &[&file]).await.err().unwrap().to_string();
        assert!(error.contains("the share does not answer"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    }
}
