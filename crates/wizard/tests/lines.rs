//! Lines as administrators write them, and the specs that come of them, read by the product's own reader.
#![allow(clippy::unwrap_used, missing_docs)]

use prestage_media::spec::{
    CheckedSpec, MediaCertificate, MediaMode, MediaSpec, UserDeviceAffinity,
};
use prestage_wizard::{Draft, ImportError, import};
use time::macros::datetime;

fn one(text: &str) -> Draft {
    let mut drafts = import(text).unwrap();
    assert_eq!(drafts.len(), 1);
    drafts.remove(0)
}

fn read(draft: &Draft) -> CheckedSpec {
    let toml = draft.to_toml();
    MediaSpec::parse("spec.toml", &toml, datetime!(2026-11-23 0:00 UTC))
        .unwrap_or_else(|error| panic!("{error}\n{toml}"))
}

fn left_out(draft: &Draft) -> Vec<&str> {
    draft.not_carried.iter().map(|left| left.what.as_str()).collect()
}

const SCRIPT: &str = r#"
# Our monthly medium
$ts   = Get-CMTaskSequence -TaskSequencePackageId 'PS100123' -Fast
$boot = Get-CMBootImage -Id PS100005
$pw   = ConvertTo-SecureString -AsPlainText 'hunter2-hunter2' -Force
$more = @{
    CreatedBy = 'OSD team'; Version = '2026.11'
    Comment   = "ring `"1`""
}
New-CMPrestageMedia -MediaMode Dynamic -Path "D:\media\w11.wim" `
    -TaskSequence $ts -BootImage $boot -OperatingSystemImage (Get-CMOperatingSystemImage -Id "PS100010") `
    -OperatingSystemImageInd 3 -DistributionPoint (Get-CMDistributionPoint -SiteSystemServerName 'dp1.corp.example'), (Get-CMDistributionPoint -SiteSystemServerName "\\dp2.corp.example") `
    -ManagementPoint (Get-CMManagementPoint -SiteSystemServerName mp1.corp.example) `
    -Application (Get-CMApplication -Name 'Reader'), (Get-CMApplication -ModelName 'ScopeId_0A/Application_1') `
    -Package @((Get-CMPackage -Id PS100031 -Fast)) -DriverPackage (Get-CMDriverPackage -Id 'PS100077') `
    -IncludeApplicationDependency -AllowUnattended:$true -AllowUnknownMachine -AllowUacPrompt:$false `
    -MediaPassword $pw -CertificateStartTime '2026-11-22' -CertificateExpireTime (Get-Date).AddYears(1) `
    -UserDeviceAffinity AdministratorApproval -Variable @{ OSDTimeZone = 'UTC'; JoinPassword = 'hunter3' } `
    -PrestartCommand 'cmd /c "prestart.cmd"' -PrestartPackage (Get-CMPackage -Id PS100040) `
    -TemporaryFolder 'E:\temp' -NoAutoRun -SiteCode PS1 -Force @more
"#;

#[test]
fn a_script_becomes_a_spec_and_says_what_it_could_not_carry() {
    let draft = one(SCRIPT);
    let CheckedSpec { spec, .. } = read(&draft);
    assert_eq!(spec.name, "w11");
    assert_eq!((spec.task_sequence.as_str(), spec.boot_image.as_str()), ("PS100123", "PS100005"));
    assert_eq!((spec.os_image.package.as_str(), spec.os_image.index), ("PS100010", 3));
    assert_eq!(spec.distribution_points, ["dp1.corp.example", "dp2.corp.example"]);
    assert_eq!(spec.media.management_points[0].to_string(), "http://mp1.corp.example");
    assert_eq!(spec.applications.len(), 1);
    assert_eq!(
        (spec.packages[0].as_str(), spec.driver_packages[0].as_str()),
        ("PS100031", "PS100077")
    );
    assert!(spec.detect_application_dependencies && spec.media.unattended);
    assert_eq!(spec.media.comment.as_deref(), Some("ring \"1\""));
    assert!(spec.security.unknown_computer_support && spec.security.password.is_some());
    assert_eq!(spec.security.user_device_affinity, UserDeviceAffinity::AdministratorApproval);
    assert!(matches!(
        spec.security.certificate,
        MediaCertificate::SelfSigned { start: Some(_), expiry: None }
    ));
    assert_eq!(spec.customization.variables.len(), 1);
    assert_eq!(spec.customization.prestart.unwrap().command, "cmd /c \"prestart.cmd\"");
    assert_eq!(spec.output.file.as_deref(), Some("D:\\media\\w11.wim"));
    assert_eq!(
        left_out(&draft),
        [
            "-ManagementPoint (scheme)",
            "-Application",
            "-AllowUacPrompt",
            "-MediaPassword",
            "-CertificateExpireTime",
            "-Variable JoinPassword",
            "-NoAutoRun",
            "-SiteCode",
            "-Force"
        ]
    );
    let told = format!("{draft:?}{}", draft.to_toml());
    assert!(!told.contains("hunter"), "{told}");
    assert!(told.contains("-Name 'Reader'"));
}

#[test]
fn create_media_lines_become_specs() {
    let line = r#""C:\Program Files\AdminConsole\bin\i386\CreateMedia.exe" /K:prestaged /P:provider /S:PS1 /D:dp1.corp.example;\\dp2.corp.example ^
 /L:"Configuration Manager" /3:"2026.11" /4:"ring 1" /E:PS100040 /G:"cmd /c prestart.cmd" /Y:hunter2 /R:"C:\certs\media.pfx" /W:hunter3 /U:True /J:False /Z:False /5:2 /X:SMSTSLocationMPs=https://mp1.corp.example*https://mp2.corp.example /X:OSDTimeZone=UTC /X:AdminPassword=hunter4 /B:PS100005 /O:PS100010 /I:2 /T:HD /F:"D:\media\w11 x.wim""#;
    let draft = one(line);
    assert_eq!(draft.name.as_deref(), Some("w11 x"));
    assert_eq!(draft.distribution_points, ["dp1.corp.example", "dp2.corp.example"]);
    assert_eq!(
        left_out(&draft),
        ["/K", "/P", "/S", "/L", "/Y", "/W", "/J", "/X:AdminPassword", "task sequence"]
    );
    let mut whole = draft.clone();
    whole.task_sequence = Some("PS100123".into());
    let CheckedSpec { spec, .. } = read(&whole);
    assert_eq!(spec.media.mode, MediaMode::Dynamic);
    assert_eq!(spec.media.management_points.len(), 2);
    assert!(spec.media.unattended && spec.certificate_file().is_some());
    assert_eq!(spec.security.user_device_affinity, UserDeviceAffinity::AutoApproval);
    assert!(!format!("{draft:?}{}", draft.to_toml()).contains("hunter"));
    // Halves of FILETIMEs, one of them written as a negative number.
    let dated = "CreateMedia.exe /T:HD /1:31236000;-1743519744 /X:SMSTSMP=http://mp1";
    let draft = one(dated);
    assert!(
        draft.site_based && draft.validity.0.as_deref().unwrap().starts_with("20"),
        "{draft:?}"
    );
}

#[test]
fn what_is_neither_is_told() {
    assert_eq!(import("Get-Process").unwrap_err(), ImportError::NoCommand);
    let boot = import("CreateMedia.exe /K:boot /T:CD /F:x.iso").unwrap_err();
    assert!(boot.to_string().contains("/T:CD, not prestaged media"), "{boot}");
    let unknown = import("New-CMPrestageMedia -Paht x").unwrap_err();
    assert!(unknown.to_string().contains("no parameter -Paht"), "{unknown}");
    let short = import("\nNew-CMPrestageMedia -C x").unwrap_err().to_string();
    assert!(short.contains("line 2") && short.contains("-Comment or -Confirm"), "{short}");
    assert!(matches!(
        import("New-CMPrestageMedia -Path 'x"),
        Err(ImportError::Syntax { line: 1, .. })
    ));
}

#[test]
fn several_commands_give_several_specs() {
    let drafts =
        import("New-CMPrestageMedia -Path a.wim\nNew-CMPrestagedMedia -Path b.wim").unwrap();
    let names: Vec<_> = drafts.iter().map(|draft| draft.name.as_deref().unwrap()).collect();
    assert_eq!(names, ["a", "b"]);
    assert!(drafts[0].to_toml().contains("# task_sequence = \"PS100123\"   # put it here"));
}
