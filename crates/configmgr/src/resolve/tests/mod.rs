mod exports;
mod hung_share;

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::content_library::writer::{EntryBody, LibraryEntry, LibraryWriter};

const SEQUENCE: &str = r#"<sequence version="3.10"><group name="All">
 <step type="SMS_TaskSequence_ApplyOperatingSystemAction" name="Apply OS"><action>OSDApplyOS.exe /image:PS100010,%I%</action></step>
 <step type="SMS_TaskSequence_ApplyDriverPackageAction" name="Install Drivers"><action>osddriverclient.exe /install:PS100077 /unsigned:false</action></step>
 <step type="SMS_TaskSequence_InstallApplicationAction" name="Apps"><action>smsappinstall.exe /app:ScopeId_S/Application_A /basevar:</action></step>
 <step type="SMS_TaskSequence_DownloadPackageContentAction" name="Download"><action>OSDDownloadContent.exe</action><defaultVarList><variable name="OSDDownloadDownloadPackages" property="DownloadPackages">%PKG%</variable></defaultVarList></step>
 <step type="SMS_TaskSequence_InstallSoftwareAction" name="Old" disable="true"><action>smsswd.exe /pkg:PS1000FF /install</action></step>
</group></sequence>"#;

/// A site of two distribution points; dp2 holds everything, dp1 what `add` is told.
struct TestSite {
    dir: TempDir,
}

