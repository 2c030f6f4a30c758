//! The XML data: what is read stays as long as the input, and a graft keeps an image.

use prestage_wim::{
    metadata::TreeStatistics,
    xml::{self, NewImageInfo},
};

pub(super) fn check(input: &[u8]) {
    let Ok(text) = xml::decode(input) else {
        return;
    };
    assert_eq!(xml::decode(&xml::encode(&text)).ok().as_deref(), Some(&*text));
    let Ok(images) = xml::images(&text) else {
        return;
    };
    for image in &images {
        assert!(image.name.len() + image.description.len() + image.version.len() <= text.len());
    }
    let name = "grafted & <new>";
    let new = NewImageInfo {
        name: name.into(),
        description: String::new(),
        time: 7,
        statistics: TreeStatistics::default(),
    };
    let wanted = images.first().map_or(1, |image| image.index);
    if let Ok(grafted) = xml::grafted(&text, wanted, &new, 4711) {
        assert!(grafted.len() <= text.len() + 1024);
        let again = xml::images(&grafted).unwrap_or_default();
        assert_eq!(again.len(), 1, "one image: {grafted}");
        assert!(again.iter().all(|image| image.index == 1 && image.name == name), "{grafted}");
    }
}
