//! Workers without any access of their own: the coordinator lends each lease what its task needs, and the
//! S3 server itself refuses everything else.
#![allow(clippy::unwrap_used, dead_code, missing_docs)]

use prestage_test_servers::ports;
#[path = "../crates/store/tests/support/seaweed.rs"]
mod seaweed;
mod support;

use std::{process::Stdio, time::Duration};

use bytes::Bytes;
use prestage_proto::v1;
use prestage_sample::SampleOptions;
use prestage_store::{
    ObjectKey, ObjectUrl, Objects, PackKey, PutRule, StoreOptions,
    lent::{Area, LentCredentials, LentSecrets, RoleLender, Scope, TemporaryKey},
};
use seaweed::{ROLE, Seaweed};
use support::{
    Demo, Running, command,
    fleet::{first_build, saved_plan, service_with, undisturbed, worker},
    ok, refused,
    rogue::Rogue,
};

const MEDIUM_BYTES_MAX: u64 = 1 << 30;
/// The least that token services lend for.
const LIFE: Duration = Duration::from_secs(900);

struct Site {
    server: Seaweed,
    demo: Demo,
    plan: String,
    /// What the plan's medium is.
    expected: Vec<u8>,
}

impl Site {
    async fn new(demo: Demo) -> Self {
        let server = Seaweed::start_with_roles().await;
        let plan = saved_plan(&demo, "fast", &[]);
        let expected = undisturbed(&demo, &plan);
        Self { server, demo, plan, expected }
    }

    /// A coordinator that has the bucket's credentials.
    fn coordinator(&self) -> (Running, String) {
        self.coordinator_of("s3://packs/site")
    }

    fn coordinator_of(&self, objects: &str) -> (Running, String) {
        let data = self.demo.path("data");
        let args = ["coordinator", "--listen", "127.0.0.1:0", "--objects", objects];
        let more = ["--data-dir", data.to_str().unwrap(), "--worker-role", ROLE];
        let args: Vec<&str> = args.into_iter().chain(more).collect();
        let own = self.server.environment();
        let (running, line, _) = service_with(&self.demo, &args, &own, "coordinator is ready");
        let address = line.split("address=").nth(1).unwrap().split(' ').next().unwrap();
        (running, address.to_owned())
    }

    fn build(&self, address: &str) -> std::process::Child {
        self.build_to(address, "s3://media/factory/w11.wim")
    }

