//! A live AdminService: the same plan as from a folder, exports, registration, and every refusal.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::{ffi::OsStr, path::PathBuf, process::Output};

use prestage_test_servers::{
    admin_service::AdminService,
    apache::{self, Apache, Settings},
    tls::Root,
};
use serde_json::Value;
use support::{Demo, assert_clean, ok, prestage, refused};

/// The sample site behind a live AdminService, reached through a web server that wants NTLM over TLS.
struct Live {
    demo: Demo,
    service: AdminService,
    _front: Apache,
}

impl Live {
    fn new() -> Self {
        let demo = Demo::new();
        let service = AdminService::start(&demo.path("site/adminservice"));
        let root = Root::new();
        let to = &service.address;
        let proxy = Some(("/AdminService", to.as_str()));
        let front =
            Apache::start(&Settings { proxy, ntlm: true, tls: Some(&root), ..Settings::default() });
        std::fs::write(demo.path("root.pem"), root.pem()).unwrap();
        std::fs::write(demo.path("password"), apache::PASSWORD).unwrap();
        let access = format!(
            "[[server]]\nhost = \"localhost\"\nauthentication = \"negotiate\"\nuser = '{}'\n\
             password = {{ file = \"password\" }}\nca = \"root.pem\"\n",
            apache::USER
        );
        std::fs::write(demo.path("access.toml"), access).unwrap();
        let offline = std::fs::read_to_string(demo.path("site/site.toml")).unwrap();
        let address = format!("admin_service = \"{}/AdminService\"", front.address);
        let live = offline.replace("admin_service = \"adminservice\"", &address);
        assert_ne!(live, offline);
        std::fs::write(demo.path("site/live.toml"), live).unwrap();
        Self { demo, service, _front: front }
    }

    fn run(&self, site: &str, arguments: &[&OsStr]) -> Output {
        let (site, access) = (self.demo.path(site), self.demo.path("access.toml"));
        let with: [&OsStr; 4] =
            ["--site".as_ref(), site.as_os_str(), "--access".as_ref(), access.as_os_str()];
        prestage(&self.demo, arguments.iter().copied().chain(with))
    }

    fn data(&self) -> PathBuf {
        self.demo.path("data")
    }

    fn plan(&self, site: &str) -> Value {
        let (spec, data) = (self.demo.spec(), self.data());
        let arguments: [&OsStr; 5] = [
            "--json".as_ref(),
            "plan".as_ref(),
            spec.as_os_str(),
            "--data-dir".as_ref(),
            data.as_os_str(),
        ];
        ok(&self.run(site, &arguments))
    }

    fn build(&self, more: &[&str]) -> Output {
        let (spec, data, out) = (self.demo.spec(), self.data(), self.demo.path("out.wim"));
        let mut arguments: Vec<&OsStr> =
            vec!["--json".as_ref(), "build".as_ref(), spec.as_os_str()];
        arguments.extend([
            "--data-dir".as_ref(),
            data.as_os_str(),
            "--output".as_ref(),
            out.as_os_str(),
        ]);
        arguments.extend(more.iter().map(OsStr::new));
        self.run("site/live.toml", &arguments)
    }
}

/// What of a plan comes from the site.
fn of_site(plan: &Value) -> Vec<Value> {
    ["site_code", "task_sequence", "os_image", "boot_image", "contents", "warnings", "totals"]
        .map(|field| plan[field].clone())
        .to_vec()
}

#[test]
fn a_folder_and_the_live_service_give_the_same_plan() {
    let live = Live::new();
    let offline = live.plan("site/site.toml");
    let online = live.plan("site/live.toml");
    assert_eq!(of_site(&offline), of_site(&online));
    let told = |plan: &Value| plan["notes"].to_string().contains("prestage register");
    assert!(told(&offline) && !told(&online));
    let asked = live.service.asked();
    let paged = asked.iter().filter(|what| what.contains("skiptoken")).count();
    assert!(paged > 3, "no answer had a second page: {asked:#?}");
    let whole = |class: &str| asked.iter().any(|what| what.ends_with(&format!("{class}?")));
    assert!(!whole("SMS_TaskSequenceReferenceDps"), "the whole class was asked for");
}

#[test]
fn an_export_is_the_folder_of_the_contract() {
    let live = Live::new();
    let folder = live.demo.path("exported");
    let arguments: [&OsStr; 4] =
        ["--json".as_ref(), "site".as_ref(), "export".as_ref(), folder.as_os_str()];
    let exported = ok(&live.run("site/live.toml", &arguments));
    assert_eq!(exported["task_sequences"], serde_json::json!(["PS100123"]));
    assert!(folder.join("adminservice/wmi/SMS_TaskSequencePackage('PS100123').json").is_file());
    assert_eq!(of_site(&live.plan("exported")), of_site(&live.plan("site/site.toml")));
    let again = refused(&live.run("site/live.toml", &arguments), 2);
    assert!(again.contains("exists already"), "{again}");
    // A class that may not be read: nothing half-made is left.
    live.service.forbid("SMS_DeploymentType");
    let other = live.demo.path("other");
    let arguments: [&OsStr; 3] = ["site".as_ref(), "export".as_ref(), other.as_os_str()];
    let said = refused(&live.run("site/live.toml", &arguments), 1);
    for part in
        ["wmi/SMS_DeploymentType", "403", "User does not have permission", "Read-only Analyst"]
    {
        assert!(said.contains(part), "'{part}' is not in:\n{said}");
    }
    let left = std::fs::read_dir(live.demo.dir.path()).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        left.iter().all(|name| !name.to_string_lossy().starts_with(".export") && name != "other"),
        "{left:?}"
    );
}

