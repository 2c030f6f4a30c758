//! The audit log of a real coordinator: what is in it, and that nobody can change it unseen.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;
use support::{
    Demo, Running,
    fleet::{coordinator, saved_plan, until_clean, worker},
    ok, prestage, refused,
    trusted::Trusted,
};

/// A coordinator with what a test asks of it.
struct Audited {
    demo: Demo,
    _coordinator: Running,
    address: String,
    url: String,
}

impl Audited {
    fn new(demo: Demo) -> Self {
        let (running, address) = coordinator(&demo, "127.0.0.1:0");
        let url = format!("http://{address}");
        Self { demo, _coordinator: running, address, url }
    }

    fn ask(&self, args: &[&str]) -> Output {
        prestage(&self.demo, args.iter().copied().chain(["--json", "--coordinator", &self.url]))
    }

    fn records(&self) -> Vec<Value> {
        ok(&self.ask(&["audit"]))["records"].as_array().unwrap().clone()
    }

    fn export(&self, name: &str) -> Output {
        self.ask(&["audit", "--export", self.demo.path(name).to_str().unwrap()])
    }

    fn check(&self, name: &str) -> Output {
        let file = self.demo.path(name);
        prestage(&self.demo, ["--json", "audit", "--check", file.to_str().unwrap()])
    }

    /// Two records: that it was asked for, and that there is no such build.
    fn cancel(&self, build: &str) {
        refused(&self.ask(&["cancel", build]), 2);
    }

    /// What SQLite's own command makes of the coordinator's database.
    fn sqlite(&self, statement: &str) -> Output {
        let state = self.demo.path("data/state.sqlite");
        // The coordinator may be writing.
        let wait = ["-cmd", ".timeout 20000"];
        let shell = Command::new("sqlite3").args(wait).arg(state).arg(statement).output();
        shell.unwrap_or_else(|error| panic!("sqlite3: {error}: install Debian's sqlite3"))
    }

