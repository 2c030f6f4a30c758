//! What the end-to-end tests share: the binary, sample sites, foreign tools.
#![allow(dead_code, clippy::unwrap_used)]

pub mod fleet;
pub mod relay;
pub mod rogue;
pub mod small_disk;
pub mod trusted;

use std::{
    ffi::OsStr,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use prestage_sample::{SampleOptions, write_sample};
use serde_json::Value;
use tempfile::TempDir;

/// A sample site of its own in a temporary folder, with a data folder beside it.
pub struct Demo {
    /// Everything is below it, and goes with it.
    pub dir: TempDir,
}

impl Demo {
    /// Writes the sample.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let demo = Self { dir };
        ok(&prestage(&demo, ["sample".as_ref(), demo.site().as_os_str()]));
        demo
    }

    /// A sample with contents of one's own choice.
    pub fn with(options: &SampleOptions) -> Self {
        let demo = Self { dir: tempfile::tempdir().unwrap() };
        write_sample(&demo.site(), options, time::OffsetDateTime::now_utc()).unwrap();
        demo
    }

    /// A larger sample, whose OS image has chunks that the merge copies from its pack.
    pub fn of_mib(mib: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let demo = Self { dir };
        let (site, mib) = (demo.site(), mib.to_string());
        let args = ["sample".as_ref(), site.as_os_str(), "--mib".as_ref(), mib.as_ref()];
        ok(&prestage(&demo, args));
        demo
    }

    /// A path below the temporary folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The site's folder.
    pub fn site(&self) -> PathBuf {
        self.path("site")
    }

    /// The spec that has everything.
    pub fn spec(&self) -> PathBuf {
        self.path("site/spec.toml")
    }

    /// Changes the spec's text.
    pub fn edit_spec(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.spec()).unwrap();
        assert!(text.contains(from), "the sample's spec has no '{from}'");
        std::fs::write(self.spec(), text.replace(from, to)).unwrap();
    }

    /// Builds the spec into `output`, with the data folder `data`.
    pub fn build(&self, output: &str, data: &str, more: &[&str]) -> Output {
        let (spec, output, data) = (self.spec(), self.path(output), self.path(data));
        let mut args: Vec<&OsStr> = vec!["build".as_ref(), spec.as_os_str(), "--json".as_ref()];
        args.extend(["--output".as_ref(), output.as_os_str()]);
        args.extend(["--data-dir".as_ref(), data.as_os_str()]);
        args.extend(more.iter().map(OsStr::new));
        prestage(self, args)
    }

    /// The media password.
    pub fn password(&self) -> String {
        let text = std::fs::read_to_string(self.path("site/media-password.txt")).unwrap();
        text.trim_end().to_owned()
    }
}

/// The command under test.
pub fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_prestage")
}

/// Runs it to its end.
pub fn prestage<S: AsRef<OsStr>>(demo: &Demo, args: impl IntoIterator<Item = S>) -> Output {
    command(demo).args(args).output().unwrap()
}

/// The command with an environment of its own.
pub fn command(demo: &Demo) -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars() {
        let ours = ["PRESTAGE_", "OTEL_", "AWS_", "AZURE_", "AZURITE_", "GOOGLE_"];
        if ours.iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command.env("HOME", demo.dir.path()).env_remove("XDG_STATE_HOME");
    command
}

/// The output must be a success; gives the JSON document or `Null`.
pub fn ok(output: &Output) -> Value {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}\n{errors}", output.status);
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// The output must be a failure with this exit code; gives what it said.
pub fn refused(output: &Output, code: i32) -> String {
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{errors}");
    if !output.stdout.is_empty() {
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["error"]["exit_code"], code, "with --json, the error is the document");
    }
    errors
}

