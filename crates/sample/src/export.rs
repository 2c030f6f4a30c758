//! What AdminService answered: a file for each class.
//!
//! Exports are made with many tools, so the files differ in encoding and wrapping as other people's
//! do: UTF-8 with and without a byte order mark, UTF-16, the answer as it came or a bare list.

use std::{collections::HashMap, fs, path::Path};

use prestage_configmgr::content_library::ContentListing;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::{
    SampleError,
    identity::{
        self, APPLICATIONS, Application, DP1, DP2, Kind, PACKAGES, Package, SITE, TASK_SEQUENCE,
        TASK_SEQUENCE_NAME,
    },
    os_image,
    random::{Random, guid_text},
    task_sequence,
};

/// How a file is written.
#[derive(Clone, Copy)]
enum Style {
    /// `{"value": […]}` in UTF-8, as AdminService answers.
    Plain,
    /// The same with a byte order mark, as Windows PowerShell 5 saves text.
    Marked,
    /// The same in UTF-16 with a byte order mark, as its `>` does.
    Utf16,
    /// A bare list, as `ConvertTo-Json` makes of `.value`.
    Bare,
}

/// What the export tells of.
pub(crate) struct Facts<'a> {
    /// The listing of each content by its ID.
    pub(crate) listings: &'a HashMap<String, ContentListing>,
    pub(crate) now: OffsetDateTime,
    pub(crate) seed: u64,
    /// Packages beside those that every sample has.
    pub(crate) software: &'a [Package],
}

impl Facts<'_> {
    fn packages(&self) -> impl Iterator<Item = &Package> {
        PACKAGES.iter().chain(self.software)
    }
}

/// Writes all files into `folder` (`adminservice/wmi`).
pub(crate) fn write(folder: &Path, facts: &Facts<'_>) -> Result<(), SampleError> {
    let save = |name: &str, style, rows: Vec<Value>| save(folder, name, style, rows);
    let instance = format!("SMS_TaskSequencePackage('{TASK_SEQUENCE}')");
    save("SMS_TaskSequencePackage", Style::Marked, vec![task_sequence_row(facts, false)])?;
    save(&instance, Style::Utf16, vec![task_sequence_row(facts, true)])?;
    save("SMS_TaskSequencePackageReference_Flat", Style::Bare, flat_references(facts))?;
    save("SMS_TaskSequenceReferenceDps", Style::Utf16, reference_dps(facts))?;
    save("SMS_TaskSequenceAppReferencesInfo", Style::Plain, app_references())?;
    let kinds = [
        (Kind::Package, Style::Bare),
        (Kind::DriverPackage, Style::Utf16),
        (Kind::OsImage, Style::Marked),
        (Kind::BootImage, Style::Plain),
    ];
    for (kind, style) in kinds {
        let packages = facts.packages().filter(|package| package.kind == kind);
        save(kind.class(), style, packages.map(|package| package_row(facts, package)).collect())?;
    }
    save("SMS_OperatingSystemInstallPackage", Style::Plain, Vec::new())?;
    save(
        "SMS_ApplicationLatest",
        Style::Marked,
        APPLICATIONS.iter().map(application_row).collect(),
    )?;
    let lazy = format!("SMS_Application({})", identity::AGENT.ci_id);
    save(&lazy, Style::Plain, vec![application_row(&identity::AGENT)])?;
    save(
        "SMS_DeploymentType",
        Style::Plain,
        APPLICATIONS.iter().map(deployment_type_row).collect(),
    )?;
    save("SMS_CIToContent", Style::Bare, ci_contents(facts))?;
    let needs = relation(&identity::AGENT, &identity::RUNTIME);
    save("SMS_AppDependenceRelation", Style::Marked, vec![needs.clone()])?;
    save("SMS_AppRelation_Flat", Style::Plain, relations(needs))?;
    save("SMS_DistributionPointInfo", Style::Utf16, [DP1, DP2].iter().map(point_row).collect())?;
    save("SMS_DistributionPoint", Style::Plain, packages_on_points(facts))?;
    save("SMS_R_UnknownSystem", Style::Bare, unknown_systems(facts.seed))
}