impl TestSite {
    fn new() -> Self {
        let site = Self { dir: tempfile::tempdir().unwrap() };
        let toml = "[site]\ncode = \"ps1\"\nadmin_service = \"adminservice\"\n\n\
            [[distribution_point]]\nname = \"dp1.corp.example\"\ncontent_library = \"dp1/SCCMContentLib\"\n\
            [[distribution_point]]\nname = \"dp2.corp.example\"\ncontent_library = \"dp2\\\\SCCMContentLib\"\n\
            [[management_point]]\nurl = \"https://mp1.corp.example\"\n";
        fs::create_dir_all(site.wmi()).unwrap();
        fs::write(site.path("site.toml"), toml).unwrap();
        site.export_all();
        for dp in ["dp1", "dp2"] {
            for (id, version) in
                [("PS100005", 2), ("PS100010", 4), ("PS100077", 3), ("PS100031", 1)]
            {
                site.package(dp, id, version, b"same everywhere");
            }
            for content in ["Content_a.1", "Content_b.2", "Content_c.3"] {
                site.add(dp, content, "PS100050", 1, content.as_bytes());
            }
        }
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn wmi(&self) -> PathBuf {
        self.path("adminservice/wmi")
    }

    fn export(&self, file: &str, json: &Value) {
        fs::write(self.wmi().join(file), json.to_string()).unwrap();
    }

    fn export_all(&self) {
        self.export("SMS_TaskSequencePackage.json", &json!({"value": [
            {"PackageID": "PS100123", "Name": "Deploy", "SourceVersion": 9, "Sequence": null, "References": null}
        ]}));
        self.export("SMS_TaskSequencePackage('PS100123').json", &json!({"value": [
            {"PackageID": "PS100123", "Name": "Deploy", "BootImageID": "PS100005", "Sequence": SEQUENCE,
             "References": [{"Package": "PS100010", "Program": "", "Type": 0},
                            {"Package": "ScopeId_S/Application_A", "Type": 1}]}
        ]}));
        let package = |id: &str, version: u32| json!({"PackageID": id, "Name": format!("Name of {id}"), "SourceVersion": version.to_string()});
        self.export("SMS_BootImagePackage.json", &json!([
            {"PackageID": "PS100005", "Name": "Boot", "SourceVersion": 2, "Architecture": 9, "ImageIndex": 1},
            {"PackageID": "PS100006", "Name": "Other boot", "SourceVersion": 1}]));
        self.export(
            "SMS_ImagePackage.json",
            &json!({"value": [package("PS100010", 4), package("PS100011", 1)]}),
        );
        self.export("SMS_DriverPackage.json", &json!([package("PS100077", 3)]));
        self.export("SMS_Package.json", &json!([package("PS100031", 1), package("PS100032", 5)]));
        let app = |ci: u64, letter: &str| {
            json!({"CI_ID": ci, "ModelName": format!("ScopeId_S/Application_{letter}"),
            "LocalizedDisplayName": format!("App {letter}"), "PackageID": "PS100050", "HasContent": "True", "IsLatest": true})
        };
        self.export(
            "SMS_Application.json",
            &json!({"value": [app(101, "A"), app(102, "B"), app(103, "C")]}),
        );
        let dt = |ci: u64, letter: &str| {
            json!({"CI_ID": ci, "AppModelName": format!("ScopeId_S/Application_{letter}"),
            "ContentId": format!("Content_{}", letter.to_lowercase())})
        };
        self.export("SMS_DeploymentType.json", &json!([dt(201, "A"), dt(202, "B"), dt(203, "C")]));
        let content = |ci: u64, id: &str, version: u32| json!({"CI_ID": ci, "ContentUniqueID": id, "ContentVersion": version});
        self.export(
            "SMS_CIToContent.json",
            &json!([
                content(201, "Content_a", 1),
                content(202, "Content_b.2", 2),
                content(203, "Content_c", 3)
            ]),
        );
        let needs =
            |from: u64, to: u64| json!({"FromApplicationCIID": from, "ToApplicationCIID": to});
        // A needs B, B needs C, C needs A again.
        self.export(
            "SMS_AppDependenceRelation.json",
            &json!([needs(101, 102), needs(102, 103), needs(103, 101)]),
        );
    }

    fn package(&self, dp: &str, id: &str, version: u32, body: &[u8]) {
        self.add(dp, &format!("{id}.{version}"), id, version, body);
    }

    fn add(&self, dp: &str, content: &str, package: &str, version: u32, body: &[u8]) {
        let writer = LibraryWriter::new(self.library(dp)).unwrap();
        let entry = LibraryEntry::file("sub/file.bin", EntryBody::Bytes(body), 7);
        writer.add_content(content, package, version, [entry]).unwrap();
    }

    fn library(&self, dp: &str) -> PathBuf {
        self.path(dp).join("SCCMContentLib")
    }

    fn request(&self) -> ContentRequest {
        ContentRequest {
            task_sequence: "ps100123".into(),
            boot_image: "PS100005".into(),
            os_image_package: "PS100010".into(),
            packages: vec!["PS100031".into()],
            detect_application_dependencies: true,
            distribution_points: vec!["DP1.corp.example".into(), "dp2.corp.example".into()],
            ..ContentRequest::default()
        }
    }

    fn resolve(&self, request: &ContentRequest) -> Result<Resolution, ResolveErrors> {
        resolve(&Site::open(self.dir.path()).unwrap(), request)
    }

    fn forget(&self, dp: &str, id: &str) {
        fs::remove_file(self.library(dp).join("PkgLib").join(format!("{id}.INI"))).unwrap();
    }
}

fn ids(resolution: &Resolution) -> Vec<&str> {
    resolution.contents.iter().map(|content| content.content_id.as_str()).collect()
}

#[test]
fn everything_is_found_with_its_reason() {
    let site = TestSite::new();
    let found = site.resolve(&site.request()).unwrap();
    assert_eq!(found.site_code, "PS1");
    assert_eq!(found.task_sequence.version, 9);
    assert_eq!(found.boot_image.content_id, "PS100005.2");
    assert_eq!(found.os_image.version, 4);
    assert_eq!(
        ids(&found),
        ["PS100031.1", "PS100077.3", "Content_a.1", "Content_b.2", "Content_c.3"]
    );
    let content = |id: &str| found.contents.iter().find(|c| c.content_id == id).unwrap();
    assert_eq!(content("PS100077.3").reasons, ["referenced by step 'Install Drivers' (in All)"]);
    assert_eq!(content("PS100031.1").reasons, ["named in the spec"]);
    assert_eq!(content("Content_b.2").reasons, ["dependency of 'App A'"]);
    assert_eq!(content("Content_c.3").reasons, ["dependency of 'App A' through 'App B'"]);
    assert_eq!(content("Content_c.3").folder, "Content_c");
    let sources = &found.os_image.sources;
    assert_eq!(sources[0].distribution_point, "dp1.corp.example");
    assert_eq!(sources.len(), 2);
    assert_eq!(found.notes.len(), 2, "{:?}", found.notes);
    assert!(found.notes[0].contains("%PKG%"));
    assert!(found.notes[1].starts_with("'App C' depends on 'App A', which depends on it in turn"));
    let subjects: Vec<_> = found.warnings.iter().map(|w| w.subject.as_str()).collect();
    assert_eq!(subjects, ["PS1000FF"], "a disabled step's missing package");
    let json = serde_json::to_string(&found).unwrap();
    assert_eq!(serde_json::from_str::<Resolution>(&json).unwrap(), found);
}

#[test]
fn what_prestaged_media_never_use_is_carried_and_told() {
    let site = TestSite::new();
    let condition = "<condition><expression type=\"SMS_TaskSequence_VariableConditionExpression\">\
        <variable name=\"Operator\">notEquals</variable><variable name=\"Value\">OEMMedia</variable>\
        <variable name=\"Variable\">_SMSTSMediaType</variable></expression></condition></step>";
    let drivers = "/install:PS100077 /unsigned:false</action></step>";
    let sequence = SEQUENCE.replace(drivers, &drivers.replace("</step>", condition));
    site.export(
        "SMS_TaskSequencePackage('PS100123').json",
        &json!({"PackageID": "PS100123", "BootImageID": "PS100005", "Sequence": sequence}),
    );
    let found = site.resolve(&site.request()).unwrap();
    let drivers = found.contents.iter().find(|c| c.content_id == "PS100077.3").unwrap();
    let reason =
        "referenced by step 'Install Drivers' (in All, if _SMSTSMediaType not equals 'OEMMedia')";
    assert_eq!(drivers.reasons, [reason]);
    let told: Vec<_> = found.notes.iter().filter(|note| note.contains("never hold")).collect();
    assert_eq!(told.len(), 1, "{:?}", found.notes);
    assert!(told[0].starts_with("PS100077 is named only by steps"), "{told:?}");
}

#[test]
fn dependencies_are_left_out_and_noted_when_not_asked_for() {
    let site = TestSite::new();
    let request = ContentRequest { detect_application_dependencies: false, ..site.request() };
    let found = site.resolve(&request).unwrap();
    assert_eq!(ids(&found), ["PS100031.1", "PS100077.3", "Content_a.1"]);
    assert!(found.notes.iter().any(|note| note.contains("'App A' depends on 'App B'")));
}

#[test]
fn other_images_are_warnings_and_notes() {
    let site = TestSite::new();
    site.package("dp1", "PS100006", 1, b"boot");
    site.package("dp1", "PS100011", 1, b"os");
    let request = ContentRequest {
        boot_image: "PS100006".into(),
        os_image_package: "PS100011".into(),
        ..site.request()
    };
    let found = site.resolve(&request).unwrap();
    let kinds: Vec<_> = found.warnings.iter().map(|warning| warning.kind).collect();
    assert!(kinds.contains(&WarningKind::BootImageDiffers));
    assert!(kinds.contains(&WarningKind::OsImageNotReferenced));
    assert!(
        found.notes.iter().any(|note| note.contains("PS100010") && note.contains("one OS image"))
    );
    assert!(!ids(&found).contains(&"PS100010.4"));
}

#[test]
fn content_in_another_version_is_not_held() {
    let site = TestSite::new();
    site.package("dp1", "PS100077", 2, b"older");
    let found = site.resolve(&site.request()).unwrap();
    let drivers = found.contents.iter().find(|c| c.object_id == "PS100077").unwrap();
    assert_eq!(drivers.sources.len(), 1);
    assert_eq!(drivers.sources[0].distribution_point, "dp2.corp.example");

    site.package("dp2", "PS100077", 4, b"newer");
    site.forget("dp1", "PS100010");
    site.forget("dp2", "PS100010");
    let error = site.resolve(&site.request()).unwrap_err();
    let [Problem::MissingContent { missing }] = error.problems.as_slice() else {
        panic!("{error}");
    };
    assert_eq!(missing.len(), 2, "all missing ones at once");
    let text = error.to_string();
    assert!(text.contains("PS100077 \"Name of PS100077\", wanted as PS100077.3"), "{text}");
    assert!(
        text.contains("dp1.corp.example: holds version 2, which is older than the site's 3"),
        "{text}"
    );
    assert!(text.contains("dp2.corp.example: holds version 4, which is newer"), "{text}");
    assert!(text.contains("dp1.corp.example: does not hold it"), "{text}");
    assert!(text.contains("Distribute the current version"), "{text}");
}

#[test]
fn a_library_that_cannot_be_read_matters_only_if_content_is_missing() {
    let site = TestSite::new();
    fs::remove_dir_all(site.library("dp1")).unwrap();
    let found = site.resolve(&site.request()).unwrap();
    let warning = found.warnings.iter().find(|w| w.kind == WarningKind::DistributionPoint).unwrap();
    assert_eq!(warning.subject, "dp1.corp.example");
    let request =
        ContentRequest { distribution_points: vec!["dp1.corp.example".into()], ..site.request() };
    let text = site.resolve(&request).unwrap_err().to_string();
    assert!(text.contains("cannot be read"), "{text}");
}

#[test]
fn distribution_points_that_disagree_are_named() {
    let site = TestSite::new();
    site.package("dp2", "PS100031", 1, b"not the same");
    let error = site.resolve(&site.request()).unwrap_err();
    assert!(matches!(
        error.problems.as_slice(),
        [Problem::ListingsDisagree { content_id, first, second }]
            if content_id == "PS100031.1" && first == "dp1.corp.example" && second == "dp2.corp.example"
    ));
}

#[test]
fn a_package_hash_that_differs_warns_or_stops() {
    let site = TestSite::new();
    let wrong = "AB".repeat(32);
    site.export("SMS_TaskSequenceReferenceDps.json", &json!([
        {"TaskSequenceID": "PS100123", "PackageID": "PS100010", "SourceVersion": 4, "Hash": wrong}]));
    let found = site.resolve(&site.request()).unwrap();
    let warning = found.warnings.iter().find(|w| w.kind == WarningKind::PackageHash).unwrap();
    let computed = found.os_image.listing.hash.as_deref().unwrap();
    assert!(warning.message.contains(&wrong) && warning.message.contains(computed), "{warning}");
    let strict = ContentRequest { strict_package_hash: true, ..site.request() };
    let error = site.resolve(&strict).unwrap_err();
    assert!(matches!(error.problems.as_slice(), [Problem::PackageHash { .. }]));
}

#[test]
fn all_problems_come_at_once() {
    let site = TestSite::new();
    fs::remove_file(site.wmi().join("SMS_BootImagePackage.json")).unwrap();
    let request = ContentRequest {
        task_sequence: "PS1000AA".into(),
        packages: vec!["PS100077".into(), "PS100032".into(), "PS1000BB".into()],
        applications: vec!["ScopeId_S/Application_Z".into()],
        distribution_points: vec!["dp1.corp.example".into(), "dp9".into()],
        ..site.request()
    };
    let error = site.resolve(&request).unwrap_err();
    let text = error.to_string();
    for part in [
        "no task sequence \"PS1000AA\" (it has PS100123)",
        "packages: PS100077 \"Name of PS100077\" is a driver package, not a package",
        "PS1000BB (packages) is not in the site's export",
        "adminservice/wmi/SMS_BootImagePackage.json",
        "ScopeId_S/Application_Z",
        "no distribution point \"dp9\" (it has dp1.corp.example, dp2.corp.example)",
        "PS100032 \"Name of PS100032\", wanted as PS100032.5",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(error.problems.len(), 7, "{text}");
}
