//! Packs that somebody replaces while a medium is put together out of them: the medium is not published.
#![allow(clippy::unwrap_used, dead_code, missing_docs)]

use prestage_test_servers::ports;
#[path = "../crates/store/tests/support/seaweed.rs"]
mod seaweed;
mod support;

use std::process::Stdio;

use bytes::Bytes;
use prestage_store::{
    ObjectKey, ObjectUrl, Objects, PackIndex, PackKey, PackReader, PutRule, StoredObject,
    pack::PackContents,
};
use seaweed::Seaweed;
use support::{
    Demo, Running, command,
    fleet::{saved_plan, service_with, tasks, undisturbed, until_clean, wait_until},
    ok, prestage, refused, relay,
};

const MEDIUM_BYTES_MAX: u64 = 1 << 30;

/// What becomes of a pack.
#[derive(Clone, Copy, PartialEq)]
enum Deed {
    /// Other bytes, and an index that fits them.
    Both,
    /// Other bytes under the old index.
    Bytes,
    /// The same bytes once more.
    Nothing,
}

struct Site {
    demo: Demo,
    plan: String,
    expected: Vec<u8>,
    server: Option<Seaweed>,
    /// Where packs and media are.
    objects: String,
    media: String,
}

impl Site {
    /// Large enough for packs that the store copies.
    fn new(server: Option<Seaweed>) -> Self {
        let demo = Demo::of_mib(240);
        let plan = saved_plan(&demo, "fast", &[]);
        let expected = undisturbed(&demo, &plan);
        let folder = |name: &str| demo.path(name).to_str().unwrap().to_owned();
        let (objects, media) = match server {
            Some(_) => ("s3://packs/site".to_owned(), "s3://media".to_owned()),
            None => (folder("packs"), folder("media")),
        };
        Self { demo, plan, expected, server, objects, media }
    }

    fn environment(&self) -> Vec<(&'static str, &str)> {
        self.server.iter().flat_map(Seaweed::environment).collect()
    }

    async fn open(&self, url: &str) -> Objects {
        match &self.server {
            Some(server) => server.open(url).await,
            None => Objects::open(&ObjectUrl::parse(url).unwrap()).await.unwrap(),
        }
    }

    fn coordinator(&self) -> (Running, String) {
        let data = self.demo.path("data");
        let args = ["coordinator", "--listen", "127.0.0.1:0", "--objects", &self.objects];
        let args: Vec<&str> =
            args.into_iter().chain(["--data-dir", data.to_str().unwrap()]).collect();
        let ready = "coordinator is ready";
        let (running, line, _) = service_with(&self.demo, &args, &self.environment(), ready);
        let address = line.split("address=").nth(1).unwrap().split(' ').next().unwrap();
        (running, address.to_owned())
    }

    fn worker(&self, address: &str, name: &str) -> Running {
        let url = format!("http://{address}");
        let args = ["worker", "--coordinator", &url, "--name", name, "--slots", "2"];
        service_with(&self.demo, &args, &self.environment(), "worker is ready").0
    }

    fn build(&self, address: &str, medium: &str) -> std::process::Child {
        let (url, output) = (format!("http://{address}"), format!("{}/{medium}", self.media));
        let args = ["build", "--json", "--plan", &self.plan, "--coordinator", &url, "--output"];
        let mut build = command(&self.demo);
        build.args(args).arg(output).stdout(Stdio::piped()).stderr(Stdio::piped());
        build.spawn().unwrap()
    }

    async fn medium(&self, name: &str) -> Option<Bytes> {
        let (media, key) = (self.open(&self.media).await, ObjectKey::new(name).unwrap());
        let there = media.head(&key).await.unwrap()?;
        Some(media.get(&there.key, MEDIUM_BYTES_MAX).await.unwrap())
    }

    /// The largest pack.
    async fn pack(&self) -> PackReader {
        use futures::TryStreamExt;
        let objects = self.open(&self.objects).await;
        let found: Vec<_> = objects.list("packs").try_collect().await.unwrap();
        let packs = found.iter().filter_map(|facts| match StoredObject::parse(&facts.key) {
            Ok(StoredObject::Pack(key)) => Some((facts.bytes, key)),
            _ => None,
        });
        let (bytes, key) = packs.max().unwrap();
        assert!(bytes > 20 << 20, "none of the packs is copied by the store");
        objects.open_pack(&key).await.unwrap().unwrap()
    }

