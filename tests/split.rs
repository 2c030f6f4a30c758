//! Split media: sets that wimlib and 7-Zip take for one WIM, whole or not there at all.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::path::{Path, PathBuf};

use prestage_sample::SampleOptions;
use serde_json::Value;
use support::{Demo, assert_clean, files_below, ok, prestage, refused, tool, wimlib};

const MIB: u64 = 1 << 20;
const FILE: &str = "file = \"out/w11-sample.wim\"";

/// A sample whose OS image is larger than a volume.
fn demo(split_mib: u64) -> Demo {
    let demo = Demo::of_mib(150);
    demo.edit_spec(FILE, &format!("{FILE}\nsplit_mib = {split_mib}"));
    demo
}

/// A saved plan, and the same one for a medium that is not split.
fn plans(demo: &Demo) -> (PathBuf, PathBuf) {
    let (spec, data) = (demo.spec(), demo.path("data"));
    let (split, whole) = (demo.path("split.plan"), demo.path("whole.plan"));
    let args = [spec.to_str().unwrap(), "--save", split.to_str().unwrap(), "--data-dir"];
    ok(&prestage(demo, ["plan"].into_iter().chain(args).chain([data.to_str().unwrap()])));
    let mut plan: Value = serde_json::from_slice(&std::fs::read(&split).unwrap()).unwrap();
    assert!(plan.as_object_mut().unwrap().remove("split_mib").is_some());
    std::fs::write(&whole, serde_json::to_vec(&plan).unwrap()).unwrap();
    (split, whole)
}

fn build_plan(demo: &Demo, plan: &Path, output: &str) -> Value {
    let (data, output) = (demo.path("data"), demo.path(output));
    let args = ["build", "--json", "--plan", plan.to_str().unwrap(), "--data-dir"];
    let more = [data.to_str().unwrap(), "--output", output.to_str().unwrap()];
    ok(&prestage(demo, args.into_iter().chain(more)))
}

/// The volumes of the set `name`, in order, and nothing else of that name.
fn volumes(demo: &Demo, folder: &str, name: &str) -> Vec<PathBuf> {
    let folder = demo.path(folder);
    let path = |number: usize| match number {
        1 => folder.join(format!("{name}.swm")),
        number => folder.join(format!("{name}{number}.swm")),
    };
    let volumes: Vec<_> = (1..).map(path).take_while(|path| path.exists()).collect();
    let there = files_below(&folder).into_iter();
    let sets = there.filter(|path| path.extension().is_some_and(|end| end == "swm"));
    assert_eq!(sets.count(), volumes.len());
    volumes
}

fn verify(demo: &Demo, medium: &Path) -> std::process::Output {
    prestage(demo, ["verify", medium.to_str().unwrap(), "--json"])
}

#[test]
fn other_tools_take_the_set_for_the_medium() {
    let demo = demo(20);
    let (split, whole) = plans(&demo);
    let report = build_plan(&demo, &split, "set/out.wim")["report"].clone();
    build_plan(&demo, &whole, "out.wim");
    let set = volumes(&demo, "set", "out");
    assert!(set.len() > 3, "{set:?}");
    let bytes = |path: &PathBuf| std::fs::metadata(path).unwrap().len();
    assert!(set.iter().all(|volume| bytes(volume) <= 20 * MIB));
    assert_eq!(report["medium"]["output"], set[0].to_str().unwrap());
    assert_eq!(report["medium"]["bytes"], set.iter().map(bytes).sum::<u64>());
    assert_clean(&demo);

    let names: Vec<&str> = set.iter().map(|volume| volume.to_str().unwrap()).collect();
    for name in &names {
        // Each volume's own integrity table.
        assert!(wimlib(["info", name, "--check"]).contains("Integrity info"));
    }
    let joined = demo.path("joined.wim");
    let join = ["join", joined.to_str().unwrap()];
    wimlib(join.iter().copied().chain(names.iter().copied()));
    wimlib(["verify", joined.to_str().unwrap()]);
    ok(&verify(&demo, &joined));
    let listing = tool("7z", "p7zip-full", ["l", names[0]]);
    assert!(listing.contains("boot.wim") && listing.contains("Physical Size"), "{listing}");

    let (of_set, of_whole) = (demo.path("of-set"), demo.path("of-whole"));
    let reference = format!("--ref={}", demo.path("set/out*.swm").display());
    wimlib(["apply", names[0], "1", of_set.to_str().unwrap(), &reference]);
    let medium = demo.path("out.wim");
    wimlib(["apply", medium.to_str().unwrap(), "1", of_whole.to_str().unwrap()]);
    let differences = tool(
        "diff",
        "diffutils",
        ["-r".as_ref(), "--no-dereference".as_ref(), of_set.as_os_str(), of_whole.as_os_str()],
    );
    assert!(differences.is_empty(), "{differences}");
    assert!(!files_below(&of_set).is_empty());
}

