//! Who may come, what they may do, and how workers come by their certificates: over real TLS, with real
//! processes.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::process::Stdio;

use prestage_connect::Coordinators;
use prestage_proto::v1::{
    self, media_service_client::MediaServiceClient, trust_service_client::TrustServiceClient,
    worker_service_client::WorkerServiceClient,
};
use prestage_test_servers::{oidc::OidcProvider, postgres::Postgres};
use prestage_trust::{
    Identity, Principal,
    client::{ClientTrust, CredentialFiles, IdentityFolder},
};
use support::{
    Demo,
    fleet::{saved_plan, undisturbed, wait_for, wait_until},
    ok, prestage, refused,
    trusted::Trusted,
};
use tonic::{Code, Request};

/// What a user shows when calling past the command.
fn shown(trusted: &Trusted<'_>, name: &str) -> ClientTrust {
    let file = |end: &str| trusted.path(&format!("{name}.{end}"));
    let credentials = CredentialFiles { certificate: file("pem"), key: file("key") };
    ClientTrust {
        authorities: vec![trusted.path("authority.pem")],
        credentials: Some(credentials),
        ..ClientTrust::default()
    }
}

#[test]
fn nobody_may_do_more_than_their_roles_say() {
    let demo = Demo::new();
    let plan = saved_plan(&demo, "fast", &[]);
    let trusted = Trusted::new(&demo);
    trusted.user("reader", &["read"]);
    trusted.user("submitter", &["read", "submit"]);
    trusted.user("stranger", &[]);
    let (_coordinator, url, _log) = trusted.coordinator();
    let run = |name: &str, args: &[&str]| trusted.run(name, &url, args);

    let admin = ok(&run("admin", &["trust", "whoami", "--json"]));
    assert_eq!(admin["identity"], "user/admin");
    assert_eq!(admin["roles"], serde_json::json!(["read", "submit", "seal", "admin"]));
    assert!(admin["until"].as_i64().is_some());

    let said = refused(&run("", &["list", "--json"]), 2);
    assert!(said.contains("show a certificate (--certificate, --key) or a token"), "{said}");
    let said = refused(&run("stranger", &["list", "--json"]), 2);
    assert!(said.contains("role 'read', which user/stranger does not have"), "{said}");
    ok(&run("reader", &["list", "--json"]));
    let output = demo.path("out.wim");
    let build = ["build", "--json", "--plan", &plan, "--output", output.to_str().unwrap()];
    let said = refused(&run("reader", &build), 2);
    assert!(said.contains("SubmitBuild takes the role 'submit'"), "{said}");
    // Whoever submits a plan need not be somebody who hands secrets in.
    let spec = demo.spec();
    let said = refused(&run("submitter", &["plan", "--json", spec.to_str().unwrap()]), 2);
    assert!(said.contains("PlanMedia takes the role 'seal'"), "{said}");
    for (args, call) in [
        (&["gc", "--json", "--keep-days", "1"][..], "CollectGarbage"),
        (&["trust", "token", "--json"], "CreateEnrolment"),
        (&["trust", "list", "--json"], "ListIdentities"),
        (&["trust", "revoke", "--json", "user/reader"], "RevokeIdentity"),
    ] {
        let said = refused(&run("submitter", args), 2);
        assert!(said.contains(&format!("{call} takes the role 'admin'")), "{said}");
    }

    // A build is its submitter's: nobody else's, but for administrators.
    trusted.user("other", &["read", "submit"]);
    trusted.until_roles("other", &url, &["read", "submit"]);
    let mut building = trusted.command("submitter", &url, &build);
    let mut building = building.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut build_id = String::new();
    wait_until(|| {
        let listed = ok(&run("reader", &["list", "--json"]));
        let first = &listed["builds"][0];
        build_id = first["build_id"].as_str().unwrap_or_default().to_owned();
        assert!(build_id.is_empty() || first["requester"] == "user/submitter", "{first}");
        !build_id.is_empty()
    });
    let said = refused(&run("other", &["cancel", &build_id, "--json"]), 2);
    assert!(said.contains("the build is user/submitter's"), "{said}");
    ok(&run("submitter", &["cancel", &build_id, "--json"]));
    assert_eq!(building.wait().unwrap().code(), Some(1));

    // Whoever comes without TLS, or trusts another authority, is not talked to.
    let plain = url.replace("https", "http");
    refused(&run("admin", &["list", "--json", "--coordinator", &plain]), 1);
    let other = demo.path("other authority");
    let init = ["trust", "init", other.to_str().unwrap(), "--domain", "x", "--host", "127.0.0.1"];
    ok(&prestage(&demo, init));
    let ca = other.join("authority.pem");
    let said = refused(&run("admin", &["list", "--json", "--ca", ca.to_str().unwrap()]), 1);
    assert!(said.contains("invalid peer certificate"), "{said}");
}

