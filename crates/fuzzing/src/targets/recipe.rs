//! The recipe of a medium: what is accepted tiles it, is written the same, and is cut into parts
//! that tile it too.

use prestage_store::{PartRules, Recipe, recipe::check_tiling};

const RULES: PartRules =
    PartRules { min_bytes: 0, max_bytes: 5 << 30, max_parts: 10_000, at_once: 1 };

pub(super) fn check(input: &[u8]) {
    let Ok(recipe) = Recipe::decode(input) else {
        return;
    };
    assert_eq!(Recipe::decode(&recipe.encode()).as_ref(), Ok(&recipe), "written and read again");
    if let Ok(parts) = recipe.parts(&RULES) {
        assert!(parts.len() <= RULES.max_parts as usize);
        let ranges = parts.iter().map(|part| (part.dst_offset, part.len));
        assert_eq!(check_tiling(recipe.total_bytes(), ranges), Ok(()));
        assert!(parts.iter().all(|part| part.len <= RULES.max_bytes));
    }
}
