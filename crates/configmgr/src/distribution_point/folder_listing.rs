//! What is in a folder of a distribution point's web server: by PROPFIND, as the client asks, or from the
//! page that IIS shows for a folder (reference: section 4.3).

use jiff::{Timestamp, fmt::rfc2822};
use percent_encoding::percent_decode_str;
use url::Url;

use crate::xml::{Element, XmlError};

const ATTRIBUTE_DIRECTORY: u32 = 0x10;
/// In units of 100 ns since 1601-01-01.
const FILETIME_OF_1970: i128 = 116_444_736_000_000_000;

/// An entry of a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// One name, without a separator.
    pub name: String,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Bytes, where the server says.
    pub size: Option<u64>,
    /// Time of last write (FILETIME), where the server says.
    pub modified: Option<u64>,
    /// Windows file attributes, where the server says.
    pub attributes: Option<u32>,
}

/// The entries in a `207 Multi-Status` answer to a PROPFIND of depth 1 for `folder`.
///
/// # Errors
/// When the body is no XML.
pub fn of_multistatus(folder: &Url, body: &str) -> Result<Vec<Entry>, XmlError> {
    let root = Element::parse(body)?;
    // Not those inside of others: each would be gone through again for all that are around it.
    let responses = root.children.iter().filter(|element| local_name(element) == "response");
    let entries = responses.filter_map(|response| {
        let inner = response.descendants();
        let href = inner.iter().find(|element| local_name(element) == "href")?;
        let value = |name: &str| {
            let texts = inner.iter().filter(|element| local_name(element) == name);
            texts.map(|element| element.text.trim()).find(|text| !text.is_empty())
        };
        let attributes = value("win32fileattributes");
        let attributes = attributes.and_then(|text| u32::from_str_radix(text, 16).ok());
        let is_folder = inner.iter().any(|element| local_name(element) == "collection")
            || attributes.is_some_and(|attributes| attributes & ATTRIBUTE_DIRECTORY != 0);
        let modified = value("win32lastmodifiedtime").or_else(|| value("getlastmodified"));
        let entry = entry(folder, href.text.trim(), Some(is_folder))?;
        Some(Entry {
            size: value("getcontentlength").and_then(|text| text.parse().ok()),
            modified: modified.and_then(filetime),
            attributes,
            ..entry
        })
    });
    Ok(in_order(entries.collect()))
}

/// The entries that a folder's page links to.
pub fn of_page(folder: &Url, page: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut rest = page;
    // Pages of IIS and Apache alike: <a href="…">; the rest of them differs.
    while let Some(at) = find_ignoring_case(rest, "href=") {
        rest = rest.get(at + "href=".len()..).unwrap_or_default();
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (link, after) = match quote {
            Some(quote) => rest.get(1..).and_then(|link| link.split_once(quote)),
            None => rest.split_once(|c: char| c.is_whitespace() || c == '>'),
        }
        .unwrap_or((rest, ""));
        // What is in a link is no other link: one without an end would be in all of the others.
        rest = after;
        let plain = quick_xml::escape::unescape(link).map(|text| text.into_owned());
        entries.extend(entry(folder, &plain.unwrap_or_else(|_| link.to_owned()), None));
    }
    in_order(entries)
}

/// A FILETIME of `Mon, 15 Jan 2024 13:04:05 GMT`.
pub(super) fn filetime(text: &str) -> Option<u64> {
    let time: Timestamp = rfc2822::parse(text.trim()).ok()?.timestamp();
    u64::try_from(time.as_nanosecond() / 100 + FILETIME_OF_1970).ok()
}

fn local_name(element: &Element) -> String {
    let name = element.name.rsplit(':').next().unwrap_or_default();
    name.to_ascii_lowercase()
}

fn find_ignoring_case(text: &str, wanted: &str) -> Option<usize> {
    let (text, wanted) = (text.as_bytes(), wanted.as_bytes());
    text.windows(wanted.len()).position(|window| window.eq_ignore_ascii_case(wanted))
}

fn in_order(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort();
    entries.dedup_by(|later, first| later.name == first.name);
    entries
}

