//! Health and reflection, asked by a public client that has none of our protos.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::process::Command;

use serde_json::{Value, json};
use support::{Demo, fleet};

#[test]
fn a_public_client_needs_nothing_but_the_address() {
    let demo = Demo::new();
    let (_running, address) = fleet::coordinator(&demo, "127.0.0.1:0");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/reflection.py");
    let output = Command::new("python3").args([script, &address]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();

    // Listed and described: what a person sees with grpcurl.
    let media = said["services"]["prestage.v1.MediaService"].as_array().unwrap();
    for method in ["PlanMedia", "SubmitBuild", "ListBuilds", "WatchBuild"] {
        assert!(media.contains(&json!(method)), "{method} is not among {media:?}");
    }
    let work = &said["services"]["prestage.v1.WorkerService"];
    assert!(work.as_array().unwrap().contains(&json!("Synchronize")), "{work}");
    assert!(said["others"].as_array().unwrap().contains(&json!("grpc.health.v1.Health")));
    // Called with messages that were made from what reflection said. There are no builds yet.
    assert_eq!(said["builds"], json!({}));
    let serving = "SERVING";
    assert_eq!(
        said["health"],
        json!({
            "": serving,
            "prestage.v1.AuditService": serving,
            "prestage.v1.MediaService": serving,
            "prestage.v1.TrustService": serving,
            "prestage.v1.WorkerService": serving,
        })
    );
    assert_eq!(said["unknown_service"], "NOT_FOUND", "as the health protocol wants it");
}
