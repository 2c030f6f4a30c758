//! Compiles the protos in pure Rust: no `protoc` on any machine.
use prost::Message;

/// Messages that hold secrets: src/secret_debug.rs shows what else is in them.
const SECRET: [&str; 6] = [
    ".prestage.v1.SecretValue",
    ".prestage.v1.PlanMediaRequest",
    ".prestage.v1.InlineFile",
    ".prestage.v1.EnrolRequest",
    ".prestage.v1.CreateEnrolmentResponse",
    ".prestage.v1.StoreAccess",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = ["audit", "media", "work", "trust"].map(|name| format!("prestage/v1/{name}.proto"));
    let descriptors = protox::compile(files, ["."])?;
    // Servers show it to clients that know no protos.
    let folder = std::env::var_os("OUT_DIR").ok_or("cargo names no OUT_DIR")?;
    let shown = std::path::Path::new(&folder).join("prestage.v1.descriptors.bin");
    std::fs::write(shown, descriptors.encode_to_vec())?;
    // Their values must not be seen, in a log or anywhere else.
    tonic_prost_build::configure().bytes(".").skip_debug(SECRET).compile_fds(descriptors)?;
    println!("cargo:rerun-if-changed=prestage");
    Ok(())
}