fn save(folder: &Path, name: &str, style: Style, rows: Vec<Value>) -> Result<(), SampleError> {
    let class = name.split('(').next().unwrap_or(name);
    let context = format!("https://provider.corp.example/AdminService/wmi/$metadata#{class}");
    let value = match style {
        Style::Bare => Value::Array(rows),
        Style::Plain | Style::Marked | Style::Utf16 => {
            json!({"@odata.context": context, "value": rows})
        }
    };
    let text = format!("{value:#}\n").replace('\n', "\r\n");
    let bytes = match style {
        Style::Plain | Style::Bare => text.into_bytes(),
        Style::Marked => format!("\u{feff}{text}").into_bytes(),
        Style::Utf16 => {
            format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect()
        }
    };
    let path = folder.join(format!("{name}.json"));
    fs::write(&path, bytes).map_err(SampleError::io(path))
}

fn moment(now: OffsetDateTime) -> String {
    let (date, time) = (now.date(), now.time());
    format!("{date}T{:02}:{:02}:{:02}Z", time.hour(), time.minute(), time.second())
}

fn kib(facts: &Facts<'_>, content_id: &str) -> u64 {
    let listing = facts.listings.get(content_id);
    listing.map_or(0, |listing| listing.total_bytes().div_ceil(1024))
}

fn hash<'a>(facts: &'a Facts<'_>, content_id: &str) -> Option<&'a str> {
    facts.listings.get(content_id)?.hash.as_deref()
}

fn task_sequence_row(facts: &Facts<'_>, lazy: bool) -> Value {
    let references = task_sequence::direct_references();
    let listed: Vec<Value> = references
        .iter()
        .map(|(package, kind)| json!({"Package": package, "Program": "", "Type": kind}))
        .collect();
    let mut row = json!({
        "__LAZYPROPERTIES": ["BootImageID", "Sequence"],
        "PackageID": TASK_SEQUENCE, "Name": TASK_SEQUENCE_NAME, "PackageType": 4, "SourceSite": SITE,
        "SourceVersion": 12, "LastRefreshTime": moment(facts.now), "Type": 2,
        "References": listed, "ReferencesCount": references.len(),
        "BootImageID": null, "Sequence": null,
    });
    if lazy {
        row["BootImageID"] = json!(identity::BOOT_IMAGE.id);
        row["Sequence"] = json!(task_sequence::xml());
    }
    row
}

/// Packages that the task sequence needs, its boot image and applications included.
fn referenced() -> Vec<&'static Package> {
    let named = task_sequence::direct_references();
    let by_steps = |package: &&Package| named.iter().any(|(id, _)| id == package.id);
    let boot = |package: &&Package| package.kind == Kind::BootImage;
    PACKAGES.iter().filter(|package| by_steps(package) || boot(package)).collect()
}

fn flat_references(facts: &Facts<'_>) -> Vec<Value> {
    let row = |id: &str,
               object: &str,
               name: &str,
               kind: u32,
               level: u32,
               content: &str,
               version: u32| {
        json!({"PackageID": TASK_SEQUENCE, "RefPackageID": id, "ObjectID": object, "ObjectName": name,
            "ObjectType": kind, "Level": level, "SourceSize": kib(facts, content), "Version": version.to_string()})
    };
    let packages = referenced().into_iter().map(|package| {
        let Package { id, name, version, kind } = package;
        row(id, id, name, kind.number(), 0, &package.content_id(), *version)
    });
    // Only the application that a step names: what it depends on is found by its relations.
    let agent = identity::AGENT;
    let application =
        row(agent.package_id, &agent.model_name(), agent.name, 512, 0, &agent.content_id(), 1);
    packages.chain([application]).collect()
}

fn reference_dps(facts: &Facts<'_>) -> Vec<Value> {
    let mut rows = Vec::new();
    for point in [DP1, DP2] {
        for package in referenced().into_iter().filter(|package| point.holds(package.id)) {
            rows.push(json!({"TaskSequenceID": TASK_SEQUENCE, "PackageID": package.id,
                "ServerNALPath": point.nal_path(), "SiteCode": SITE, "SourceVersion": package.version,
                "Hash": hash(facts, &package.content_id())}));
        }
    }
    rows
}

fn app_references() -> Vec<Value> {
    let app = identity::AGENT;
    vec![json!({"PackageID": TASK_SEQUENCE, "RefAppCI_ID": app.ci_id,
        "RefAppModelName": app.model_name(), "RefAppPackageID": app.package_id})]
}