/// Runs a foreign tool. A missing one fails the test and names Debian's package.
pub fn tool<S: AsRef<OsStr>>(
    name: &str,
    package: &str,
    args: impl IntoIterator<Item = S>,
) -> String {
    let output = Command::new(name).args(args).output();
    let output =
        output.unwrap_or_else(|error| panic!("{name}: {error}: install Debian's {package}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {text}\n{errors}");
    text
}

/// wimlib's own command.
pub fn wimlib<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> String {
    tool("wimlib-imagex", "wimtools", args)
}

/// A medium's variables as an implementation of its own reads them.
pub fn variables(demo: &Demo, medium: &Path, password: &str) -> Value {
    let out = demo.path("extracted");
    let (medium, to) = (medium.to_str().unwrap(), format!("--dest-dir={}", out.display()));
    wimlib(["extract", medium, "1", "/SMS/data/Variables.dat", &to]);
    let script =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/media/tests/variables_independent.py");
    let file = out.join("Variables.dat");
    let mut child = Command::new("python3")
        .args([script.as_ref(), file.as_os_str()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the variables do not open");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The certificates and the key of a medium, as openssl shows them, opened by the format's rule.
pub fn media_certificate(demo: &Demo, variables: &Value) -> String {
    let pfx = variables["_SMSTSMediaPFX"].as_str().unwrap();
    let password = format!("pass:{}", &variables["_SMSMediaGuid"].as_str().unwrap()[..31]);
    let file = demo.path("of-the-medium.pfx");
    std::fs::write(&file, hex::decode(pfx).unwrap()).unwrap();
    let file = file.to_str().unwrap();
    tool("openssl", "openssl", ["pkcs12", "-in", file, "-passin", &password, "-nodes", "-legacy"])
}

/// All files below a folder, sorted, with paths relative to it.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                waiting.push(entry.path());
            } else {
                found.push(entry.path().strip_prefix(folder).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// Nothing half-made: no staging file, no partial medium, no object of a build.
pub fn assert_clean(demo: &Demo) {
    let left = left_behind(demo);
    assert!(left.is_empty(), "left behind: {left:?}");
}

/// What is half-made.
pub fn left_behind(demo: &Demo) -> Vec<PathBuf> {
    files_below(demo.dir.path())
        .into_iter()
        .filter(|path| {
            let text = path.to_string_lossy();
            ["/.staging/", "/staging/", ".partial", "/builds/", ".tmp"]
                .iter()
                .any(|mark| text.contains(mark))
        })
        .collect()
}

/// Opens a WIM with the product's reader.
pub async fn open_wim(path: &Path) -> std::sync::Arc<prestage_wim::Wim> {
    let path = object_store::path::Path::from_absolute_path(path).unwrap();
    let store = std::sync::Arc::new(object_store::local::LocalFileSystem::new());
    let source = prestage_wim::ObjectSource::open(store, path).await.unwrap();
    std::sync::Arc::new(prestage_wim::Wim::open(std::sync::Arc::new(source)).await.unwrap())
}

/// A process that is ended when the test ends, however it ends.
pub struct Running(pub std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The OS image's WIM in the sample: the largest file of the content libraries.
pub fn os_image_file(demo: &Demo) -> PathBuf {
    let library = demo.path("site/dp1/SCCMContentLib/FileLib");
    let files = files_below(&library).into_iter().map(|path| library.join(path));
    files.max_by_key(|path| std::fs::metadata(path).unwrap().len()).unwrap()
}

/// Puts other bytes in place of a file of FileLib, with its name and every listing to match.
pub fn replace_everywhere(demo: &Demo, file: &Path, bytes: &[u8]) {
    use sha2::{Digest, Sha256};
    let old = file.file_name().unwrap().to_str().unwrap().to_owned();
    let new = hex::encode_upper(Sha256::digest(bytes));
    let size = |bytes: u64| format!("Size={bytes}\r\n");
    let sizes = (size(std::fs::metadata(file).unwrap().len()), size(bytes.len() as u64));
    for point in ["dp1", "dp2"] {
        let library = demo.path(&format!("site/{point}/SCCMContentLib"));
        let place = library.join("FileLib").join(&new[..4]);
        std::fs::create_dir_all(&place).unwrap();
        std::fs::write(place.join(&new), bytes).unwrap();
        let listings = library.join("DataLib");
        for path in files_below(&listings) {
            let path = listings.join(path);
            let raw = std::fs::read(&path).unwrap();
            let wide = raw.starts_with(&[0xff, 0xfe]);
            let units: Vec<u16> =
                raw.chunks_exact(2).map(|u| u16::from_le_bytes([u[0], u[1]])).collect();
            let text = if wide {
                String::from_utf16(&units).unwrap()
            } else {
                String::from_utf8_lossy(&raw).into_owned()
            };
            if !text.contains(&old) {
                continue;
            }
            assert!(text.contains(&sizes.0), "no {} in {text}", sizes.0);
            let text = text.replace(&old, &new).replace(&sizes.0, &sizes.1);
            let raw = if wide {
                text.encode_utf16().flat_map(u16::to_le_bytes).collect()
            } else {
                text.into_bytes()
            };
            // Listings may be hard links between distribution points.
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, raw).unwrap();
        }
    }
}
