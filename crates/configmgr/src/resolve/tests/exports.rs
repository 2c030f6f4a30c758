//! Exports as other people write them.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::site::SiteError;
use crate::text::samples;

#[test]
fn exports_may_be_in_any_encoding_and_wrapper() {
    let site = TestSite::new();
    let wanted = site.resolve(&site.request()).unwrap();
    let file = "SMS_TaskSequencePackage('PS100123').json";
    let original = fs::read_to_string(site.wmi().join(file)).unwrap();
    let value: Value = serde_json::from_str(&original).unwrap();
    let instance = value["value"][0].clone();
    fs::remove_file(site.wmi().join(file)).unwrap();
    for name in
        ["sms_tasksequencepackage(%27PS100123%27).JSON", "SMS_TaskSequencePackage(ps100123).json"]
    {
        for shape in [instance.clone(), json!([instance]), json!({"value": instance})] {
            let pretty = serde_json::to_string_pretty(&shape).unwrap();
            for (label, bytes) in samples::matrix(&pretty) {
                let path = site.wmi().join(name);
                fs::write(&path, bytes).unwrap();
                assert_eq!(site.resolve(&site.request()).unwrap(), wanted, "{name} {label}");
                fs::remove_file(&path).unwrap();
            }
        }
    }
}

#[test]
fn broken_exports_name_file_row_and_property() {
    let site = TestSite::new();
    let told = |json: &str| {
        fs::write(site.wmi().join("SMS_Package.json"), json).unwrap();
        site.resolve(&site.request()).unwrap_err().to_string()
    };
    let text = told("{\"value\": [{\"PackageID\": \"PS100031\"}, {\"Name\": \"x\"}]}");
    assert!(text.contains("SMS_Package.json, row 2: SMS_Package.PackageID is missing"), "{text}");
    let text = told("[{\"PackageID\": \"PS100031\", \"SourceVersion\": \"three\"}]");
    assert!(text.contains("SourceVersion should be a whole number, but is \"three\""), "{text}");
    assert!(told("[\n{\"PackageID\" 1}]").contains("at line 2"));
    assert!(told("{\"value\":[], \"@odata.nextLink\": \"x\"}").contains("first page"));
    assert!(told("42").contains("expected"));
}

#[test]
fn reference_lists_alone_will_do() {
    let site = TestSite::new();
    fs::remove_file(site.wmi().join("SMS_TaskSequencePackage('PS100123').json")).unwrap();
    let error = site.resolve(&site.request()).unwrap_err();
    assert!(error.to_string().contains("SMS_TaskSequencePackage('PS100123').json"), "{error}");
    site.export("SMS_TaskSequencePackageReference_Flat.json", &json!([
        {"PackageID": "PS100123", "RefPackageID": "PS100010", "ObjectType": 257, "Level": 0},
        {"PackageID": "PS100123", "RefPackageID": "PS100077", "ObjectType": "3", "Level": "1"},
        {"PackageID": "PS100123", "RefPackageID": "PS100050", "ObjectID": "ScopeId_S/Application_B", "ObjectType": 512}]));
    let found = site.resolve(&site.request()).unwrap();
    assert_eq!(
        ids(&found),
        ["PS100031.1", "PS100077.3", "Content_a.1", "Content_b.2", "Content_c.3"]
    );
    assert!(found.warnings.iter().any(|w| w.kind == WarningKind::TaskSequence));
    assert_eq!(found.contents[1].reasons, ["referenced indirectly (level 1)"]);
}

#[test]
fn unknown_computers_are_picked_by_name() {
    let site = TestSite::new();
    site.export("SMS_R_UnknownSystem.json", &json!([
        {"Name": "x64 Unknown Computer (x64 Unknown Computer)", "SMSUniqueIdentifier": "g64", "SiteCode": "PS1"},
        {"Name": "x86 Unknown Computer (x86 Unknown Computer)", "SMSUniqueIdentifier": "other", "SiteCode": "PS2"}]));
    let found = site.resolve(&site.request()).unwrap().unknown_computers;
    assert_eq!((found.x64.as_deref(), found.x86), (Some("g64"), None));
}

fn open_with(path: &Path, toml: &str) -> Result<Site, SiteError> {
    fs::write(path.join("site.toml"), toml).unwrap();
    Site::open(&path.join("site.toml"))
}

#[test]
fn site_files_are_checked() {
    let site = TestSite::new();
    let dir = site.dir.path();
    let text = fs::read_to_string(site.path("site.toml")).unwrap();
    for (label, bytes) in samples::matrix(&text) {
        fs::write(site.path("site.toml"), bytes).unwrap();
        let opened = Site::open(dir).unwrap();
        assert_eq!(opened.code(), "PS1", "{label}");
        assert_eq!(opened.management_points()[0].url, "https://mp1.corp.example");
    }
    let told = |toml: &str| open_with(dir, toml).unwrap_err().to_string();
    assert!(told(&text.replace("[[man", "colour = 1\n[[man")).contains("line 11"));
    assert!(told(&text.replace("\"ps1\"", "\"ps\"")).contains("site.code"));
    assert!(
        told(&text.replace("\"adminservice\"", "\"https://p/AdminService\""))
            .contains("prestage site export")
    );
    assert!(told(&text.replace("https://mp1", "mp1")).contains("management_point.url"));
    assert!(told(&text.replace("dp2.corp", "DP1.corp")).contains("used once"));
    assert!(told(&text.replace("\"adminservice\"", "\"absent\"")).contains("absent"));
    let http =
        text.replace("content_library = \"dp1/SCCMContentLib\"", "url = \"dp1.corp.example\"");
    let opened = open_with(dir, &http).unwrap();
    let error = resolve(&opened, &site.request()).unwrap_err();
    assert!(
        matches!(error.problems.as_slice(), [Problem::DistributionPointAddress { .. }]),
        "{error}"
    );
}

