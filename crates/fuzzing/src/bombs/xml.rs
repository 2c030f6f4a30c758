//! The XML data of a WIM.

use prestage_wim::xml::encode;

use super::{Row, nested, text};

pub(super) const BOMBS: &[Row] = &[
    ("wim_xml", "elements in elements", 100_000, |n| {
        utf16(&nested("<WIM>", "<IMAGE INDEX=\"1\">", n, "</IMAGE>", "</WIM>"))
    }),
    ("wim_xml", "attributes of one element", 40_000, |n| {
        let image =
            text("<WIM><IMAGE", n, |n| format!(" A{n}=\"{n}\""), " INDEX=\"1\"></IMAGE></WIM>");
        utf16(&image)
    }),
    ("wim_xml", "one attribute again and again", 40_000, |n| {
        utf16(&text("<WIM><IMAGE", n, |_| " INDEX=\"1\"".into(), "></IMAGE></WIM>"))
    }),
    ("wim_xml", "images", 20_000, |n| {
        let image = |n| format!("<IMAGE INDEX=\"{}\"><NAME>{n}</NAME></IMAGE>", n + 1);
        utf16(&text("<WIM>", n, image, "</WIM>"))
    }),
    ("wim_xml", "names of one image", 40_000, |n| {
        let name = |n| format!("<NAME>{n}</NAME>");
        utf16(&text("<WIM><IMAGE INDEX=\"1\">", n, name, "</IMAGE></WIM>"))
    }),
    ("wim_xml", "references to characters", 100_000, |n| {
        let name = "<WIM><IMAGE INDEX=\"1\"><NAME>";
        utf16(&text(name, n, |_| "&#x41;".into(), "</NAME></IMAGE></WIM>"))
    }),
    ("wim_xml", "a document type with entities of entities", 1000, |n| {
        let entity = |n| format!("<!ENTITY e{} \"&e{n};&e{n};&e{n};&e{n};\">", n + 1);
        let end = format!("]><WIM><IMAGE INDEX=\"1\"><NAME>&e{n};</NAME></IMAGE></WIM>");
        utf16(&text("<!DOCTYPE WIM [<!ENTITY e0 \"boom\">", n, entity, &end))
    }),
    ("wim_xml", "comments that are never closed", 100_000, |n| {
        utf16(&text("<WIM>", n, |_| "<!--".into(), ""))
    }),
];

fn utf16(text: &[u8]) -> Vec<u8> {
    encode(&String::from_utf8_lossy(text))
}