/// A direct child of `folder` that a link names; anything else (the folder itself, its parent, a column
/// to sort by, another server) is none.
fn entry(folder: &Url, link: &str, is_folder: Option<bool>) -> Option<Entry> {
    let url = folder.join(link).ok()?;
    if url.query().is_some() || url.host_str() != folder.host_str() {
        return None;
    }
    let decoded = |path: &str| percent_decode_str(path).decode_utf8().ok().map(|p| p.into_owned());
    let (base, path) = (decoded(folder.path())?, decoded(url.path())?);
    // The server's own spelling of the folder may differ in case.
    let start = path.get(..base.len())?;
    if !start.to_lowercase().eq(&base.to_lowercase()) {
        return None;
    }
    let below = path.get(base.len()..)?;
    let name = below.trim_end_matches('/');
    let is_folder = is_folder.unwrap_or(below.ends_with('/'));
    let is_inside = !matches!(name, "" | "." | "..") && !name.contains('/');
    is_inside.then(|| Entry { name: name.to_owned(), is_folder, ..Entry::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> Url {
        "http://dp1.corp.example/SMS_DP_SMSPKG$/Datalib/PS100012.3/".parse().unwrap()
    }

    fn names(entries: &[Entry]) -> Vec<(&str, bool)> {
        entries.iter().map(|entry| (entry.name.as_str(), entry.is_folder)).collect()
    }

    #[test]
    fn multistatus_of_any_prefix_and_spelling_is_read() {
        let body = "<?xml version=\"1.0\"?><a:multistatus xmlns:a=\"DAV:\">\
            <a:response><a:href>http://dp1.corp.example/sms_dp_smspkg$/datalib/PS100012.3/</a:href>\
            <a:propstat><a:prop><a:resourcetype><a:collection/></a:resourcetype></a:prop></a:propstat></a:response>\
            <a:response><a:href>/SMS_DP_SMSPKG$/Datalib/PS100012.3/%C3%9Cbersicht%20%231.txt.INI</a:href>\
            <a:propstat><a:prop><a:getcontentlength>4294967297</a:getcontentlength><a:resourcetype/>\
            <a:getlastmodified>Mon, 15 Jan 2024 13:04:05 GMT</a:getlastmodified>\
            <z:Win32FileAttributes xmlns:z=\"urn:schemas-microsoft-com:\">00000021</z:Win32FileAttributes>\
            </a:prop></a:propstat></a:response>\
            <a:response><a:href>/SMS_DP_SMSPKG$/Datalib/PS100012.3/sub/</a:href>\
            <a:propstat><a:prop><a:resourcetype><a:collection/></a:resourcetype></a:prop></a:propstat></a:response>\
            <a:response><a:href>/SMS_DP_SMSPKG$/Datalib/PS100012.3/sub/deeper.INI</a:href></a:response>\
            <a:response><a:href>http://other/SMS_DP_SMSPKG$/Datalib/PS100012.3/x.INI</a:href></a:response>\
            </a:multistatus>";
        let entries = of_multistatus(&folder(), body).unwrap();
        assert_eq!(names(&entries), [("sub", true), ("Übersicht #1.txt.INI", false)]);
        let [folder_entry, file] = &entries[..] else { panic!("{entries:?}") };
        assert_eq!((folder_entry.size, folder_entry.modified), (None, None));
        assert_eq!(file.size, Some(4_294_967_297));
        assert_eq!(file.modified, Some(133_497_974_450_000_000));
        assert_eq!(file.attributes, Some(0x21));
        assert!(of_multistatus(&folder(), "<html><body>no").is_err());
    }

    #[test]
    fn pages_of_iis_and_apache_are_read() {
        let iis = "<html><head><title>dp1 - /SMS_DP_SMSPKG$/</title></head><body><pre>\
            <A HREF=\"/SMS_DP_SMSPKG$/Datalib/\">[To Parent Directory]</A><br><br> 1/2/2026 <A \
            HREF=\"/SMS_DP_SMSPKG$/Datalib/PS100012.3/a%20&amp;%20b+c.INI\">a &amp; b+c.INI</A><br>\
            <A HREF=\"/SMS_DP_SMSPKG$/Datalib/PS100012.3/sub/\">sub</A></pre></body></html>";
        assert_eq!(names(&of_page(&folder(), iis)), [("a & b+c.INI", false), ("sub", true)]);
        let apache = "<a href=\"?C=N;O=D\">Name</a><a href=\"/SMS_DP_SMSPKG$/Datalib/\">Parent</a>\
            <a href='x.INI'>x</a><a href=sub/>sub</a>";
        assert_eq!(names(&of_page(&folder(), apache)), [("sub", true), ("x.INI", false)]);
    }
}
