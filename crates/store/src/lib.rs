//! The object store: layout, packs, composition.
