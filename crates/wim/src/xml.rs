//! The XML data: UTF-16LE with BOM, never compressed; what images are called and hold.

use quick_xml::{
    Reader, Writer,
    events::{BytesEnd, BytesStart, BytesText, Event},
};

use crate::{
    bytes::{utf16_bytes, utf16_units},
    error::{Result, WimError},
    metadata::TreeStatistics,
};

/// What the XML data says of an image. Absent elements are empty or `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageInfo {
    /// From 1.
    pub index: u32,
    /// `NAME`.
    pub name: String,
    /// `DESCRIPTION`.
    pub description: String,
    /// `WINDOWS/ARCH`: 0 x86, 9 x64, 12 ARM64.
    pub architecture: Option<u32>,
    /// `WINDOWS/EDITIONID`.
    pub edition: String,
    /// `WINDOWS/VERSION`, as `10.0.26100.1742`.
    pub version: String,
    /// `TOTALBYTES` of the image.
    pub total_bytes: u64,
}

/// What a grafted image is to say of itself.
#[derive(Clone, Debug)]
pub struct NewImageInfo {
    /// `NAME`; must be unique in a WIM.
    pub name: String,
    /// `DESCRIPTION`; empty to keep what the source says.
    pub description: String,
    /// `CREATIONTIME` and `LASTMODIFICATIONTIME`, as a FILETIME.
    pub time: u64,
    /// Counts.
    pub statistics: TreeStatistics,
}

impl NewImageInfo {
    /// Whether an element of the source gives way to one that is made here.
    fn makes_anew(&self, element: &str) -> bool {
        MADE_ANEW.contains(&element) || element == "DESCRIPTION" && !self.description.is_empty()
    }
}

const CUT_OFF: &str = "it ends inside an element: it was cut off";

fn malformed(problem: impl std::fmt::Display) -> WimError {
    WimError::malformed("XML data", 0, problem.to_string())
}

/// Text of the XML data's bytes.
pub fn decode(bytes: &[u8]) -> Result<String> {
    let bytes = bytes.strip_prefix(&[0xff, 0xfe]).unwrap_or(bytes);
    String::from_utf16(&utf16_units(bytes)).map_err(|_| malformed("it is not UTF-16"))
}

/// The XML data's bytes of a text.
pub fn encode(text: &str) -> Vec<u8> {
    let mut out = vec![0xff, 0xfe];
    out.extend_from_slice(&utf16_bytes(&text.encode_utf16().collect::<Vec<_>>()));
    out
}

/// All images that the XML data names.
pub fn images(xml: &str) -> Result<Vec<ImageInfo>> {
    let mut reader = Reader::from_str(xml);
    let mut images = Vec::new();
    let mut path: Vec<String> = Vec::new();
    let mut text = String::new();
    loop {
        match reader.read_event().map_err(malformed)? {
            Event::Start(start) => {
                path.push(name_of(&start));
                text.clear();
                if path.len() == 2 && path[1] == "IMAGE" {
                    images.push(ImageInfo { index: index_of(&start)?, ..ImageInfo::default() });
                }
                check_depth(&path)?;
            }
            Event::Text(piece) => text.push_str(&piece),
            Event::GeneralRef(reference) => text.push_str(&resolve(&reference)?),
            Event::End(_) => {
                if let Some(image) = images.last_mut() {
                    note_element(image, &path, &text);
                }
                path.pop();
                text.clear();
            }
            Event::Eof if path.is_empty() => return Ok(images),
            Event::Eof => return Err(malformed(CUT_OFF)),
            _ => {}
        }
    }
}

fn check_depth(path: &[String]) -> Result<()> {
    if path.len() > 64 { Err(malformed("its elements are nested too deeply")) } else { Ok(()) }
}

fn note_element(image: &mut ImageInfo, path: &[String], text: &str) {
    let below: Vec<&str> = path.iter().skip(2).map(String::as_str).collect();
    match below.as_slice() {
        ["NAME"] => image.name = text.to_owned(),
        ["DESCRIPTION"] => image.description = text.to_owned(),
        ["TOTALBYTES"] => image.total_bytes = text.trim().parse().unwrap_or(0),
        ["WINDOWS", "ARCH"] => image.architecture = text.trim().parse().ok(),
        ["WINDOWS", "EDITIONID"] => image.edition = text.to_owned(),
        ["WINDOWS", "VERSION", "MAJOR" | "MINOR" | "BUILD" | "SPBUILD"] => {
            if !image.version.is_empty() {
                image.version.push('.');
            }
            image.version.push_str(text.trim());
        }
        _ => {}
    }
}

