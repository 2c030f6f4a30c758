//! A distribution point that the spec chose, opened in the way that the site file names.

use prestage_access::Access;
use prestage_shares::Shares;
use tokio::runtime::Handle;

use super::resolution::ContentKind;
use crate::content_library::{ContentListing, LibraryError, LibraryOnShare, PackageEntry};
use crate::distribution_point::{ContentPlace, HttpLibrary, NamedContent, Shown};
use crate::site::DistributionPoint;

/// A distribution point that the spec chose.
pub(super) struct ChosenPoint {
    pub(super) name: String,
    named: ContentPlace,
    pub(super) library: Result<Library, String>,
}

pub(super) enum Library {
    Local(LibraryOnShare),
    Http(HttpLibrary),
}

impl ChosenPoint {
    /// Opens its library by path, or by its address where there is no path or the path can't be read;
    /// with what went wrong. `None` when the site file names neither.
    pub(super) fn open(
        point: &DistributionPoint,
        access: &Access,
        shares: &Shares,
    ) -> Option<(Self, Option<String>)> {
        let by_path = point.content_library.clone().map(ContentPlace::Library);
        let address = point.url.as_deref().map(|url| ContentPlace::new(url.trim()));
        let address = address.filter(|place| matches!(place, ContentPlace::Http(_)));
        let mut places = by_path.into_iter().chain(address);
        let mut named = places.next()?;
        let open = |place: &ContentPlace| {
            Library::open(place, &point.name, access, shares).map_err(|error| error.to_string())
        };
        let mut library = open(&named);
        let mut trouble = None;
        if let (Err(error), Some(other)) = (&library, places.next()) {
            trouble = Some(format!("its address is used instead of its content library: {error}"));
            library = open(&other);
            named = other;
        }
        if let Err(error) = &library {
            let left_out =
                format!("its content library cannot be read, so it is left out: {error}");
            trouble = Some(match trouble {
                Some(before) => format!("{before}; {left_out}"),
                None => left_out,
            });
        }
        Some((Self { name: point.name.clone(), named, library }, trouble))
    }

    /// Where it has a content's files.
    pub(super) fn place(&self, content_id: &str) -> ContentPlace {
        match &self.library {
            Ok(Library::Http(library)) => library.place(content_id),
            _ => self.named.clone(),
        }
    }

    /// Reads a content that it shows by names, to know what identifies the files' bytes.
    pub(super) fn read_whole(&self, content: &NamedContent) -> Result<ContentListing, String> {
        match &self.library {
            Ok(Library::Http(library)) => {
                library.read_whole(content).map_err(|error| error.to_string())
            }
            _ => Err("it shows no content by names".into()),
        }
    }
}

impl Library {
    fn open(
        place: &ContentPlace,
        name: &str,
        access: &Access,
        shares: &Shares,
    ) -> Result<Self, LibraryError> {
        match place {
            ContentPlace::Library(folder) => {
                LibraryOnShare::open(folder, name, shares).map(Self::Local)
            }
            ContentPlace::Http(url) => {
                let runtime = Handle::try_current().map_err(|error| LibraryError::Remote {
                    address: url.to_string(),
                    problem: error.to_string(),
                })?;
                HttpLibrary::open(url, access, &runtime).map(Self::Http)
            }
        }
    }

    /// What `PkgLib` says of a package; or what is wrong, which is damage.
    pub(super) fn package(&self, id: &str) -> Result<Option<PackageEntry>, (String, bool)> {
        match self {
            Self::Local(library) => library.package(id).map_err(|error| (error.to_string(), true)),
            Self::Http(library) => Ok(library.package(id)),
        }
    }

    /// Versions that `DataLib` alone will do for: a deployment type's content is named by its very
    /// version; and where there is no `PkgLib` to ask, the site's version decides.
    pub(super) fn versions(&self, stem: &str, kind: ContentKind) -> Vec<u32> {
        match self {
            Self::Local(library) if kind == ContentKind::Application => library.versions_of(stem),
            Self::Local(_) => Vec::new(),
            Self::Http(library) => library.versions_of(stem),
        }
    }

    /// Whether it can say which versions it has.
    pub(super) fn shows_versions(&self) -> bool {
        match self {
            Self::Local(_) => true,
            Self::Http(library) => library.shows_versions(),
        }
    }

    /// A content as it is there; or why not, and whether that is damage rather than mere absence.
    pub(super) fn show(&self, content_id: &str) -> Result<Shown, (String, bool)> {
        let shown = match self {
            Self::Local(library) => library.list(content_id).map(Shown::Listed),
            Self::Http(library) => library.show(content_id),
        };
        shown.map_err(|error| match &error {
            LibraryError::NoContent { .. } if !self.shows_versions() => {
                ("does not hold it".to_owned(), false)
            }
            _ => (error.to_string(), true),
        })
    }
}