    fn build_to(&self, address: &str, output: &str) -> std::process::Child {
        let url = format!("http://{address}");
        let args = ["build", "--json", "--plan", &self.plan, "--coordinator", &url, "--output"];
        let mut build = command(&self.demo);
        build.args(args).arg(output);
        build.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_without_credentials_build_the_same_medium() {
    // Large enough for packs that go up in parts and that the server copies.
    let site = Site::new(Demo::of_mib(80)).await;
    let (_coordinator, address) = site.coordinator();
    // Their environment names no bucket, no server, no key: see `support::command`.
    let (_one, _log) = worker(&site.demo, &address, "one");
    let (_two, _log2) = worker(&site.demo, &address, "two");
    let build = site.build(&address);
    let done = tokio::task::spawn_blocking(move || build.wait_with_output().unwrap());
    ok(&done.await.unwrap());
    let media = site.server.open("s3://media").await;
    let key = ObjectKey::new("factory/w11.wim").unwrap();
    let medium = media.get(&key, MEDIUM_BYTES_MAX).await.unwrap();
    assert!(medium == site.expected, "the medium is another");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lent_for_one_pack_opens_no_other() {
    let site = Site::new(Demo::new()).await;
    let (_coordinator, address) = site.coordinator();
    let build = site.build(&address);
    let (demo, at) = (&site.demo, address.clone());
    tokio::task::block_in_place(|| first_build(demo, &at));
    let (lease, task) = Rogue::new(&address, "rogue").lease().await;
    let access = lease.access.expect("access is lent with the lease");
    let lent = StoreOptions::default().lent(access.settings.clone(), credentials(&access));
    let root = ObjectUrl::parse("s3://packs/site").unwrap();
    let theirs = Objects::open_with(&root, &lent).await.unwrap();
    let ours = site.server.open("s3://packs/site").await;

    let own: PackKey = task.pack_key.parse().unwrap();
    let body = || Bytes::from_static(b"bytes");
    theirs.put_small(&own.pack(), body(), PutRule::Overwrite).await.unwrap();
    assert_eq!(theirs.get(&own.pack(), 100).await.unwrap(), body());
    theirs.delete(&own.pack()).await.unwrap();
    assert!(theirs.head(&own.index()).await.unwrap().is_none(), "what is not there is not there");

    let other = PackKey::of(b"somebody else's");
    let _ = ours.put_small(&other.pack(), body(), PutRule::Overwrite).await.unwrap();
    let media = ObjectUrl::parse("s3://media/factory").unwrap();
    let media = Objects::open_with(&media, &lent).await.unwrap();
    for (objects, key) in [
        (&theirs, other.pack()),
        (&theirs, other.index()),
        (&theirs, ObjectKey::new("listings/00/x").unwrap()),
        (&theirs, ObjectKey::new("builds/x/pin").unwrap()),
        (&media, ObjectKey::new("w11.wim").unwrap()),
    ] {
        let put = objects.put_small(&key, body(), PutRule::Overwrite).await;
        let refused = put.unwrap_err().to_string();
        assert!(refused.to_lowercase().contains("denied"), "{key}: {refused}");
    }
    theirs.get(&other.pack(), 100).await.unwrap_err();
    theirs.delete(&other.pack()).await.unwrap_err();
    assert_eq!(ours.get(&other.pack(), 100).await.unwrap(), body(), "it is untouched");
    drop(build);
}

/// A task that takes longer than its credentials live goes on with newer ones.
#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_exchanged_while_they_are_used() {
    let server = Seaweed::start_with_roles().await;
    let (id, secret, token) = ("nobody".into(), "nothing".into(), "none".into());
    let lent = LentCredentials::new(secrets(TemporaryKey { id, secret, token }));
    let settings = server.options().shown();
    let options = StoreOptions::default().lent(settings, lent.clone());
    let root = ObjectUrl::parse("s3://packs").unwrap();
    let objects = Objects::open_with(&root, &options).await.unwrap();
    let key = ObjectKey::new("packs/x").unwrap();
    let body = || Bytes::from_static(b"bytes");
    objects.put_small(&key, body(), PutRule::Overwrite).await.unwrap_err();
    let lender = RoleLender::new(ROLE, LIFE, &server.options());
    let writes = Area::at(&ObjectUrl::parse("s3://packs/packs/").unwrap());
    let scope = Scope { reads: Vec::new(), writes: writes.into_iter().collect() };
    let (key_lent, until) = lender.unwrap().lend(&scope, "session").await.unwrap();
    assert!(until > time::OffsetDateTime::now_utc());
    lent.exchange(secrets(key_lent));
    objects.put_small(&key, body(), PutRule::Overwrite).await.unwrap();

    // Whoever has no right to the role gets nothing, and nothing secret is told.
    let wrong = server.options_with(&[("AWS_SECRET_ACCESS_KEY", "hunter2")]);
    let stranger = RoleLender::new(ROLE, LIFE, &wrong).unwrap();
    let refused = stranger.lend(&scope, "session").await.err().unwrap().to_string();
    assert!(
        refused.contains("lends nothing of the role") && !refused.contains("hunter2"),
        "{refused}"
    );
}

/// Names that policies would take for patterns are refused before anything is made, as are those that no policy
/// has room for.
#[tokio::test(flavor = "multi_thread")]
async fn no_name_widens_its_own_policy() {
    let site = Site::new(Demo::new()).await;
    let (_coordinator, address) = site.coordinator();
    let (_one, _log) = worker(&site.demo, &address, "one");
    let long = format!("s3://media/{}/w11.wim", "x".repeat(1000));
    for (output, why) in [
        ("s3://media/*/w11.wim", "patterns"),
        ("s3://media/w1?.wim", "patterns"),
        ("s3://media/${aws:username}/w11.wim", "patterns"),
        (&long, "2048 are the most"),
    ] {
        let build = site.build_to(&address, output);
        let done = tokio::task::spawn_blocking(move || build.wait_with_output().unwrap());
        let said = refused(&done.await.unwrap(), 2);
        assert!(said.contains(why), "{output}: {said}");
    }
}

/// A task that no policy has room for, which nobody knew of beforehand, ends its build with the reason; nobody
/// waits for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_can_never_be_lent_to_fails_its_build() {
    let options = SampleOptions { payload_bytes: 12_000_000, ..SampleOptions::default() };
    let demo = Demo::with(&options);
    // Its large file is joined of many runs, each with the long prefix in its name.
    let plan = saved_plan(&demo, "fast", &["--run-mib", "1"]);
    let server = Seaweed::start_with_roles().await;
    let site = Site { server, demo, plan, expected: Vec::new() };
    let (_coordinator, address) = site.coordinator_of(&format!("s3://packs/{}", "x".repeat(200)));
    let (_one, _log) = worker(&site.demo, &address, "one");
    let build = site.build(&address);
    let done = tokio::task::spawn_blocking(move || build.wait_with_output().unwrap());
    let said = refused(&done.await.unwrap(), 1);
    assert!(said.contains("no worker can be lent access") && said.contains("2048"), "{said}");
}

fn credentials(access: &v1::StoreAccess) -> LentCredentials {
    LentCredentials::new(secrets(TemporaryKey {
        id: access.key_id.clone(),
        secret: access.secret_key.clone(),
        token: access.session_token.clone(),
    }))
}

fn secrets(key: TemporaryKey) -> LentSecrets {
    LentSecrets { s3: Some(key), ..LentSecrets::default() }
}