fn name_of(start: &BytesStart<'_>) -> String {
    start.name().as_ref().to_owned()
}

fn index_of(start: &BytesStart<'_>) -> Result<u32> {
    let attribute = start.try_get_attribute("INDEX").map_err(malformed)?;
    let value = attribute.map(|attribute| attribute.value.into_owned());
    let value = value.ok_or_else(|| malformed("an IMAGE has no INDEX"))?;
    value.parse().map_err(|_| malformed(format!("INDEX=\"{value}\" is not a number")))
}

fn resolve(reference: &quick_xml::events::BytesRef<'_>) -> Result<String> {
    if let Some(character) = reference.resolve_char_ref().map_err(malformed)? {
        return Ok(character.to_string());
    }
    let known = quick_xml::escape::resolve_predefined_entity(reference);
    let unknown = || malformed(format!("the entity &{}; is not known", &**reference));
    known.map(str::to_owned).ok_or_else(unknown)
}

/// Elements of an image that are made anew; all others (`WINDOWS`, `DESCRIPTION`, `FLAGS`, …) are
/// kept as they are: Windows Setup needs them, and nothing recomputes them.
const MADE_ANEW: [&str; 8] = [
    "NAME",
    "DIRCOUNT",
    "FILECOUNT",
    "TOTALBYTES",
    "HARDLINKBYTES",
    "CREATIONTIME",
    "LASTMODIFICATIONTIME",
    "WIMBOOT",
];

/// XML data of a WIM whose only image is image `index` of `xml` with a grafted tree.
/// `resources_end` is the offset of the XML data itself, which is what `TOTALBYTES` means.
pub fn grafted(xml: &str, index: u32, image: &NewImageInfo, resources_end: u64) -> Result<String> {
    let mut reader = Reader::from_str(xml);
    let mut writer = Writer::new(Vec::new());
    let mut depth = 0usize;
    let mut inside = false;
    let mut skipped: Option<usize> = None;
    begin(&mut writer, resources_end, image)?;
    loop {
        let event = reader.read_event().map_err(malformed)?;
        match &event {
            Event::Eof if depth == 0 => break,
            Event::Eof => return Err(malformed(CUT_OFF)),
            Event::Start(start) => {
                depth += 1;
                if depth == 2 && name_of(start) == "IMAGE" && index_of(start)? == index {
                    inside = true;
                    continue;
                }
                if depth == 3 && image.makes_anew(&name_of(start)) {
                    skipped.get_or_insert(depth);
                }
            }
            Event::End(_) => {
                depth = depth.saturating_sub(1);
                if depth < 2 {
                    inside = false;
                }
                if skipped == Some(depth + 1) {
                    skipped = None;
                    continue;
                }
            }
            _ => {}
        }
        let empty_made_anew = matches!(&event, Event::Empty(start)
            if depth == 2 && image.makes_anew(&name_of(start)));
        if inside && depth >= 2 && skipped.is_none() && !empty_made_anew {
            writer.write_event(event).map_err(malformed)?;
        }
    }
    close(&mut writer, "IMAGE")?;
    close(&mut writer, "WIM")?;
    String::from_utf8(writer.into_inner()).map_err(malformed)
}

fn begin(writer: &mut Writer<Vec<u8>>, total: u64, image: &NewImageInfo) -> Result<()> {
    open(writer, BytesStart::new("WIM"))?;
    element(writer, "TOTALBYTES", &total.to_string())?;
    open(writer, BytesStart::new("IMAGE").with_attributes([("INDEX", "1")]))?;
    let statistics = &image.statistics;
    element(writer, "DIRCOUNT", &statistics.directories.to_string())?;
    element(writer, "FILECOUNT", &statistics.files.to_string())?;
    element(writer, "TOTALBYTES", &statistics.total_bytes.to_string())?;
    element(writer, "HARDLINKBYTES", &statistics.hard_link_bytes.to_string())?;
    for name in ["CREATIONTIME", "LASTMODIFICATIONTIME"] {
        open(writer, BytesStart::new(name))?;
        element(writer, "HIGHPART", &format!("0x{:08X}", image.time >> 32))?;
        element(writer, "LOWPART", &format!("0x{:08X}", image.time & 0xffff_ffff))?;
        close(writer, name)?;
    }
    element(writer, "NAME", &image.name)?;
    match image.description.as_str() {
        "" => Ok(()),
        description => element(writer, "DESCRIPTION", description),
    }
}

