//! The XML data of the sample's WIMs, with the elements that DISM writes.

use std::fmt::Write as _;

use prestage_wim::metadata::TreeStatistics;

/// What a WIM says of an image. The texts are put into XML as they are.
#[derive(Clone, Debug)]
pub(crate) struct ImageDescription {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    /// `EDITIONID`, also the image's `FLAGS`.
    pub(crate) edition: &'static str,
    /// `INSTALLATIONTYPE`.
    pub(crate) installation_type: &'static str,
    /// `SYSTEMROOT`.
    pub(crate) system_root: &'static str,
}

/// The XML text. `total` is what stands before it in the file, `time` a FILETIME.
pub(crate) fn text(
    total: u64,
    time: u64,
    images: &[(TreeStatistics, &ImageDescription)],
) -> String {
    let mut xml = format!("<WIM><TOTALBYTES>{total}</TOTALBYTES>");
    for (number, (statistics, image)) in images.iter().enumerate() {
        let _ = write!(xml, "<IMAGE INDEX=\"{}\">", number + 1);
        counts(&mut xml, time, statistics);
        windows(&mut xml, image);
        let ImageDescription { name, description, edition, .. } = image;
        let _ = write!(
            xml,
            "<NAME>{name}</NAME><DESCRIPTION>{description}</DESCRIPTION><FLAGS>{edition}</FLAGS>\
             <DISPLAYNAME>{name}</DISPLAYNAME>\
             <DISPLAYDESCRIPTION>{description}</DISPLAYDESCRIPTION></IMAGE>"
        );
    }
    xml.push_str("</WIM>");
    xml
}

fn counts(xml: &mut String, time: u64, statistics: &TreeStatistics) {
    let TreeStatistics { directories, files, total_bytes, hard_link_bytes } = statistics;
    let _ = write!(
        xml,
        "<DIRCOUNT>{directories}</DIRCOUNT><FILECOUNT>{files}</FILECOUNT>\
         <TOTALBYTES>{total_bytes}</TOTALBYTES><HARDLINKBYTES>{hard_link_bytes}</HARDLINKBYTES>"
    );
    for element in ["CREATIONTIME", "LASTMODIFICATIONTIME"] {
        let (high, low) = (time >> 32, time & 0xffff_ffff);
        let _ = write!(
            xml,
            "<{element}><HIGHPART>0x{high:08X}</HIGHPART><LOWPART>0x{low:08X}</LOWPART></{element}>"
        );
    }
}

fn windows(xml: &mut String, image: &ImageDescription) {
    let ImageDescription { edition, installation_type, system_root, .. } = image;
    let _ = write!(
        xml,
        "<WINDOWS><ARCH>9</ARCH><PRODUCTNAME>Microsoft® Windows® Operating System</PRODUCTNAME>\
         <EDITIONID>{edition}</EDITIONID><INSTALLATIONTYPE>{installation_type}</INSTALLATIONTYPE>\
         <SERVICINGDATA><GDRDUREVISION>0</GDRDUREVISION><PKEYCONFIGVERSION>10.0.26100.1742;2016-01-01T00:00:00Z\
         </PKEYCONFIGVERSION></SERVICINGDATA><PRODUCTTYPE>WinNT</PRODUCTTYPE>\
         <PRODUCTSUITE>Terminal Server</PRODUCTSUITE><LANGUAGES><LANGUAGE>en-US</LANGUAGE>\
         <DEFAULT>en-US</DEFAULT></LANGUAGES><VERSION><MAJOR>10</MAJOR><MINOR>0</MINOR>\
         <BUILD>26100</BUILD><SPBUILD>1742</SPBUILD><SPLEVEL>0</SPLEVEL>\
         <BRANCH>ge_release</BRANCH></VERSION><SYSTEMROOT>{system_root}</SYSTEMROOT></WINDOWS>"
    );
}
