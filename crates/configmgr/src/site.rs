//! A site: what `site.toml` says of it, and what its AdminService answers, now or when it was exported.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use prestage_access::Access;
use prestage_shares::Shares;

use crate::admin_service::{AdminService, AdminServiceAnswers, AdminServiceError, ExportError};
use crate::site_file::{DistributionPointTable, SiteFile};
use crate::text::{self, DecodeError};
use crate::whole_file::read_whole;

/// A `site.toml` has some KiB, with thousands of distribution points some hundred.
const SITE_FILE_BYTES_MAX: u64 = 4 << 20;

/// A distribution point that `site.toml` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DistributionPoint {
    /// Its name, as written.
    pub name: String,
    /// Where its content library is.
    pub content_library: Option<PathBuf>,
    /// Its HTTP address, used where there is no path.
    pub url: Option<String>,
}

/// A management point that `site.toml` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagementPoint {
    /// `http://…` or `https://…`.
    pub url: String,
}

/// A site.
#[derive(Debug, Clone)]
pub struct Site {
    file: PathBuf,
    code: String,
    admin_service: AdminServiceAnswers,
    live: Option<String>,
    access: Access,
    shares: Shares,
    distribution_points: Vec<DistributionPoint>,
    /// Their places by name in lower case: each that a spec names is looked for.
    places: HashMap<String, usize>,
    management_points: Vec<ManagementPoint>,
}

