//! An image's metadata: what is accepted is written and read again the same, and what is grafted
//! is found.

use prestage_wim::metadata::{ImageTree, NewEntry};

const GRAFT: &str = "fuzz/ä/boot.wim";

pub(super) fn check(input: &[u8]) {
    let Ok(mut tree) = ImageTree::parse(input.to_vec()) else {
        return;
    };
    let facts = facts(&tree);
    let written = tree.write();
    let mut again = parsed(&written);
    assert_eq!(self::facts(&again), facts, "written and read again");
    assert_eq!(again.write(), written, "written twice");
    graft(tree);
}

fn parsed(metadata: &[u8]) -> ImageTree {
    match ImageTree::parse(metadata.to_vec()) {
        Ok(tree) => tree,
        Err(error) => panic!("our own metadata is refused: {error}"),
    }
}

/// Counts over all that an entry says, without the order of nodes, which writing may change.
fn facts(tree: &ImageTree) -> (usize, u64, u64, usize) {
    let statistics = tree.statistics(|_| 1);
    let mut names = 0;
    for node in tree.nodes() {
        let entry = tree.entry(node);
        names += entry.name().len() + entry.short_name().len() + entry.name_lossy().len().min(1);
        names += usize::from(entry.hard_link_group() != 0) + entry.times().len();
        names += tree.security.get(entry.security_id()).map_or(0, <[u8]>::len);
    }
    (names, statistics.directories, statistics.files, tree.references().len())
}

fn graft(mut tree: ImageTree) {
    let folder = tree.ensure_directory("fuzz/ä", &NewEntry::directory(7));
    let file = NewEntry::file(0x20, 7, prestage_wim::Sha1Hash([9; 20]));
    // A file in the way of the folder is an error, not a panic.
    if folder.is_ok() && tree.add(GRAFT, &file).is_ok() {
        let mut again = parsed(&tree.write());
        assert!(again.find(GRAFT).is_some(), "what was grafted is found");
    }
}