#[test]
fn header_fields_are_those_of_wimlibs_own_parts() {
    let demo = demo(20);
    let (split, whole) = plans(&demo);
    build_plan(&demo, &split, "set/out.wim");
    build_plan(&demo, &whole, "out.wim");
    let ours = volumes(&demo, "set", "out");
    std::fs::create_dir(demo.path("theirs")).unwrap();
    let (medium, theirs) = (demo.path("out.wim"), demo.path("theirs/out.swm"));
    wimlib(["split", medium.to_str().unwrap(), theirs.to_str().unwrap(), "20", "--check"]);
    let theirs = volumes(&demo, "theirs", "out");
    let fields = |path: &Path| -> Vec<(String, String)> {
        let header = wimlib(["info", path.to_str().unwrap(), "--header"]);
        let lines = header.lines().filter_map(|line| line.split_once('='));
        let own = |name: &str| {
            // What depends on where things lie, and flags of tables that only wimlib sets.
            let own =
                ["Size", "Offset", "size", "GUID", "Table Flags", "Data Flags", "Total Parts"];
            !own.iter().any(|part| name.contains(part)) || name.starts_with("Header Size")
        };
        let pairs = lines.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
        pairs.filter(|(name, _)| own(name)).collect()
    };
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(fields(ours), fields(theirs));
    }
    // All volumes have the same XML data, and the first alone has the metadata.
    let xml = |path: &PathBuf| {
        let out = demo.path("volume.xml");
        let extract = format!("--extract-xml={}", out.display());
        wimlib(["info", path.to_str().unwrap(), &extract]);
        std::fs::read(out).unwrap()
    };
    assert!(ours.iter().all(|volume| xml(volume) == xml(&ours[0])));
    let metadata = ours.iter().map(|volume| {
        let blobs = wimlib(["info", volume.to_str().unwrap(), "--blobs"]);
        blobs.matches("WIM_RESHDR_FLAG_METADATA").count()
    });
    let metadata: Vec<_> = metadata.collect();
    assert_eq!((metadata[0], metadata[1..].iter().sum::<usize>()), (1, 0));
}

#[test]
fn verify_and_inspect_take_the_whole_set_and_find_what_is_wrong_with_it() {
    let demo = demo(20);
    let spec = demo.spec();
    ok(&demo.build("set/out.wim", "data", &[]));
    let set = volumes(&demo, "set", "out");
    let verified = ok(&verify(&demo, &set[0]));
    assert_eq!(verified["volumes"], set.len());
    assert_eq!(verified["manifest"], "agrees");
    assert!(verified["integrity_chunks"].as_u64().unwrap() > set.len() as u64);
    let shown = ok(&prestage(&demo, ["inspect", set[0].to_str().unwrap(), "--json"]));
    let listed = shown["volumes"].as_array().unwrap();
    assert_eq!(listed.len(), set.len());
    for (volume, path) in listed.iter().zip(&set) {
        assert_eq!(volume["bytes"], std::fs::metadata(path).unwrap().len());
        assert!(path.ends_with(volume["name"].as_str().unwrap()));
        assert!(volume["padding_percent"].is_f64());
    }
    let text = prestage(&demo, ["inspect", set[0].to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&text.stdout).contains("out3.swm"));

    // Not the first part.
    let said = refused(&verify(&demo, &set[1]), 2);
    assert!(said.contains("is part 2") && said.contains("first part"), "{said}");
    // A part of another medium of the same spec.
    std::fs::rename(&set[1], demo.path("kept")).unwrap();
    let (other, data) = (demo.path("other/out.wim"), demo.path("data"));
    let args = ["build", spec.to_str().unwrap(), "--output", other.to_str().unwrap()];
    ok(&prestage(&demo, args.into_iter().chain(["--data-dir", data.to_str().unwrap()])));
    std::fs::copy(demo.path("other/out2.swm"), &set[1]).unwrap();
    let said = refused(&verify(&demo, &set[0]), 1);
    assert!(said.contains("out2.swm") && said.contains("another split WIM"), "{said}");
    // A missing part.
    std::fs::remove_file(&set[1]).unwrap();
    let said = refused(&verify(&demo, &set[0]), 1);
    assert!(said.contains("of which 2 is missing"), "{said}");
    // A damaged one.
    let mut bytes = std::fs::read(demo.path("kept")).unwrap();
    bytes[1_000_000] ^= 1;
    std::fs::write(&set[1], bytes).unwrap();
    refused(&verify(&demo, &set[0]), 1);
}