#[test]
fn the_certificate_is_registered_before_anything_is_built() {
    let live = Live::new();
    ok(&live.build(&[]));
    let known = live.service.certificates();
    assert_eq!(known.len(), 1);
    let (id, record) = known.iter().next().unwrap();
    let variables =
        support::variables(&live.demo, &live.demo.path("out.wim"), &live.demo.password());
    assert_eq!(variables["_SMSMediaGuid"], id.as_str());
    assert_eq!(variables["_SMSTSMediaPFX"], record["CertificatePFX"]);
    assert_eq!(
        (&record["Type"], &record["KeyType"], &record["UdaSetting"]),
        (&1.into(), &1.into(), &0.into())
    );
    let log = std::fs::read_to_string(live.demo.path("out.wim.log")).unwrap();
    assert!(log.contains("Registered the media certificate with the site"), "{log}");
    assert!(!log.contains(record["CertificatePFX"].as_str().unwrap()));
    // For that its key left the seal, and the audit log says so.
    let data = live.data();
    let arguments: [&OsStr; 4] =
        ["--json".as_ref(), "audit".as_ref(), "--data-dir".as_ref(), data.as_os_str()];
    let records = ok(&prestage(&live.demo, arguments))["records"].clone();
    let told = |record: &&Value| record["action"] == "unseal certificate";
    let told: Vec<&Value> = records.as_array().unwrap().iter().filter(told).collect();
    let outcomes: Vec<&Value> = told.iter().map(|record| &record["outcome"]).collect();
    assert_eq!(outcomes, ["asked", "done"], "{records}");
    assert!(told.iter().all(|record| record["target"].as_str().unwrap().starts_with("build ")));
    assert!(!records.to_string().contains(record["CertificatePFX"].as_str().unwrap()));
}

#[test]
fn without_registration_it_can_be_done_later() {
    let live = Live::new();
    live.service.forbid("SMS_Site");
    let said = refused(&live.build(&[]), 2);
    for part in ["can't be registered", "403", "--no-register", "OSD Certificate"] {
        assert!(said.contains(part), "'{part}' is not in:\n{said}");
    }
    assert!(!live.demo.path("out.wim").exists());
    assert_clean(&live.demo);
    ok(&live.build(&["--no-register"]));
    assert!(live.service.certificates().is_empty());
    let other = AdminService::start(&live.demo.path("site/adminservice"));
    let site = std::fs::read_to_string(live.demo.path("site/site.toml")).unwrap();
    let site = site.replace("\"adminservice\"", &format!("\"{}\"", other.address));
    std::fs::write(live.demo.path("site/other.toml"), site).unwrap();
    let (medium, password) = (live.demo.path("out.wim"), live.demo.path("site/media-password.txt"));
    let arguments: [&OsStr; 5] = [
        "--json".as_ref(),
        "register".as_ref(),
        medium.as_os_str(),
        "--password-file".as_ref(),
        password.as_os_str(),
    ];
    let done = ok(&live.run("site/other.toml", &arguments));
    assert_eq!(done["registered"], "now");
    let again = ok(&live.run("site/other.toml", &arguments));
    assert_eq!(again["registered"], "before");
    assert!(other.certificates().contains_key(done["media_id"].as_str().unwrap()));
}

#[test]
fn what_the_service_refuses_is_said_with_what_to_do() {
    let live = Live::new();
    std::fs::write(live.demo.path("password"), "hunter2-hunter2").unwrap();
    let (spec, data) = (live.demo.spec(), live.data());
    let plan: [&OsStr; 4] =
        ["plan".as_ref(), spec.as_os_str(), "--data-dir".as_ref(), data.as_os_str()];
    let said = refused(&live.run("site/live.toml", &plan), 2);
    assert!(
        said.contains("alice") && said.contains("password") && !said.contains("hunter2"),
        "{said}"
    );
    let site = std::fs::read_to_string(live.demo.path("site/live.toml")).unwrap();
    let address = site.lines().find(|line| line.starts_with("admin_service")).unwrap();
    let gone = "admin_service = \"http://localhost:9/AdminService\"";
    std::fs::write(live.demo.path("site/gone.toml"), site.replace(address, gone)).unwrap();
    let said = refused(&live.run("site/gone.toml", &plan), 2);
    assert!(said.contains("http://localhost:9 can't be reached"), "{said}");
    std::fs::write(live.demo.path("access.toml"), "[[server]]\nhost = \"x\"\npasword = 1\n")
        .unwrap();
    let said = refused(&live.run("site/live.toml", &plan), 2);
    assert!(said.contains("access.toml: line 3"), "{said}");
}
