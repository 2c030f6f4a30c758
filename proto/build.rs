//! Compiles the protos in pure Rust: no `protoc` on any machine.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = ["prestage/v1/media.proto", "prestage/v1/work.proto"];
    let descriptors = protox::compile(files, ["."])?;
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    println!("cargo:rerun-if-changed=prestage");
    Ok(())
}