#[test]
fn an_enrolled_worker_builds_the_same_medium_and_its_token_is_used_up() {
    let demo = Demo::new();
    let plan = saved_plan(&demo, "fast", &[]);
    let expected = undisturbed(&demo, &plan);
    let trusted = Trusted::new(&demo);
    let (_coordinator, url, _log) = trusted.coordinator();
    let token = trusted.token(&url, "one.token", &[]);
    let secret = std::fs::read_to_string(&token).unwrap();
    let (_worker, _log) = trusted.worker(&url, "w1", Some("one.token"));
    let known = trusted.identity(&url, "worker/default/w1");
    assert_eq!(known["enrolled_by"], "user/admin");

    for (name, more, problem) in [
        ("w2", None, "no certificate that counts"),
        ("w2", Some("one.token"), "unknown, has expired, or was used"),
        ("w1", Some("fresh.token"), "there is a worker 'w1' already"),
        ("w3", Some("named.token"), "for a worker of another name"),
    ] {
        if let Some(file) = more.filter(|file| !trusted.path(file).exists()) {
            let named: &[&str] = if file == "named.token" { &["--name", "w9"] } else { &[] };
            trusted.token(&url, file, named);
        }
        let args = trusted.worker_args(&url, name, "another machine", more);
        let output = support::command(&demo).args(args).output().unwrap();
        let said = refused(&output, 2);
        assert!(said.contains(problem), "{said}");
        assert!(!said.contains(secret.trim()), "the token is shown");
    }

    let output = demo.path("out.wim");
    let build = ["build", "--json", "--plan", &plan, "--output", output.to_str().unwrap()];
    ok(&trusted.run("admin", &url, &build));
    assert!(std::fs::read(output).unwrap() == expected, "the medium is another");

    // A token that names the worker is for replacing it.
    trusted.token(&url, "again.token", &["--name", "w1"]);
    std::fs::remove_dir_all(trusted.path("identity of w1")).unwrap();
    let (_worker, _log) = trusted.worker(&url, "w1", Some("again.token"));
    let replaced = trusted.identity(&url, "worker/default/w1");
    assert_ne!(replaced["serial"], known["serial"]);
}

#[test]
fn certificates_are_renewed_and_revoked_while_the_fleet_works() {
    let demo = Demo::new();
    let plan = saved_plan(&demo, "fast", &[]);
    let trusted = Trusted::new(&demo);
    // 20 seconds.
    trusted.edit(|text| text.replace("worker_hours = 12 ", "worker_hours = 0.00556 "));
    let (_coordinator, url, _log) = trusted.coordinator();
    trusted.token(&url, "w.token", &[]);
    let (_worker, log) = trusted.worker(&url, "w", Some("w.token"));
    let identity = "worker/default/w";
    let first = trusted.identity(&url, identity);
    let build = |name: &str| {
        let output = demo.path(name);
        let args = ["build", "--json", "--plan", &plan, "--output", output.to_str().unwrap()];
        ok(&trusted.run("admin", &url, &args));
    };
    build("before.wim");
    wait_for(&log, "the certificate was renewed");
    wait_for(&log, "the certificate was renewed");
    // The first one has ended by now: only renewing has kept the worker in.
    let renewed = trusted.identity(&url, identity);
    assert_ne!(renewed["serial"], first["serial"]);
    build("after.wim");

    ok(&trusted.run("admin", &url, &["trust", "revoke", identity]));
    assert_eq!(trusted.identity(&url, identity)["revoked_by"], "user/admin");
    wait_for(&log, "was revoked");
    trusted.token(&url, "back.token", &["--name", "w"]);
    let folder = IdentityFolder::new(trusted.path("elsewhere"));
    let again = enrol(&trusted, &url, &folder, "back.token", "w");
    assert_eq!(again.unwrap_err().code(), Code::PermissionDenied, "a revoked name stays out");
    let said = refused(&trusted.run("admin", &url, &["trust", "revoke", "user/admin"]), 2);
    assert!(said.contains("nobody revokes themselves"), "{said}");

    ok(&trusted.run("admin", &url, &["trust", "restore", identity]));
    build("restored.wim");
}