#[test]
fn a_smaller_set_leaves_no_part_of_the_older_one() {
    let demo = demo(16);
    ok(&demo.build("set/out.wim", "data", &[]));
    let older = volumes(&demo, "set", "out").len();
    demo.edit_spec("split_mib = 16", "split_mib = 40");
    ok(&demo.build("set/out.swm", "data", &[]));
    let newer = volumes(&demo, "set", "out");
    assert!(newer.len() < older, "{newer:?}");
    assert_eq!(ok(&verify(&demo, &newer[0]))["manifest"], "agrees");
    assert_clean(&demo);
}

#[test]
fn a_set_that_is_there_is_not_made_again_unless_a_part_is_gone() {
    let demo = demo(20);
    let (plan, _) = plans(&demo);
    build_plan(&demo, &plan, "set/out.wim");
    let set = volumes(&demo, "set", "out");
    let inodes = || -> Vec<u64> {
        use std::os::unix::fs::MetadataExt;
        set.iter().map(|path| std::fs::metadata(path).unwrap().ino()).collect()
    };
    let (before, first) = (inodes(), std::fs::read(&set[1]).unwrap());
    build_plan(&demo, &plan, "set/out.wim");
    assert_eq!(inodes(), before, "the set was made again");
    std::fs::remove_file(&set[1]).unwrap();
    build_plan(&demo, &plan, "set/out.wim");
    assert!(std::fs::read(&set[1]).unwrap() == first, "another build gave other bytes");
}

#[test]
fn a_file_that_fits_into_no_volume_is_named() {
    let demo = Demo::with(&SampleOptions { payload_bytes: 20_000_000, ..SampleOptions::default() });
    demo.edit_spec(FILE, &format!("{FILE}\nsplit_mib = 16"));
    let output = demo.build("set/out.wim", "data", &[]);
    let said = refused(&output, 1);
    for part in ["'SMS/PKG/PS100032/payload.cab' takes", "split_mib = 16", "raise split_mib"] {
        assert!(said.contains(part), "no '{part}' in {said}");
    }
    assert!(files_below(&demo.path("set")).is_empty());
    assert_clean(&demo);
    // Planning can't know how far a file shrinks, but warns.
    let (spec, data) = (demo.spec(), demo.path("data"));
    let args = ["plan", "--json", spec.to_str().unwrap(), "--data-dir", data.to_str().unwrap()];
    let plan = ok(&prestage(&demo, args));
    let warnings = plan["warnings"].as_array().unwrap();
    let warns = |warning: &Value| warning.as_str().unwrap().contains("split_mib = 16");
    assert!(warnings.iter().any(warns), "{warnings:?}");
}

#[test]
fn a_build_that_fails_late_frees_every_volume() {
    let demo = demo(20);
    ok(&demo.build("first/out.wim", "data", &[]));
    // The merge checks what it copies from a folder: here it finds a flipped bit.
    let packs = demo.path("data/objects/packs");
    let largest = files_below(&packs).into_iter().map(|path| packs.join(path));
    let largest = largest.max_by_key(|path| std::fs::metadata(path).unwrap().len()).unwrap();
    let mut bytes = std::fs::read(&largest).unwrap();
    bytes[5_000_000] ^= 1;
    std::fs::write(&largest, bytes).unwrap();
    let said = refused(&demo.build("second/out.wim", "data", &[]), 1);
    assert!(said.contains("pack"), "{said}");
    assert!(files_below(&demo.path("second")).is_empty());
    assert_clean(&demo);
}