    async fn replace(&self, deed: Deed) -> PackKey {
        let pack = self.pack().await;
        let (key, index, objects) = (*pack.key(), pack.index(), pack.objects());
        let mut body = pack.get_range(0..index.pack_bytes()).await.unwrap().to_vec();
        if deed != Deed::Nothing {
            // In its second chunk, which the store copies by itself.
            body[15 << 20] ^= 1;
        }
        if deed != Deed::Both {
            // In one piece: a bucket gives it another tag than what went up in parts.
            objects.put_small(&key.pack(), body.into(), PutRule::Overwrite).await.unwrap();
            return key;
        }
        let mut writer = objects.pack_writer(&self.demo.path("replacing")).unwrap();
        writer.append(&body).unwrap();
        let other = writer.finish().unwrap();
        let chunk_digests = other.chunk_digests().to_vec();
        let contents = PackContents { chunk_digests, ..index.contents().clone() };
        let index = PackIndex::new("p", contents).unwrap();
        objects.delete(&key.index()).await.unwrap();
        objects.publish_pack(&key, other, &index).await.unwrap();
        key
    }

    /// A build that stops in front of a kind of task until a pack is replaced.
    async fn build_with(
        &self,
        before: &'static [&'static str],
        deed: Deed,
        medium: &str,
    ) -> std::process::Output {
        let (_coordinator, address) = self.coordinator();
        let withheld = relay::withholding(&address, before).await;
        let _first = self.worker(&withheld, "first");
        let build = self.build(&address, medium);
        let mut build_id = String::new();
        wait_until(|| {
            let url = format!("http://{address}");
            let newest = ok(&prestage(&self.demo, ["list", "--json", "--coordinator", &url]));
            let newest = &newest["builds"][0];
            build_id = newest["build_id"].as_str().unwrap_or_default().to_owned();
            newest["state"] == "running"
        });
        wait_until(|| {
            let tasks = tasks(&self.demo, &address, &build_id);
            tasks.iter().any(|task| task["kind"] == before[0])
        });
        let key = self.replace(deed).await;
        let _second = self.worker(&address, "second");
        let done = tokio::task::spawn_blocking(move || build.wait_with_output().unwrap());
        let done = done.await.unwrap();
        if deed != Deed::Nothing {
            let objects = self.open(&self.objects).await;
            while objects.head(&key.index()).await.unwrap().is_some()
                || !objects.quarantined().await.unwrap().is_empty()
            {
                tokio::task::yield_now().await;
            }
        }
        done
    }

    async fn refuses(&self, before: &'static [&'static str], deed: Deed) {
        let said = refused(&self.build_with(before, deed, "w11.wim").await, 1);
        assert!(said.contains("was replaced while the medium was put together"), "{said}");
        assert!(self.medium("w11.wim").await.is_none(), "there is a medium");
    }

    /// What was replaced is made anew.
    async fn recovers(&self) {
        let (_coordinator, address) = self.coordinator();
        let _worker = self.worker(&address, "w");
        let build = self.build(&address, "again.wim");
        let done = tokio::task::spawn_blocking(move || build.wait_with_output().unwrap());
        ok(&done.await.unwrap());
        assert!(self.medium("again.wim").await.unwrap() == self.expected, "the medium is another");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_folder() {
    let site = tokio::task::spawn_blocking(|| Site::new(None)).await.unwrap();
    site.refuses(&["merge"], Deed::Both).await;
    site.refuses(&["merge"], Deed::Bytes).await;
    site.refuses(&["publish"], Deed::Both).await;
    site.recovers().await;
    until_clean(&site.demo);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_bucket() {
    let server = Seaweed::start().await;
    let site = tokio::task::spawn_blocking(|| Site::new(Some(server))).await.unwrap();
    site.refuses(&["merge"], Deed::Both).await;
    site.refuses(&["merge"], Deed::Bytes).await;
    site.refuses(&["publish"], Deed::Both).await;
    site.recovers().await;
    // A worker that was too slow does no harm.
    ok(&site.build_with(&["merge"], Deed::Nothing, "slow.wim").await);
    assert!(site.medium("slow.wim").await.unwrap() == site.expected, "the medium is another");
}