fn enrol(
    trusted: &Trusted<'_>,
    url: &str,
    folder: &IdentityFolder,
    token: &str,
    name: &str,
) -> Result<(), tonic::Status> {
    let token = std::fs::read_to_string(trusted.path(token)).unwrap().trim().to_owned();
    let key = folder.new_key().unwrap();
    let request =
        v1::EnrolRequest { token, name: name.into(), signing_request: key.request.clone().into() };
    let nobody = ClientTrust { credentials: None, ..shown(trusted, "admin") };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _entered = runtime.enter();
    let coordinators = Coordinators::named(url, nobody).unwrap();
    let answer = runtime.block_on(TrustServiceClient::new(coordinators).enrol(request))?;
    folder.keep(&key, &answer.into_inner().certificate_chain).unwrap();
    Ok(())
}

#[test]
fn grants_count_as_soon_as_they_are_written_and_mistakes_do_not() {
    let demo = Demo::new();
    let trusted = Trusted::new(&demo);
    trusted.user("alice", &[]);
    let (_coordinator, url, log) = trusted.coordinator();
    trusted.until_roles("alice", &url, &[]);
    let grant = "\n[[grant]]\nto = [\"user/alice\"]\nroles = [\"read\"]\n";
    trusted.edit(|text| text + grant);
    trusted.until_roles("alice", &url, &["read"]);
    trusted.edit(|text| text.replace(grant, "\n[[grant]]\nto = [\"alice\"]\nroles = []\n"));
    wait_for(&log, "the last one counts");
    trusted.until_roles("alice", &url, &["read"]);
    trusted.edit(|text| text.replace("\n[[grant]]\nto = [\"alice\"]\nroles = []\n", ""));
    trusted.until_roles("alice", &url, &[]);
}

/// Claims of a client count for nothing: neither whose worker it is nor for whom it speaks.
#[test]
fn nobody_speaks_for_others_but_coordinators() {
    let demo = Demo::new();
    let trusted = Trusted::new(&demo);
    trusted.user("reader", &["read"]);
    let (_coordinator, url, _log) = trusted.coordinator();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _entered = runtime.enter();
    let admin =
        Principal { identity: Identity::User("admin".into()), groups: Vec::new(), until: None };
    let claims = |request: &mut dyn FnMut(&'static str, String)| {
        request("prestage-on-behalf-of", admin.to_header());
    };
    let who = |name: &str| {
        let channel = Coordinators::named(&url, shown(&trusted, name)).unwrap();
        let mut request = Request::new(v1::WhoAmIRequest {});
        claims(&mut |key, value| {
            request.metadata_mut().insert(key, value.parse().unwrap());
        });
        let asked = runtime.block_on(TrustServiceClient::new(channel).who_am_i(request));
        asked.unwrap().into_inner().identity
    };
    assert_eq!(who("reader"), "user/reader");
    // What a coordinator's own certificate proves.
    assert_eq!(who("coordinator"), "user/admin");

    // A user is no worker, whatever it says; and a worker is called what its certificate says.
    let synchronize = |channel: Coordinators| {
        let request = v1::SynchronizeRequest {
            worker_id: "w1/1".into(),
            worker_name: "w1".into(),
            slots: 1,
            ..Default::default()
        };
        runtime.block_on(WorkerServiceClient::new(channel).synchronize(request))
    };
    let as_admin = Coordinators::named(&url, shown(&trusted, "admin")).unwrap();
    assert_eq!(synchronize(as_admin).unwrap_err().code(), Code::PermissionDenied);
    trusted.token(&url, "elsewhere.token", &["--worker-zone", "elsewhere"]);
    let folder = IdentityFolder::new(trusted.path("elsewhere"));
    enrol(&trusted, &url, &folder, "elsewhere.token", "w1").unwrap();
    let of_another_zone =
        ClientTrust { credentials: Some(folder.files()), ..shown(&trusted, "admin") };
    let as_worker = Coordinators::named(&url, of_another_zone.clone()).unwrap();
    let refused = synchronize(as_worker).unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().contains("zone 'elsewhere'"), "{refused}");
    // Nor does a worker see builds.
    let as_worker = Coordinators::named(&url, of_another_zone).unwrap();
    let listed = runtime
        .block_on(MediaServiceClient::new(as_worker).list_builds(v1::ListBuildsRequest::default()));
    assert_eq!(listed.unwrap_err().code(), Code::PermissionDenied);
}