    fn change(&self, statement: &str) {
        let output = self.sqlite(statement);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Action, target and outcome of a record.
fn deed(record: &Value) -> [&str; 3] {
    ["action", "target", "outcome"].map(|field| record[field].as_str().unwrap())
}

/// The verifier that docs/audit.md shows, on an export.
fn verifier(demo: &Demo, export: &str) -> Output {
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/audit.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    let script = docs.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    let file = demo.path("verify.py");
    std::fs::write(&file, script).unwrap();
    Command::new("python3").arg(file).arg(demo.path(export)).output().unwrap()
}

fn last_line(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap().lines().last().unwrap().to_owned()
}

#[test]
fn who_asked_for_what_and_what_was_unsealed_is_recorded() {
    let audited = Audited::new(Demo::new());
    let (demo, address) = (&audited.demo, &audited.address);
    let (spec, saved, medium) = (demo.spec(), demo.path("saved.plan"), demo.path("out.wim"));
    let (saved, medium) = (saved.to_str().unwrap(), medium.to_str().unwrap());
    ok(&audited.ask(&["plan", spec.to_str().unwrap(), "--save", saved]));
    let (_worker, _lines) = worker(demo, address, "w");
    let built = ok(&audited.ask(&["build", "--plan", saved, "--output", medium]));
    let build_id = built["build_id"].as_str().unwrap();
    ok(&audited.ask(&["log", build_id]));
    audited.cancel("nonesuch");
    ok(&audited.ask(&["gc", "--keep-days", "9", "--dry-run"]));

    let records = audited.records();
    let build = format!("build {build_id}");
    let collected = "packs and listings: keep_days 9, max_bytes 0, only to be told";
    assert_eq!(
        records.iter().map(deed).collect::<Vec<_>>(),
        [
            ["PlanMedia", "medium w11-sample", "asked"],
            ["PlanMedia", "medium w11-sample", "done"],
            ["SubmitBuild", "medium w11-sample", "asked"],
            ["unseal Variables.dat", &build, "asked"],
            ["unseal Variables.dat", &build, "done"],
            ["SubmitBuild", &build, "done"],
            ["GetBuildLog", &build, "asked"],
            ["GetBuildLog", &build, "done"],
            ["CancelBuild", "build nonesuch", "asked"],
            ["CancelBuild", "build nonesuch", "refused: NOT_FOUND"],
            ["CollectGarbage", collected, "asked"],
            ["CollectGarbage", collected, "done"],
        ]
    );
    for record in &records {
        assert_eq!(record["principal"], "local");
        assert!(record["from"].as_str().unwrap().starts_with("127.0.0.1:"), "{record}");
    }
    // It tells of secrets, and has none.
    let text = serde_json::to_string(&records).unwrap();
    let plan: Value = serde_json::from_slice(&std::fs::read(saved).unwrap()).unwrap();
    for secret in [demo.password().as_str(), plan["sealed"].as_str().unwrap()] {
        assert!(!secret.is_empty() && !text.contains(secret));
    }

    let args = ["audit", "--after", "10", "--coordinator", &audited.url];
    let shown = String::from_utf8(prestage(demo, args).stdout).unwrap();
    assert!(shown.contains("outcome") && shown.contains("CollectGarbage"), "{shown}");
    assert!(!shown.contains("CancelBuild"), "{shown}");
}

#[test]
fn an_export_goes_on_where_it_ended_and_others_verify_it() {
    let audited = Audited::new(Demo::new());
    let file = audited.demo.path("log.jsonl");
    let empty = ok(&audited.export("log.jsonl"));
    assert_eq!((&empty["written"], &empty["last_hash"]), (&0.into(), &Value::Null));
    audited.cancel("one \u{1b}[31mzoë\u{1b}[0m");
    audited.cancel("two");
    assert_eq!(ok(&audited.export("log.jsonl"))["written"], 4);
    let before = std::fs::read(&file).unwrap();
    audited.cancel("three");
    // An export was killed while it wrote.
    let mut torn = std::fs::OpenOptions::new().append(true).open(&file).unwrap();
    torn.write_all(b"{\"number\":5,\"at\":\"20").unwrap();
    let again = ok(&audited.export("log.jsonl"));
    assert_eq!((&again["written"], &again["last"]), (&2.into(), &6.into()));
    assert!(std::fs::read(&file).unwrap().starts_with(&before), "what was there stays");

    let checked = ok(&audited.check("log.jsonl"));
    assert_eq!((&checked["records"], &checked["last_hash"]), (&6.into(), &again["last_hash"]));
    let verified = verifier(&audited.demo, "log.jsonl");
    let said = String::from_utf8(verified.stdout).unwrap();
    assert_eq!(said.trim(), format!("6 records, {}", again["last_hash"].as_str().unwrap()));

    // What is no export is not written to; nor is one of another log.
    let (spec, other) = (audited.demo.spec(), Audited::new(Demo::new()));
    let text = std::fs::read(&spec).unwrap();
    let said = refused(&audited.ask(&["audit", "--export", spec.to_str().unwrap()]), 2);
    assert!(said.contains("ends in no record of an audit log"), "{said}");
    assert_eq!(std::fs::read(&spec).unwrap(), text);
    for build in ["one", "two", "three", "four"] {
        other.cancel(build);
    }
    ok(&other.export("log.jsonl"));
    let foreign = other.demo.path("log.jsonl");
    let said = refused(&audited.ask(&["audit", "--export", foreign.to_str().unwrap()]), 1);
    assert!(said.contains("number 8, is not in this log"), "{said}");
}

#[test]
fn whoever_changes_the_log_is_found_out() {
    let audited = Audited::new(Demo::new());
    for build in ["one", "two", "three"] {
        audited.cancel(build);
    }
    ok(&audited.export("honest.jsonl"));
    for statement in [
        "UPDATE audit SET principal = 'somebody else' WHERE number = 3",
        "DELETE FROM audit WHERE number = 6",
    ] {
        let said = audited.sqlite(statement);
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(said.contains("the audit log is append-only"), "{said}");
    }
    audited.change(
        "DROP TRIGGER audit_never_changes; \
         UPDATE audit SET target = 'build innocent' WHERE number = 3",
    );
    ok(&audited.export("changed.jsonl"));
    let said = refused(&audited.check("changed.jsonl"), 1);
    for part in ["record 3 is not what it was", "line 3"] {
        assert!(said.contains(part), "'{part}' is not in:\n{said}");
    }
    let verified = verifier(&audited.demo, "changed.jsonl");
    assert!(!verified.status.success());
    assert_eq!(String::from_utf8(verified.stderr).unwrap().trim(), "record 3 does not fit");

    audited.change("DROP TRIGGER audit_never_shrinks; DELETE FROM audit WHERE number = 2");
    ok(&audited.export("shorter.jsonl"));
    let said = refused(&audited.check("shorter.jsonl"), 1);
    assert!(said.contains("record 2 should come here, but it is record 3"), "{said}");

    // A chain that ends earlier is whole in itself: the export from before tells.
    audited.change(
        "DROP TRIGGER audit_end_goes_forward; DELETE FROM audit WHERE number = 6; \
         UPDATE audit_end SET number = 5, hash = (SELECT hash FROM audit WHERE number = 5)",
    );
    audited.cancel("four");
    let said = refused(&audited.export("honest.jsonl"), 1);
    assert!(said.contains("number 6, is not in this log"), "{said}");
    let honest = audited.demo.path("honest.jsonl");
    let kept: Value = serde_json::from_str(&last_line(&honest)).unwrap();
    assert_eq!(deed(&kept), ["CancelBuild", "build three", "refused: NOT_FOUND"]);
    assert_eq!(ok(&audited.check("honest.jsonl"))["records"], 6);
}

#[test]
fn what_cannot_be_recorded_is_not_done() {
    let demo = Demo::new();
    let plan = saved_plan(&demo, "fast", &[]);
    let audited = Audited::new(demo);
    let listings = support::files_below(&audited.demo.path("data/objects"));
    let before = audited.records();
    audited.change(
        "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'disk full'); END",
    );
    let spec = audited.demo.spec();
    for refusal in [
        &["build", "--plan", &plan][..],
        &["plan", spec.to_str().unwrap()],
        &["cancel", "nonesuch"],
        &["log", "nonesuch"],
        &["gc", "--max-gib", "0"],
    ] {
        let said = refused(&audited.ask(refusal), 1);
        assert!(said.contains("nothing was done, for it can't be recorded"), "{said}");
    }
    assert_eq!(support::files_below(&audited.demo.path("data/objects")), listings);

    // The call is recorded, but what it needs to unseal is not.
    audited.change(
        "DROP TRIGGER full; CREATE TRIGGER full BEFORE INSERT ON audit \
         WHEN NEW.action LIKE 'unseal%' BEGIN SELECT RAISE(ABORT, 'disk full'); END",
    );
    let said = refused(&audited.ask(&["build", "--plan", &plan]), 1);
    assert!(said.contains("nothing was unsealed, for it can't be recorded"), "{said}");
    let builds = ok(&audited.ask(&["list"]));
    assert_eq!(builds["builds"].as_array().unwrap().len(), 0);
    until_clean(&audited.demo);
    let after = audited.records();
    let new: Vec<_> = after[before.len()..].iter().map(deed).collect();
    let medium = "medium w11-sample";
    assert_eq!(
        new,
        [["SubmitBuild", medium, "asked"], ["SubmitBuild", medium, "failed: UNAVAILABLE"]]
    );
}

#[test]
fn the_log_names_who_proved_who_they_are_and_whom_it_refused() {
    let demo = Demo::new();
    let plan = saved_plan(&demo, "fast", &[]);
    let trusted = Trusted::new(&demo);
    trusted.user("alice", &["read", "submit"]);
    trusted.user("reader", &["read"]);
    let (_coordinator, url, _log) = trusted.coordinator();
    let token = trusted.token(&url, "w.token", &["--name", "w"]);
    let token = std::fs::read_to_string(token).unwrap().trim().to_owned();
    let (_worker, _lines) = trusted.worker(&url, "w", Some("w.token"));
    let output = demo.path("out.wim");
    let build = ["build", "--json", "--plan", &plan, "--output", output.to_str().unwrap()];
    refused(&trusted.run("", &url, &build), 2);
    refused(&trusted.run("reader", &url, &build), 2);
    let built = ok(&trusted.run("alice", &url, &build));
    let build = format!("build {}", built["build_id"].as_str().unwrap());
    let said = refused(&trusted.run("alice", &url, &["audit", "--json"]), 2);
    assert!(said.contains("ListAuditRecords takes the role 'admin'"), "{said}");
    ok(&trusted.run("admin", &url, &["trust", "revoke", "user/reader"]));
    ok(&trusted.run("admin", &url, &["trust", "restore", "user/reader"]));

    let log = ok(&trusted.run("admin", &url, &["audit", "--json"]));
    let records = log["records"].as_array().unwrap();
    let whose = |record: &Value| record["principal"].as_str().unwrap().to_owned();
    let told: Vec<_> = records.iter().map(|record| (whose(record), deed(record))).collect();
    let (worker, medium, denied) =
        ("worker/default/w", "medium w11-sample", "refused: PERMISSION_DENIED");
    let expected = [
        // Over the same data folder, before there was a trust file.
        ("local", ["PlanMedia", medium, "asked"]),
        ("local", ["PlanMedia", medium, "done"]),
        ("user/admin", ["CreateEnrolment", worker, "asked"]),
        ("user/admin", ["CreateEnrolment", worker, "done"]),
        ("nobody", ["issue certificate", worker, "asked"]),
        ("nobody", ["issue certificate", worker, "done"]),
        ("user/reader", ["SubmitBuild", "", denied]),
        ("user/alice", ["SubmitBuild", medium, "asked"]),
        ("user/alice", ["unseal Variables.dat", &build, "asked"]),
        ("user/alice", ["unseal Variables.dat", &build, "done"]),
        ("user/alice", ["SubmitBuild", &build, "done"]),
        ("user/alice", ["ListAuditRecords", "", denied]),
        ("user/admin", ["RevokeIdentity", "user/reader", "asked"]),
        ("user/admin", ["RevokeIdentity", "user/reader", "done"]),
        ("user/admin", ["RestoreIdentity", "user/reader", "asked"]),
        ("user/admin", ["RestoreIdentity", "user/reader", "done"]),
    ];
    assert_eq!(told, expected.map(|(who, deed)| (who.to_owned(), deed)));
    assert!(token.len() > 20 && !log.to_string().contains(&token));
}
