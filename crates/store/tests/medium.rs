//! From packs to a medium, the whole way: publish, lay out, write glue, merge in parallel, compare.
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use prestage_store::layout::{Extent, GlueSource, LayoutPack};
use prestage_store::pack::{PackContents, PackFacts, ResourceEntry};
use prestage_store::{
    BuildId, CHUNK, Compose, ComposedView, Composer, HEADER_BYTES, Layout, ObjectUrl, Objects,
    PackIndex, PackKey, PutRule, Recipe, StoreOptions,
};
use sha1::{Digest, Sha1};

const TAIL: &[u8] = b"metadata, blob table, XML, integrity table";

struct Pack {
    key: PackKey,
    body: Vec<u8>,
    index: PackIndex,
}

/// Publishes a pack whose resources have the given sizes.
async fn publish(objects: &Objects, name: u8, sizes: &[u64]) -> Pack {
    let key = PackKey::of(&[name]);
    let mut writer = objects.pack_writer(std::path::Path::new("/nowhere")).unwrap();
    let mut body = Vec::new();
    let mut resources = Vec::new();
    for (number, &bytes) in sizes.iter().enumerate() {
        let resource: Vec<u8> = (0..bytes)
            .map(|at| (at.wrapping_mul(40_503) >> 7) as u8 ^ name ^ (number as u8) << 4)
            .collect();
        resources.push(ResourceEntry {
            sha1: Sha1::digest(&resource).into(),
            sha256: None,
            offset: writer.position(),
            stored_bytes: bytes,
            original_bytes: bytes,
            compressed: false,
        });
        writer.append(&resource).unwrap();
        body.extend(resource);
    }
    let pack = writer.finish().unwrap();
    let contents = PackContents {
        pack_bytes: pack.bytes(),
        chunk_digests: pack.chunk_digests().to_vec(),
        resources,
        tree: None,
        xml: None,
        facts: PackFacts::default(),
    };
    let index = PackIndex::new("p", contents).unwrap();
    objects.publish_pack(&key, pack, &index).await.unwrap();
    Pack { key, body, index }
}

fn for_layout(pack: &Pack) -> LayoutPack {
    let extents = pack
        .index
        .resources()
        .iter()
        .map(|entry| Extent { offset: entry.offset, bytes: entry.stored_bytes });
    LayoutPack { key: pack.key, bytes: pack.index.pack_bytes(), resources: extents.collect() }
}

/// What the assemble task writes: the glue's pieces one behind the other, then the tail.
fn glue(layout: &Layout, packs: &[Pack]) -> Bytes {
    let mut glue = Vec::new();
    for piece in layout.glue() {
        let bytes = piece.bytes as usize;
        match piece.from {
            GlueSource::Header => glue.extend(vec![b'H'; bytes]),
            GlueSource::Zeros => glue.extend(vec![0; bytes]),
            GlueSource::Pack { pack, offset } => {
                let from = offset as usize;
                glue.extend(&packs[pack].body[from..from + bytes]);
            }
        }
    }
    glue.extend(TAIL);
    glue.into()
}

async fn merge(composer: &Composer, objects: &Objects, build: &BuildId, dst: &ObjectUrl) {
    let object = objects.get(&build.recipe(), 1 << 20).await.unwrap();
    let recipe = Recipe::decode(&object).unwrap();
    let parts = recipe.parts(&composer.part_rules(dst, objects)).unwrap();
    let token = &composer.begin(dst, recipe.total_bytes()).await.unwrap();
    let mut placed: Vec<_> = stream::iter(parts)
        .map(|part| async move {
            let part = part.bind(objects, build);
            let receipt = composer.place(token, &part).await?;
            Ok::<_, prestage_store::compose::ComposeError>((part, receipt))
        })
        .buffer_unordered(4)
        .try_collect()
        .await
        .unwrap();
    placed.sort_by_key(|(part, _)| part.number);
    composer.finish(token, &placed).await.unwrap();
}

#[tokio::test]
async fn a_medium_holds_every_resource_where_the_layout_says() {
    let folder = tempfile::tempdir().unwrap();
    let root = ObjectUrl::Local(folder.path().join("objects"));
    let objects = Objects::open_with(&root, &StoreOptions::default()).await.unwrap();
    let mut packs = Vec::new();
    for (name, sizes) in [
        (1, &[3_000_000, CHUNK, 12_345][..]),
        (2, &[100, 4_000_000, 77]),
        (3, &[2 * CHUNK - 9, 9]),
        (4, &[3_400_000, 1]),
        (5, &[CHUNK]),
    ] {
        packs.push(publish(&objects, name, sizes).await);
    }
    let input: Vec<_> = packs.iter().map(for_layout).collect();
    let layout = Layout::plan(&input).unwrap();
    let build = BuildId::new("b1").unwrap();
    let recipe = layout.recipe(TAIL.len() as u64).unwrap();
    for (key, body) in [(build.glue(), glue(&layout, &packs)), (build.recipe(), recipe.encode())] {
        let _ = objects.put_small(&key, body, PutRule::Overwrite).await.unwrap();
    }

    let file = folder.path().join("w.wim");
    let dst = ObjectUrl::Local(file.clone());
    merge(&Composer::new(StoreOptions::default()), &objects, &build, &dst).await;
    let medium = std::fs::read(&file).unwrap();

    assert!(medium[..HEADER_BYTES as usize].iter().all(|&byte| byte == b'H'));
    assert!(medium.ends_with(TAIL));
    for (number, pack) in packs.iter().enumerate() {
        for (entry, &offset) in pack.index.resources().iter().zip(layout.offsets(number)) {
            let stored = &medium[offset as usize..(offset + entry.stored_bytes) as usize];
            assert!(Sha1::digest(stored)[..] == entry.sha1[..], "pack {number} at {offset}");
        }
    }
    let mut known = 0;
    for chunk in layout.known_chunks() {
        let from = (HEADER_BYTES + chunk.chunk * CHUNK) as usize;
        let digest = Sha1::digest(&medium[from..from + CHUNK as usize]);
        let expected = packs[chunk.pack].index.chunk_digests()[chunk.pack_chunk as usize].sha1;
        assert_eq!(digest[..], expected[..]);
        known += 1;
    }
    assert_eq!(known, 4);

    let view = ComposedView::new(&objects, &build, Arc::new(recipe));
    assert_eq!(view.size(), medium.len() as u64);
    assert!(view.read_range(0..view.size()).await.unwrap() == medium);
}
