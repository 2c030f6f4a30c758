//! Workers without any access of their own, in Azure: the coordinator signs for each lease what its task
//! needs, and Azurite refuses everything else.
#![allow(clippy::unwrap_used, dead_code, missing_docs)]

use prestage_test_servers::ports;
#[path = "../crates/store/tests/support/azurite.rs"]
mod azurite;
#[path = "../crates/store/tests/support/front.rs"]
mod front;
mod support;

use std::process::Stdio;

use azurite::Azurite;
use bytes::Bytes;
use futures::TryStreamExt;
use prestage_store::{
    ObjectKey, ObjectUrl, Objects, PackKey, PutRule, StoreOptions,
    lent::{LentCredentials, LentSecrets},
};
use support::{
    Demo, Running, command,
    fleet::{first_build, saved_plan, service_with, undisturbed, worker},
    ok, prestage, refused,
    rogue::Rogue,
};

const MEDIUM_BYTES_MAX: u64 = 1 << 30;
const FILE: &str = "file = \"out/w11-sample.wim\"";

/// A coordinator that has the account's key, and lends.
fn coordinator(demo: &Demo, server: &Azurite) -> (Running, String) {
    let data = demo.path("data");
    let args = ["coordinator", "--listen", "127.0.0.1:0", "--objects", "az://packs/a site"];
    let more = ["--data-dir", data.to_str().unwrap(), "--lend"];
    let args: Vec<&str> = args.into_iter().chain(more).collect();
    let own = server.environment();
    let own: Vec<(&str, &str)> = own.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let (running, line, _) = service_with(demo, &args, &own, "coordinator is ready");
    let address = line.split("address=").nth(1).unwrap().split(' ').next().unwrap();
    (running, address.to_owned())
}