/// Why a site can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// `site.toml` cannot be read.
    #[error("{path}: {source}; name the site's folder or its site.toml", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// `site.toml` is not text.
    #[error("{path}: {source}", path = path.display())]
    Encoding {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: DecodeError,
    },
    /// `site.toml` is not TOML, lacks a key or has one that is not known.
    #[error("{path}, line {line}: {reason}", path = path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What the parser says.
        reason: String,
    },
    /// A value in `site.toml` that makes no sense.
    #[error("{path}: {key} is {value:?}, but should be {expected}", path = path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// `site.admin_service` is an address.
    #[error("{path}: site.admin_service is the live service {url}, and only a folder will do here; export the site with 'prestage site export' and name that", path = path.display())]
    LiveAdminService {
        /// The file.
        path: PathBuf,
        /// The address.
        url: String,
    },
    /// The AdminService folder can't be used.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The live AdminService can't be asked.
    #[error(transparent)]
    AdminService(#[from] AdminServiceError),
    /// The work was broken off.
    #[error("reading the site was broken off: {0}")]
    Stopped(#[from] prestage_threads::Stopped),
}

impl Site {
    /// Opens a site by its folder or its `site.toml`. The AdminService answers are listed, and read only
    /// when something asks for them.
    pub fn open(path: &Path) -> Result<Self, SiteError> {
        let described = Described::read(path)?;
        if described.is_live() {
            let (path, url) = (described.file, described.admin_service);
            return Err(SiteError::LiveAdminService { path, url });
        }
        described.open_folder()
    }

    /// Opens a site for the content of one medium. A live AdminService is asked all that concerns it;
    /// what follows is the same as with a folder.
    ///
    /// # Errors
    /// [`SiteError`] when `site.toml` is wrong, or AdminService does not answer.
    pub async fn connect(
        path: &Path,
        access: &Access,
        task_sequence: &str,
        distribution_points: &[String],
    ) -> Result<Self, SiteError> {
        let path = path.to_owned();
        let described = prestage_threads::off_thread(move || Described::read(&path)).await??;
        if !described.is_live() {
            let opened = prestage_threads::off_thread(move || described.open_folder()).await??;
            return Ok(Self { access: access.clone(), ..opened });
        }
        let service = AdminService::new(&described.admin_service, access)?;
        let answers = service.answers(task_sequence, distribution_points).await?;
        Ok(Self { access: access.clone(), ..described.with(answers) })
    }

    /// Who we are to the site's servers.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// The same, whose shares are read by the threads of `shares`: a process that opens many sites has
    /// one such set, so that few threads are left behind at a share that hangs.
    #[must_use]
    pub fn with_shares(self, shares: &Shares) -> Self {
        Self { shares: shares.clone(), ..self }
    }

    /// The threads by which its shares are read.
    pub fn shares(&self) -> &Shares {
        &self.shares
    }

    /// The live AdminService that `site.toml` names; `None` if it names a folder.
    ///
    /// # Errors
    /// [`SiteError`] when `site.toml` is wrong, or the access file's identity can't be had.
    pub fn live_admin_service(
        path: &Path,
        access: &Access,
    ) -> Result<Option<AdminService>, SiteError> {
        let described = Described::read(path)?;
        let live = described.is_live();
        let service = live.then(|| AdminService::new(&described.admin_service, access));
        Ok(service.transpose()?)
    }

    /// The `site.toml`.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The site code, upper case.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The address of the live AdminService, if the site is not a folder.
    pub fn live(&self) -> Option<&str> {
        self.live.as_deref()
    }

    /// What AdminService answered.
    pub fn admin_service(&self) -> &AdminServiceAnswers {
        &self.admin_service
    }

    /// The distribution points, in the order of `site.toml`.
    pub fn distribution_points(&self) -> &[DistributionPoint] {
        &self.distribution_points
    }

    /// The management points, in the order of `site.toml`.
    pub fn management_points(&self) -> &[ManagementPoint] {
        &self.management_points
    }

    /// A distribution point by name, without case.
    pub fn distribution_point(&self, name: &str) -> Option<&DistributionPoint> {
        let place = *self.places.get(&name.trim().to_lowercase())?;
        self.distribution_points.get(place)
    }
}

/// `site.toml`, checked.
struct Described {
    file: PathBuf,
    code: String,
    admin_service: String,
    distribution_points: Vec<DistributionPoint>,
    management_points: Vec<ManagementPoint>,
}

impl Described {
    fn read(path: &Path) -> Result<Self, SiteError> {
        let file = if path.is_dir() { path.join("site.toml") } else { path.to_owned() };
        let parsed = read(&file)?;
        let base = file.parent().unwrap_or(Path::new(""));
        let wrong = |key, value: &str, expected| SiteError::Value {
            path: file.clone(),
            key,
            value: value.to_owned(),
            expected,
        };
        let code = parsed.site.code.trim().to_ascii_uppercase();
        if code.len() != 3 || !code.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(wrong("site.code", &parsed.site.code, "three letters or digits"));
        }
        if let Some(point) = parsed.management_point.iter().find(|point| !is_http(&point.url)) {
            return Err(wrong(
                "management_point.url",
                &point.url,
                "an http:// or https:// address",
            ));
        }
        let mut names = HashSet::new();
        for point in &parsed.distribution_point {
            if point.name.trim().is_empty() || !names.insert(point.name.trim().to_lowercase()) {
                return Err(wrong("distribution_point.name", &point.name, "a name, used once"));
            }
            if point.content_library.is_none() && point.url.is_none() {
                let expected = "followed by a content_library";
                return Err(wrong("distribution_point.name", &point.name, expected));
            }
        }
        let points = parsed.distribution_point.into_iter();
        let managers = parsed.management_point.into_iter();
        Ok(Self {
            code,
            admin_service: parsed.site.admin_service,
            distribution_points: points.map(|point| distribution_point(base, point)).collect(),
            management_points: managers.map(|point| ManagementPoint { url: point.url }).collect(),
            file,
        })
    }

    fn is_live(&self) -> bool {
        is_http(&self.admin_service)
    }

    fn open_folder(self) -> Result<Site, SiteError> {
        let base = self.file.parent().unwrap_or(Path::new(""));
        let answers = AdminServiceAnswers::open(&place(base, &self.admin_service))?;
        Ok(self.with(answers))
    }

    fn with(self, admin_service: AdminServiceAnswers) -> Site {
        let live = self.is_live().then(|| self.admin_service.clone());
        let Self { file, code, distribution_points, management_points, .. } = self;
        let names = distribution_points.iter().map(|point| point.name.to_lowercase());
        let places = names.enumerate().map(|(place, name)| (name, place)).collect();
        Site {
            file,
            code,
            admin_service,
            live,
            access: Access::anonymous(),
            shares: Shares::default(),
            distribution_points,
            places,
            management_points,
        }
    }
}

fn distribution_point(base: &Path, point: DistributionPointTable) -> DistributionPoint {
    DistributionPoint {
        content_library: point.content_library.map(|library| place(base, &library)),
        name: point.name.trim().to_owned(),
        url: point.url,
    }
}

fn is_http(text: &str) -> bool {
    let lower = text.trim().to_ascii_lowercase();
    lower.starts_with("http://") || lower.starts_with("https://")
}

/// A path of `site.toml`, which may use either separator.
fn place(base: &Path, path: &str) -> PathBuf {
    let direct = base.join(path);
    match path.contains('\\') && !direct.exists() {
        true => base.join(path.replace('\\', "/")),
        false => direct,
    }
}

fn read(file: &Path) -> Result<SiteFile, SiteError> {
    let bytes = read_whole(file, SITE_FILE_BYTES_MAX)
        .map_err(|source| SiteError::Io { path: file.to_owned(), source })?;
    let text = text::decode(&bytes)
        .map_err(|source| SiteError::Encoding { path: file.to_owned(), source })?;
    toml::from_str(&text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        SiteError::Toml {
            path: file.to_owned(),
            line: text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1,
            reason: error.message().replace('\n', " "),
        }
    })
}