#[test]
fn a_standby_sends_on_whose_call_it_is() {
    let (demo, postgres) = (Demo::new(), Postgres::start());
    let plan = saved_plan(&demo, "fast", &[]);
    let trusted = Trusted::new(&demo);
    trusted.user("alice", &["read", "submit"]);
    trusted.user("reader", &["read"]);
    let passwords = demo.path(".pgpass");
    std::fs::write(&passwords, postgres.password_line()).unwrap();
    std::fs::set_permissions(&passwords, std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
    let (objects, seal_key) = (demo.path("objects"), demo.path("data/seal.key"));
    let state = postgres.url_without_password();
    let more = [
        "--state",
        &state,
        "--objects",
        objects.to_str().unwrap(),
        "--seal-key",
        seal_key.to_str().unwrap(),
    ];
    let (_first, active, _log) = trusted.coordinator_with("first", &more);
    let (_second, standby, _log2) = trusted.coordinator_with("second", &more);
    trusted.token(&standby, "w.token", &[]);
    let (_worker, _log3) = trusted.worker(&standby, "w", Some("w.token"));
    let output = demo.path("out.wim");
    let build = ["build", "--json", "--plan", &plan, "--output", output.to_str().unwrap()];
    let said = refused(&trusted.run("reader", &standby, &build), 2);
    assert!(said.contains("role 'submit', which user/reader"), "{said}");
    ok(&trusted.run("alice", &standby, &build));
    let listed = ok(&trusted.run("reader", &active, &["list", "--json"]));
    assert_eq!(listed["builds"][0]["requester"], "user/alice");
    // Revoked at one, out at the other within seconds.
    ok(&trusted.run("admin", &active, &["trust", "revoke", "user/alice"]));
    wait_until(|| !trusted.run("alice", &standby, &["list", "--json"]).status.success());
}

/// A token of a real provider, whose groups have roles; forged ones are tried in crates/oidc.
#[test]
fn a_token_says_who_somebody_is_and_never_more() {
    let demo = Demo::new();
    let provider = OidcProvider::start("alice", &["osd"]);
    let trusted = Trusted::new(&demo);
    let oidc = format!("\n[oidc]\nissuer = \"{}\"\naudience = \"prestage\"\n", provider.issuer);
    let grants = "\n[[grant]]\nto = [\"group/osd\"]\nroles = [\"read\"]\n\
                  [[grant]]\nto = [\"oidc/alice\"]\nroles = [\"submit\"]\n\
                  [[grant]]\nto = [\"user/alice\"]\nroles = [\"admin\"]\n";
    trusted.edit(|text| text + &oidc + grants);
    let (_coordinator, url, log) = trusted.coordinator();
    let file = demo.path("token");
    let run = |token: &str, args: &[&str]| {
        std::fs::write(&file, token).unwrap();
        trusted.command("", &url, args).env("PRESTAGE_TOKEN_FILE", &file).output().unwrap()
    };
    let token = provider.token("alice", "prestage");
    let said = ok(&run(&token, &["trust", "whoami", "--json"]));
    assert_eq!(said["identity"], "oidc/alice");
    assert_eq!(said["groups"], serde_json::json!(["osd"]));
    // Not what the user of that name, who has a certificate, may do.
    assert_eq!(said["roles"], serde_json::json!(["read", "submit"]));
    ok(&run(&token, &["list", "--json"]));
    refused(&run(&token, &["trust", "list", "--json"]), 2);

    let other = provider.token("alice", "another-service");
    let said = refused(&run(&other, &["list", "--json"]), 2);
    assert!(said.contains("another audience") && !said.contains(&other), "{said}");
    let damaged = format!("{}x", token);
    let said = refused(&run(&damaged, &["list", "--json"]), 2);
    assert!(!said.contains(&damaged[..40]), "{said}");
    ok(&trusted.run("admin", &url, &["trust", "revoke", "oidc/alice"]));
    refused(&run(&token, &["list", "--json"]), 2);
    let logged: Vec<String> = log.try_iter().collect();
    assert!(!logged.iter().any(|line| line.contains(&token[..40])), "the token is in the log");
}

#[test]
fn without_a_trust_file_nobody_else_is_listened_to_or_talked_to() {
    let demo = Demo::new();
    let data = demo.path("data");
    let listen = ["coordinator", "--listen", "0.0.0.0:0", "--data-dir", data.to_str().unwrap()];
    let said = refused(&prestage(&demo, listen), 2);
    assert!(said.contains("there is no TLS") && said.contains("--trust"), "{said}");
    let said = refused(&prestage(&demo, ["list", "--coordinator", "http://c.invalid:7780"]), 2);
    assert!(said.contains("there is no TLS") && said.contains("--insecure"), "{said}");
    let insecure: Vec<&str> = listen.into_iter().chain(["--insecure"]).collect();
    let (_running, line, _log) = support::fleet::service(&demo, &insecure, "--insecure:");
    assert!(line.contains("WARN"), "{line}");
}
