//! The hive of a boot store: whatever tree is written, its structure is sound and the same tree is
//! read back. (Nothing in the product reads hives, so the writer is what is tried.)

use std::collections::BTreeSet;

use arbitrary::{Arbitrary, Unstructured};
use prestage_media::bcd::hive;

use crate::regf::{self, Tree};

/// Value names are constants of the product.
const VALUE_NAMES: [&str; 4] = ["Element", "Type", "KeyName", "TreatAsSystem"];
const DEPTH_MAX: usize = 12;
/// What one cell holds.
const DATA_BYTES_MAX: usize = 16_344;

/// A key of the input: a name and how much hangs below it.
#[derive(Arbitrary)]
struct Shape<'a> {
    name: &'a str,
    values: u8,
    keys: u8,
}

pub(super) fn check(input: &[u8]) {
    let mut input = Unstructured::new(input);
    let Ok(modified) = u64::arbitrary(&mut input) else {
        return;
    };
    let (key, tree) = key(&mut input, "NewStoreRoot", 0);
    assert_eq!(regf::read(&hive::write(&key, modified), modified), tree);
}

/// The key to write and the tree that should come back.
fn key(input: &mut Unstructured<'_>, name: &str, depth: usize) -> (hive::Key, Tree) {
    let (mut written, mut tree) = (hive::Key::new(name), Tree::named(name));
    let Ok(shape) = Shape::arbitrary(input) else {
        return (written, tree);
    };
    for value_name in VALUE_NAMES.iter().take(usize::from(shape.values % 5)) {
        let data = <&[u8]>::arbitrary(input).unwrap_or_default();
        let data = data.get(..DATA_BYTES_MAX).unwrap_or(data).to_vec();
        tree.values.push(((*value_name).to_owned(), data.clone()));
        written = written.with_value(hive::Value::binary(value_name, data));
    }
    let mut names = BTreeSet::new();
    for number in 0..if depth < DEPTH_MAX { shape.keys % 16 } else { 0 } {
        let name = key_name(shape.name, number);
        if names.insert(name.to_ascii_uppercase()) {
            let (subkey, subtree) = key(input, &name, depth + 1);
            written = written.with_key(subkey);
            tree.keys.push(subtree);
        }
    }
    tree.keys.sort_by_key(|key| key.name.to_ascii_uppercase());
    (written, tree)
}

/// Names are ASCII in boot stores.
fn key_name(text: &str, number: u8) -> String {
    let ascii: String = text.chars().filter(char::is_ascii_graphic).take(200).collect();
    format!("{ascii}{number:02x}")
}
