use super::*;

const SEQUENCE: &str = r#"<?xml version="1.0" encoding="utf-16"?>
<sequence version="3.10">
 <group name="Install" description="">
  <condition><expression type="SMS_TaskSequence_VariableConditionExpression">
    <variable name="Variable">PackageID</variable></expression></condition>
  <step type="SMS_TaskSequence_ApplyOperatingSystemAction" name="Apply OS">
   <action>OSDApplyOS.exe /image:PS100010,%OSDImageIndex% "/config:PS100011,%OSDConfigFileName%" /target:0,2</action>
   <defaultVarList><variable name="ImagePackageID" property="ImagePackageID" hidden="true">PS100010</variable></defaultVarList>
  </step>
  <group name="Data" disable="true">
   <step type="SMS_TaskSequence_ApplyDataImageAction" name="Recovery">
    <action>OSDApplyOS.exe /data:ps100020,%OSDDataImageIndex%</action></step>
  </group>
  <step type="SMS_TaskSequence_ApplyDriverPackageAction" name="Drivers">
   <action>osddriverclient.exe /install:PS100077 /unsigned:%OSDAllowUnsignedDriver%</action></step>
  <step type="SMS_TaskSequence_AutoApplyAction" name="Auto drivers">
   <action>osddriverclient.exe /auto /bestmatch:true /unsigned:true</action></step>
  <step type="SMS_TaskSequence_InstallApplicationAction" name="Apps">
   <action>smsappinstall.exe /app:ScopeId_A/Application_1,ScopeId_A/Application_2/4 /basevar: /continueOnError:</action></step>
  <step type="SMS_TaskSequence_InstallApplicationAction" name="More apps">
   <action>smsappinstall.exe /app: /basevar:COALESCED /continueOnError:</action></step>
  <step type="SMS_TaskSequence_RunCommandLineAction" name="Run">
   <action>smsswd.exe /run: cmd /c echo PS100099 /id:PS100098 /install:PS100097</action></step>
  <step type="SMS_TaskSequence_DownloadPackageContentAction" name="Download">
   <action>OSDDownloadContent.exe</action>
   <defaultVarList><variable name="OSDDownloadDownloadPackages" property="DownloadPackages">PS100030,%DRIVERPKG%</variable></defaultVarList></step>
  <step type="SMS_TaskSequence_SubTasksequence" name="Child">
   <action>smsrunts.exe</action>
   <defaultVarList><variable name="_x" property="TsPackageID">PS100124</variable></defaultVarList></step>
 </group>
 <referenceList><reference package="PS100040"/><reference package=""/></referenceList>
</sequence>"#;

fn targets(sequence: &Sequence, name: &str) -> Vec<(StepTarget, ContentUse)> {
    let step = sequence.steps.iter().find(|step| step.name == name).unwrap();
    step_content(step).targets
}

fn package(id: &str, usage: ContentUse) -> (StepTarget, ContentUse) {
    (StepTarget::Package(id.into()), usage)
}

#[test]
fn steps_name_their_content() {
    let sequence = Sequence::parse(SEQUENCE).unwrap();
    assert_eq!(sequence.version.as_deref(), Some("3.10"));
    assert_eq!(sequence.references, ["PS100040"]);
    assert_eq!(
        targets(&sequence, "Apply OS"),
        [package("PS100010", ContentUse::OperatingSystem), package("PS100011", ContentUse::Other)]
    );
    assert_eq!(targets(&sequence, "Recovery"), [package("PS100020", ContentUse::DataImage)]);
    assert_eq!(targets(&sequence, "Drivers"), [package("PS100077", ContentUse::Other)]);
    let application = |model: &str| (StepTarget::Application(model.into()), ContentUse::Other);
    assert_eq!(
        targets(&sequence, "Apps"),
        [application("ScopeId_A/Application_1"), application("ScopeId_A/Application_2")]
    );
    assert_eq!(targets(&sequence, "Run"), []);
    assert_eq!(targets(&sequence, "Download"), [package("PS100030", ContentUse::Other)]);
    assert_eq!(targets(&sequence, "Child"), [package("PS100124", ContentUse::Other)]);
}

#[test]
fn what_run_time_decides_is_told() {
    let sequence = Sequence::parse(SEQUENCE).unwrap();
    let dynamic: Vec<_> = sequence
        .steps
        .iter()
        .flat_map(|step| step_content(step).dynamic.into_iter().map(|d| (step.name.clone(), d)))
        .collect();
    let steps: Vec<_> = dynamic.iter().map(|(step, _)| step.as_str()).collect();
    assert_eq!(steps, ["Auto drivers", "More apps", "Download"]);
    assert!(dynamic[2].1.contains("%DRIVERPKG%"), "{dynamic:?}");
}

#[test]
fn groups_and_disabled_groups_are_kept() {
    let sequence = Sequence::parse(SEQUENCE).unwrap();
    let recovery = sequence.steps.iter().find(|step| step.name == "Recovery").unwrap();
    assert!(recovery.disabled);
    assert!(!sequence.steps[0].disabled);
}

#[test]
fn escaped_sequences_are_read_and_deep_ones_refused() {
    let escaped = SEQUENCE.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    assert_eq!(Sequence::parse(&escaped).unwrap(), Sequence::parse(SEQUENCE).unwrap());
    let open = "<group name=\"g\">".repeat(2000);
    let deep = format!("<sequence>{open}{}</sequence>", "</group>".repeat(2000));
    assert!(matches!(Sequence::parse(&deep), Err(SequenceError::Xml(_))));
    let other = Sequence::parse("<policy/>");
    assert_eq!(other, Err(SequenceError::NotASequence { found: "policy".into() }));
}

#[test]
fn a_variable_that_names_very_many_takes_time_by_their_number() {
    let names = |shape: fn(u32) -> String| (0..60_000).map(shape).collect::<Vec<_>>().join(",");
    let (ids, dynamic) = (names(|n| format!("PS1{n:05X}")), names(|n| format!("%a{n}%")));
    let variable = |value: &str| format!("<variable property=\"PackageID\">{value}</variable>");
    let sequence = Sequence::parse(&format!(
        "<sequence><step type=\"t\"><defaultVarList>{}{}</defaultVarList></step></sequence>",
        variable(&ids),
        variable(&dynamic)
    ));
    let content = step_content(&sequence.unwrap().steps[0]);
    assert_eq!((content.targets.len(), content.dynamic.len()), (60_000, 60_000));
}