#[test]
fn older_revisions_bring_nothing() {
    let site = TestSite::new();
    let app = |ci: u64, letter: &str, revision: u32| {
        json!({"CI_ID": ci, "ModelName": format!("ScopeId_S/Application_{letter}"),
            "LocalizedDisplayName": format!("App {letter}"), "PackageID": "PS100050",
            "SDMPackageVersion": revision, "HasContent": true, "IsSuperseded": letter == "A"})
    };
    site.export(
        "SMS_Application.json",
        &json!([app(101, "A", 1), app(111, "A", 2), app(102, "B", 1), app(103, "C", 1)]),
    );
    let found = site.resolve(&site.request()).unwrap();
    assert_eq!(ids(&found), ["PS100031.1", "PS100077.3", "Content_a.1"]);
    let superseded = found.warnings.iter().find(|w| w.kind == WarningKind::Application).unwrap();
    assert_eq!(superseded.subject, "'App A'");
    // The newer revision's own relation counts, and may point at any revision of the other.
    site.export(
        "SMS_AppRelation_Flat.json",
        &json!([
            {"FromApplicationCIID": 111, "ToApplicationCIID": 102, "RelationType": 2},
            {"FromApplicationCIID": 111, "ToApplicationCIID": 103, "RelationType": 3},
            {"FromApplicationCIID": 103, "ToApplicationCIID": 111, "RelationType": 6}]),
    );
    fs::remove_file(site.wmi().join("SMS_AppDependenceRelation.json")).unwrap();
    let found = site.resolve(&site.request()).unwrap();
    let superseded = found.warnings.iter().find(|w| w.kind == WarningKind::Application).unwrap();
    assert!(superseded.message.starts_with("is superseded by 'App C'"), "{superseded}");
    assert_eq!(ids(&found), ["PS100031.1", "PS100077.3", "Content_a.1", "Content_b.2"]);
}

#[test]
fn an_application_that_points_nowhere_is_a_problem() {
    let site = TestSite::new();
    let relation = json!([{"FromApplicationCIID": 101, "ToApplicationCIID": 999}]);
    site.export("SMS_AppDependenceRelation.json", &relation);
    let text = site.resolve(&site.request()).unwrap_err().to_string();
    assert!(text.contains("CI_ID 999 (dependency of 'App A')"), "{text}");
}

#[test]
fn an_application_package_decides_where_the_classes_are_silent() {
    let site = TestSite::new();
    for class in ["SMS_DeploymentType", "SMS_CIToContent", "SMS_AppDependenceRelation"] {
        fs::remove_file(site.wmi().join(format!("{class}.json"))).unwrap();
    }
    let found = site.resolve(&site.request()).unwrap();
    let all = ["PS100031.1", "PS100077.3", "Content_a.1", "Content_b.2", "Content_c.3"];
    assert_eq!(ids(&found), all);
}

#[test]
fn child_task_sequences_and_data_images_are_followed() {
    let site = TestSite::new();
    let sequence = |step: &str| format!("<sequence>{step}</sequence>");
    let run = |id: &str| {
        format!(
            "<step type=\"SMS_TaskSequence_SubTasksequence\" name=\"Run {id}\"><action>x</action>\
            <defaultVarList><variable name=\"_\" property=\"TsPackageID\">{id}</variable></defaultVarList></step>"
        )
    };
    let data = "<step type=\"SMS_TaskSequence_ApplyDataImageAction\" name=\"Recovery\">\
        <action>OSDApplyOS.exe /data:PS100011,1</action></step>";
    let task_sequence = |id: &str, steps: &str| {
        json!({"PackageID": id, "Name": id, "SourceVersion": 1, "BootImageID": "PS100005",
            "Sequence": sequence(steps)})
    };
    let child = format!("{data}{}", run("PS100123"));
    fs::remove_file(site.wmi().join("SMS_TaskSequencePackage('PS100123').json")).unwrap();
    site.export(
        "SMS_TaskSequencePackage.json",
        &json!([task_sequence("PS100123", &run("PS100124")), task_sequence("PS100124", &child)]),
    );
    site.package("dp1", "PS100011", 1, b"data image");
    let request = ContentRequest { packages: Vec::new(), ..site.request() };
    let found = site.resolve(&request).unwrap();
    assert_eq!(ids(&found), ["PS100011.1"]);
    let reason = "referenced by step 'Recovery' of task sequence 'PS100124'";
    assert_eq!(found.contents[0].reasons, [reason]);
    assert_eq!(found.contents[0].kind, ContentKind::OsImage);
}