fn package_row(facts: &Facts<'_>, package: &Package) -> Value {
    let Package { id, name, version, kind } = package;
    let mut row = json!({
        "PackageID": id, "Name": name, "PackageType": kind.number(), "SourceVersion": version,
        "StoredPkgVersion": version, "PackageSize": kib(facts, &package.content_id()), "SourceSite": SITE,
        "PkgSourcePath": format!(r"\\files.corp.example\sources$\{id}"),
        "SourceDate": moment(facts.now), "Manufacturer": "Sample", "Language": "", "Version": "1.0",
    });
    match kind {
        Kind::BootImage => {
            row["Architecture"] = json!(9);
            row["ImageIndex"] = json!(1);
            row["ImageOSVersion"] = json!("10.0.26100.1742");
            row["DefaultImage"] = json!(false);
        }
        Kind::OsImage => {
            row["ImageOSVersion"] = json!("10.0.26100.1742");
            row["ImageProperty"] = json!(image_property());
        }
        Kind::Package | Kind::DriverPackage => {}
    }
    row
}

fn image_property() -> String {
    let images = os_image::names().map(|(index, name)| {
        format!("<IMAGE INDEX=\"{index}\"><Property Name=\"Image name\">{name}</Property></IMAGE>")
    });
    format!("<WIM>{}</WIM>", images.collect::<String>())
}

fn application_row(app: &Application) -> Value {
    json!({"CI_ID": app.ci_id, "CI_UniqueID": format!("{}/2", app.model_name()), "ModelName": app.model_name(),
        "LocalizedDisplayName": app.name, "PackageID": app.package_id, "SDMPackageVersion": 2,
        "HasContent": app.has_content(), "IsLatest": true, "IsExpired": false, "IsSuperseded": app.superseded})
}

fn deployment_type_row(app: &Application) -> Value {
    let content = app.has_content().then(|| app.content_stem());
    json!({"CI_ID": app.deployment_type_ci_id, "ModelName": app.deployment_type_model_name(),
        "AppModelName": app.model_name(), "LocalizedDisplayName": format!("{} - Windows Installer", app.name),
        "ContentId": content, "SDMPackageVersion": 2, "IsLatest": true, "Technology": "MSI", "PriorityInLatestApp": 1})
}

fn ci_contents(facts: &Facts<'_>) -> Vec<Value> {
    let with_content = APPLICATIONS.iter().filter(|app| app.has_content());
    with_content
        .map(|app| {
            let hash = hash(facts, &app.content_id());
            json!({"CI_ID": app.deployment_type_ci_id, "ContentID": app.ci_id + 500_000, "ContentUniqueID": app.content_id(),
                "ContentVersion": app.content_version, "ContentHash": hash, "ContentHashVersion": 4})
        })
        .collect()
}

fn relation(from: &Application, to: &Application) -> Value {
    json!({"FromApplicationCIID": from.ci_id, "FromDeploymentTypeCIID": from.deployment_type_ci_id,
        "ToApplicationCIID": to.ci_id, "ToDeploymentTypeCIID": to.deployment_type_ci_id})
}

/// With the kinds of the relations: 2 required, 6 superseded.
fn relations(mut needs: Value) -> Vec<Value> {
    let mut supersedes = relation(&identity::AGENT, &identity::OLD_AGENT);
    for (row, kind) in [(&mut needs, 2), (&mut supersedes, 6)] {
        row["RelationType"] = json!(kind);
        row["Level"] = json!(1);
    }
    vec![needs, supersedes]
}

fn point_row(point: &identity::DistributionPoint) -> Value {
    json!({"ServerName": point.name, "Name": format!(r"\\{}", point.name), "NALPath": point.nal_path(),
        "SiteCode": SITE, "Communication": 0, "IsActive": true, "IsPXE": false, "IsPullDP": false})
}

fn packages_on_points(facts: &Facts<'_>) -> Vec<Value> {
    let packages = facts.packages().map(|package| (package.id, package.kind.number()));
    let applications = APPLICATIONS.iter().filter(|app| app.has_content());
    let all: Vec<_> = packages.chain(applications.map(|app| (app.package_id, 8))).collect();
    let mut rows = Vec::new();
    for point in [DP1, DP2] {
        for (id, kind) in all.iter().filter(|(id, _)| point.holds(id)) {
            rows.push(json!({"PackageID": id, "PackageType": kind, "ServerNALPath": point.nal_path(),
                "SiteCode": SITE, "SourceSite": SITE, "Status": 0, "LastRefreshTime": moment(facts.now)}));
        }
    }
    rows
}

fn unknown_systems(seed: u64) -> Vec<Value> {
    let system = |architecture: &str| {
        let guid = guid_text(Random::named(seed, architecture).guid()).to_lowercase();
        json!({"Name": format!("{architecture} Unknown Computer ({architecture} Unknown Computer)"),
            "SMSUniqueIdentifier": guid, "SiteCode": SITE, "Decommissioned": 0})
    };
    vec![system("x64"), system("x86")]
}