fn open(writer: &mut Writer<Vec<u8>>, start: BytesStart<'_>) -> Result<()> {
    writer.write_event(Event::Start(start)).map_err(malformed)
}

fn close(writer: &mut Writer<Vec<u8>>, name: &str) -> Result<()> {
    writer.write_event(Event::End(BytesEnd::new(name))).map_err(malformed)
}

fn element(writer: &mut Writer<Vec<u8>>, name: &str, text: &str) -> Result<()> {
    open(writer, BytesStart::new(name))?;
    writer.write_event(Event::Text(BytesText::new(text))).map_err(malformed)?;
    close(writer, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "<WIM><TOTALBYTES>9</TOTALBYTES>\
        <IMAGE INDEX=\"1\"><NAME>one</NAME></IMAGE>\
        <IMAGE INDEX=\"2\"><DIRCOUNT>7</DIRCOUNT><NAME>R&amp;D</NAME><CREATIONTIME><HIGHPART>0x1\
        </HIGHPART></CREATIONTIME><WINDOWS><ARCH>9</ARCH><EDITIONID>Enterprise</EDITIONID><VERSION>\
        <MAJOR>10</MAJOR><MINOR>0</MINOR><BUILD>26100</BUILD></VERSION></WINDOWS><FLAGS>E</FLAGS>\
        <WIMBOOT/></IMAGE></WIM>";

    #[test]
    fn reads_images() {
        let images = images(SOURCE).unwrap();
        assert_eq!(images.len(), 2);
        assert_eq!(images[1].name, "R&D");
        assert_eq!(images[1].architecture, Some(9));
        assert_eq!(images[1].version, "10.0.26100");
    }

    #[test]
    fn a_description_replaces_the_sources_and_none_keeps_it() {
        let source = SOURCE.replace("<FLAGS>", "<DESCRIPTION>old</DESCRIPTION><FLAGS>");
        let described = |description: &str| {
            let (name, description) = ("n".to_owned(), description.to_owned());
            let statistics = TreeStatistics::default();
            let new = NewImageInfo { name, description, time: 1, statistics };
            let text = grafted(&source, 2, &new, 0).unwrap();
            assert_eq!(text.matches("<DESCRIPTION>").count(), 1, "{text}");
            images(&text).unwrap().remove(0).description
        };
        assert_eq!(described("R&D; version 7"), "R&D; version 7");
        assert_eq!(described(""), "old");
    }

    #[test]
    fn keeps_windows_and_replaces_counts() {
        let statistics = TreeStatistics { directories: 3, files: 4, ..Default::default() };
        let image = NewImageInfo {
            name: "a<b".into(),
            description: String::new(),
            time: 0x01d0_0000_0000_0002,
            statistics,
        };
        let text = grafted(SOURCE, 2, &image, 4711).unwrap();
        assert_eq!(
            text,
            "<WIM><TOTALBYTES>4711</TOTALBYTES><IMAGE INDEX=\"1\"><DIRCOUNT>3</DIRCOUNT>\
             <FILECOUNT>4</FILECOUNT><TOTALBYTES>0</TOTALBYTES><HARDLINKBYTES>0</HARDLINKBYTES>\
             <CREATIONTIME><HIGHPART>0x01D00000</HIGHPART><LOWPART>0x00000002</LOWPART>\
             </CREATIONTIME><LASTMODIFICATIONTIME><HIGHPART>0x01D00000</HIGHPART><LOWPART>\
             0x00000002</LOWPART></LASTMODIFICATIONTIME><NAME>a&lt;b</NAME><WINDOWS><ARCH>9</ARCH>\
             <EDITIONID>Enterprise</EDITIONID><VERSION><MAJOR>10</MAJOR><MINOR>0</MINOR>\
             <BUILD>26100</BUILD></VERSION></WINDOWS><FLAGS>E</FLAGS></IMAGE></WIM>"
        );
        assert_eq!(decode(&encode(&text)).unwrap(), text);
    }
}
