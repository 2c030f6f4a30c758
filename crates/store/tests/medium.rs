//! From packs to a medium, the whole way: publish, lay out, write glue, merge in parallel, compare.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use prestage_store::layout::{CopyRule, Extent, LayoutPack, Origin, Place, Volume, VolumeRoom};
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

/// What the assemble task writes: what isn't copied, then the tail.
fn glue(volume: &Volume, packs: &[Pack]) -> Bytes {
    let mut glue = Vec::new();
    for stretch in volume.stretches().iter().filter(|stretch| !stretch.copied) {
        let bytes = stretch.bytes as usize;
        match stretch.from {
            Origin::Header => glue.extend(vec![b'H'; bytes]),
            Origin::Zeros => glue.extend(vec![0; bytes]),
            Origin::Pack { pack, offset } => {
                let from = offset as usize;
                glue.extend(&packs[pack].body[from..from + bytes]);
            }
        }
    }
    glue.extend(TAIL);
    glue.into()
}

/// Merges one volume of a build and reads it.
async fn merge(objects: &Objects, build: &BuildId, number: u32, file: &Path) -> Vec<u8> {
    let composer = &Composer::new(StoreOptions::default());
    let dst = ObjectUrl::Local(file.to_owned());
    let object = objects.get(&build.recipe(number), 1 << 20).await.unwrap();
    let recipe = Recipe::decode(&object).unwrap();
    let parts = recipe.parts(&composer.part_rules(&dst, objects)).unwrap();
    let token = &composer.begin(&dst, recipe.total_bytes()).await.unwrap();
    let (glue, recipe) = (&build.glue(number), &recipe);
    let mut placed: Vec<_> = stream::iter(parts)
        .map(|part| async move {
            let part = recipe.bind(&part, objects, glue);
            let receipt = composer.place(token, &part).await?.receipt;
            Ok::<_, prestage_store::compose::ComposeError>((part, receipt))
        })
        .buffer_unordered(4)
        .try_collect()
        .await
        .unwrap();
    placed.sort_by_key(|(part, _)| part.number);
    composer.finish(token, &placed).await.unwrap();
    std::fs::read(file).unwrap()
}

/// Takes a layout all the way and gives its volumes' bytes.
async fn make(objects: &Objects, packs: &[Pack], layout: &Layout, folder: &Path) -> Vec<Vec<u8>> {
    let build = BuildId::new("b1").unwrap();
    let mut media = Vec::new();
    for (number, volume) in (1..).zip(layout.volumes()) {
        let recipe = volume.recipe(TAIL.len() as u64).unwrap();
        let glue = (build.glue(number), glue(volume, packs));
        for (key, body) in [glue, (build.recipe(number), recipe.encode())] {
            let _ = objects.put_small(&key, body, PutRule::Overwrite).await.unwrap();
        }
        let medium = merge(objects, &build, number, &folder.join(format!("w{number}"))).await;
        let view = ComposedView::new(objects, build.glue(number), Arc::new(recipe));
        assert_eq!(view.size(), medium.len() as u64);
        assert!(view.read_range(0..view.size()).await.unwrap() == medium);
        media.push(medium);
    }
    media
}

fn check(media: &[Vec<u8>], packs: &[Pack], layout: &Layout) {
    for medium in media {
        assert!(medium[..HEADER_BYTES as usize].iter().all(|&byte| byte == b'H'));
        assert!(medium.ends_with(TAIL));
    }
    for (number, pack) in packs.iter().enumerate() {
        for (entry, place) in pack.index.resources().iter().zip(layout.places(number)) {
            let Place { volume, offset } = *place;
            let stored = &media[volume][offset as usize..(offset + entry.stored_bytes) as usize];
            assert!(Sha1::digest(stored)[..] == entry.sha1[..], "pack {number} at {place:?}");
        }
    }
    for (medium, volume) in media.iter().zip(layout.volumes()) {
        for chunk in volume.known_chunks() {
            let from = (HEADER_BYTES + chunk.chunk * CHUNK) as usize;
            let digest = Sha1::digest(&medium[from..from + CHUNK as usize]);
            let expected = packs[chunk.pack].index.chunk_digests()[chunk.pack_chunk as usize].sha1;
            assert_eq!(digest[..], expected[..]);
        }
    }
}

#[tokio::test]
async fn a_medium_holds_every_resource_where_the_layout_says_however_it_is_copied() {
    let folder = tempfile::tempdir().unwrap();
    let root = ObjectUrl::Local(folder.path().join("objects"));
    let objects = Objects::open_with(&root, &StoreOptions::default()).await.unwrap();
    let mut packs = Vec::new();
    for (name, sizes) in [
        (1, &[3_000_000, CHUNK, 5_000_000, 5_000_000, 5_000_000, 3_100_000, 3_300_000][..]),
        (2, &[100, 4_000_000, 77]),
        (3, &[2 * CHUNK - 9, 9]),
        (4, &[2_990_000, 1]),
        (5, &[CHUNK]),
    ] {
        packs.push(publish(&objects, name, sizes).await);
    }
    let input: Vec<_> = packs.iter().map(for_layout).collect();
    // The first pack goes on in the second volume, behind resources of the fourth.
    let room = VolumeRoom { volume: 2 * CHUNK + 400_000, first_tail: 99, other_tail: 99, entry: 9 };
    for (room, volumes, known) in [(None, 1, 6), (Some(room), 4, 5)] {
        let mut of_each_rule = Vec::new();
        for copy_rule in [CopyRule::WholeChunks, CopyRule::WholePieces] {
            let layout = Layout::plan(&input, copy_rule, room).unwrap();
            let known_chunks = layout.volumes().iter().map(|volume| volume.known_chunks().len());
            assert_eq!((layout.volumes().len(), known_chunks.sum::<usize>()), (volumes, known));
            let media = make(&objects, &packs, &layout, folder.path()).await;
            check(&media, &packs, &layout);
            of_each_rule.push(media);
        }
        assert!(of_each_rule[0] == of_each_rule[1], "the rule changed bytes of the medium");
    }
}
