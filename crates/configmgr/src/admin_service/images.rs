//! `ImageProperty`: which images a WIM of the site holds.

use serde::{Deserialize, Serialize};

use crate::xml::Element;

/// One image inside a WIM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageIndex {
    /// Index, from 1.
    pub index: u32,
    /// Its name, if the site records one.
    pub name: Option<String>,
}

/// The images that `ImageProperty` names; none if it is not understood, since nothing depends on it:
/// the WIM itself is what a build checks the index against.
pub(super) fn read(xml: &str) -> Vec<ImageIndex> {
    let Ok(root) = Element::parse(xml) else {
        return Vec::new();
    };
    let images = root.descendants().into_iter().filter(|element| element.is("IMAGE"));
    let mut found: Vec<ImageIndex> = images
        .filter_map(|image| {
            let index = image.attribute("INDEX")?.trim().parse().ok()?;
            Some(ImageIndex { index, name: name_of(image) })
        })
        .collect();
    found.sort_by_key(|image| image.index);
    found
}

fn name_of(image: &Element) -> Option<String> {
    let child = image.children.iter().find(|child| {
        let property = child.is("Property")
            && child.attribute("Name").is_some_and(|name| name.eq_ignore_ascii_case("Image name"));
        child.is("NAME") || property
    });
    let name = child.map(|child| child.text.as_str()).or_else(|| image.attribute("NAME"))?;
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_shapes_give_indexes_and_names() {
        let xml = "<WIM><IMAGE INDEX=\"3\"><NAME>Pro</NAME></IMAGE>\
                   <IMAGE INDEX=\"1\"><Property Name=\"Image name\">Home</Property></IMAGE></WIM>";
        let names: Vec<_> = read(xml).into_iter().map(|i| (i.index, i.name.unwrap())).collect();
        assert_eq!(names, [(1, "Home".to_owned()), (3, "Pro".to_owned())]);
        assert!(read("no xml").is_empty());
    }
}