fn build(demo: &Demo, address: &str, plan: &str, output: &str) -> std::process::Child {
    let url = format!("http://{address}");
    let args = ["build", "--json", "--plan", plan, "--coordinator", &url, "--output", output];
    let mut build = command(demo);
    build.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

async fn built(demo: &Demo, address: &str, plan: &str, output: &str) {
    let build = build(demo, address, plan, output);
    let done = tokio::task::spawn_blocking(move || build.wait_with_output().unwrap());
    ok(&done.await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_without_a_key_build_the_same_medium() {
    // Large enough for packs that go up in parts and that the server copies.
    let (demo, server) = (Demo::of_mib(80), Azurite::start_copying().await);
    let plan = saved_plan(&demo, "fast", &[]);
    let expected = undisturbed(&demo, &plan);
    let (_coordinator, address) = coordinator(&demo, &server);
    // Their environment names no account, no server, no key: see `support::command`.
    let (_one, _log) = worker(&demo, &address, "one");
    let (_two, _log2) = worker(&demo, &address, "two");
    built(&demo, &address, &plan, "az://media/the factory/w11.wim").await;
    let media = server.open("az://media/the factory").await;
    let medium = media.get(&ObjectKey::new("w11.wim").unwrap(), MEDIUM_BYTES_MAX).await.unwrap();
    assert!(medium == expected, "the medium is another");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_medium_takes_the_place_of_an_older_one_of_more_parts() {
    let (demo, server) = (Demo::of_mib(150), Azurite::start_copying().await);
    let data = demo.path("data");
    let plan = |name: &str| {
        let (spec, plan) = (demo.spec(), demo.path(name));
        let args = ["plan", spec.to_str().unwrap(), "--save", plan.to_str().unwrap()];
        ok(&prestage(&demo, args.into_iter().chain(["--data-dir", data.to_str().unwrap()])));
        plan.to_str().unwrap().to_owned()
    };
    demo.edit_spec(FILE, &format!("{FILE}\nsplit_mib = 16"));
    let older = plan("older.plan");
    demo.edit_spec("split_mib = 16", "split_mib = 40");
    let newer = plan("newer.plan");
    let (_coordinator, address) = coordinator(&demo, &server);
    let (_one, _log) = worker(&demo, &address, "one");
    let media = server.open("az://media").await;
    let mut there = Vec::new();
    for plan in [&older, &newer] {
        built(&demo, &address, plan, "az://media/w11.wim").await;
        let found: Vec<_> = media.list("").map_ok(|found| found.key).try_collect().await.unwrap();
        there.push(found.into_iter().filter(|key| key.as_str().ends_with(".swm")).count());
    }
    assert!(1 < there[1] && there[1] < there[0], "{there:?}");
    let quiet = demo.path("quiet");
    std::fs::create_dir(&quiet).unwrap();
    std::fs::copy(data.join("seal.key"), quiet.join("seal.key")).unwrap();
    let output = demo.path("quiet.wim");
    let args = ["build", "--plan", &newer, "--output", output.to_str().unwrap(), "--data-dir"];
    ok(&prestage(&demo, args.into_iter().chain([quiet.to_str().unwrap()])));
    for number in 1..=there[1] {
        let number = if number > 1 { number.to_string() } else { String::new() };
        let expected = std::fs::read(demo.path(&format!("quiet{number}.swm"))).unwrap();
        let key = ObjectKey::new(format!("w11{number}.swm")).unwrap();
        let volume = media.get(&key, MEDIUM_BYTES_MAX).await.unwrap();
        assert!(volume == expected, "volume {number} is another");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lent_for_one_pack_opens_no_other() {
    let (demo, server) = (Demo::new(), Azurite::start().await);
    let plan = saved_plan(&demo, "fast", &[]);
    let (_coordinator, address) = coordinator(&demo, &server);
    let build = build(&demo, &address, &plan, "az://media/w11.wim");
    tokio::task::block_in_place(|| first_build(&demo, &address));
    let (lease, task) = Rogue::new(&address, "rogue").lease().await;
    let access = lease.access.expect("access is lent with the lease");
    assert!(!access.settings.keys().any(|name| name.contains("KEY")), "{:?}", access.settings);
    let own: PackKey = task.pack_key.parse().unwrap();
    let named: Vec<&str> = access.signatures.keys().map(String::as_str).collect();
    let expected = [own.index(), own.pack()].map(|key| format!("packs/a site/{key}"));
    assert_eq!(named.len(), 2);
    assert!(expected.iter().all(|name| named.contains(&name.as_str())), "{named:?}");

    // Whoever puts what was lent under another name is refused by the server itself.
    let other = PackKey::of(b"somebody else's").pack();
    let ours = server.open("az://packs/a site").await;
    let body = || Bytes::from_static(b"bytes");
    let _ = ours.put_small(&other, body(), PutRule::Overwrite).await.unwrap();
    let mut azure: std::collections::BTreeMap<_, _> =
        access.signatures.clone().into_iter().collect();
    let own_signature = azure[&format!("packs/a site/{}", own.pack())].clone();
    azure.insert(format!("packs/a site/{other}"), own_signature);
    let lent = LentCredentials::new(LentSecrets { azure, ..LentSecrets::default() });
    let lent = StoreOptions::default().lent(access.settings.clone(), lent);
    let root = ObjectUrl::parse("az://packs/a site").unwrap();
    let theirs = Objects::open_with(&root, &lent).await.unwrap();
    theirs.put_small(&own.pack(), body(), PutRule::Overwrite).await.unwrap();
    theirs.delete(&own.pack()).await.unwrap();
    theirs.put_small(&other, body(), PutRule::Overwrite).await.unwrap_err();
    theirs.get(&other, 100).await.unwrap_err();
    theirs.delete(&other).await.unwrap_err();
    assert_eq!(ours.get(&other, 100).await.unwrap(), body(), "it is untouched");
    drop(build);
}

#[test]
fn whoever_has_nothing_to_lend_is_told_so() {
    let demo = Demo::new();
    let data = demo.path("data");
    let args = ["coordinator", "--listen", "127.0.0.1:0", "--lend", "--data-dir"];
    let args = args.into_iter().chain([data.to_str().unwrap()]);
    let said = refused(&prestage(&demo, args), 2);
    assert!(said.contains("--worker-role"), "{said}");
    let in_azure = ["coordinator", "--listen", "127.0.0.1:0", "--lend", "--objects", "az://packs"];
    let mut coordinator = command(&demo);
    coordinator.args(in_azure).args(["--data-dir", data.to_str().unwrap()]);
    coordinator.env("AZURE_STORAGE_ACCOUNT_NAME", "acme");
    let said = refused(&coordinator.output().unwrap(), 2);
    assert!(said.contains("AZURE_STORAGE_ACCOUNT_KEY"), "{said}");
}
