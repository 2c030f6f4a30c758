//! The task sequence, as the lazy property `Sequence` has it.

use crate::identity;

/// The XML: nested groups, conditions, a disabled step, and every kind of step that names content.
pub(crate) fn xml() -> String {
    let groups = [prepare(), install(), set_up()].concat();
    let references = references();
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-16\"?>\n<sequence version=\"3.10\">\
         <group name=\"Deploy Windows 11\" description=\"The sample&apos;s only task sequence\">{groups}</group>\
         <referenceList>{references}</referenceList></sequence>"
    )
}

/// Package IDs and model names that the task sequence names directly, with the type of
/// `SMS_TaskSequence_Reference` (0 package, 1 application).
pub(crate) fn direct_references() -> Vec<(String, u32)> {
    let packages = [
        identity::OS_IMAGE,
        identity::CLIENT,
        identity::SCRIPTS,
        identity::VENDOR_TOOLS,
        identity::DRIVERS,
    ];
    let mut all: Vec<_> = packages.iter().map(|package| (package.id.to_owned(), 0)).collect();
    all.push((identity::AGENT.model_name(), 1));
    all
}

fn references() -> String {
    let packages = direct_references().into_iter().filter(|(_, kind)| *kind == 0);
    packages.map(|(id, _)| format!("<reference package=\"{id}\"/>")).collect()
}

fn step(kind: &str, name: &str, action: &str, inner: &str) -> String {
    format!(
        "<step type=\"SMS_TaskSequence_{kind}Action\" name=\"{name}\" description=\"\" \
         runIn=\"WinPEandFullOS\" successCodeList=\"0 3010\"><action>{action}</action>{inner}</step>"
    )
}

fn group(name: &str, inner: &[String]) -> String {
    format!("<group name=\"{name}\">{}</group>", inner.concat())
}

fn variables(all: &[(&str, &str, &str)]) -> String {
    let all = all.iter().map(|(name, property, value)| {
        format!("<variable name=\"{name}\" property=\"{property}\">{value}</variable>")
    });
    format!("<defaultVarList>{}</defaultVarList>", all.collect::<String>())
}

/// Conditions that all must hold, as the console writes them.
fn condition(all: &[(&str, &str, &str)]) -> String {
    let expressions = all.iter().map(|(variable, operator, value)| {
        format!(
            "<expression type=\"SMS_TaskSequence_VariableConditionExpression\">\
             <variable name=\"Operator\">{operator}</variable><variable name=\"Value\">{value}</variable>\
             <variable name=\"Variable\">{variable}</variable></expression>"
        )
    });
    let expressions: String = expressions.collect();
    format!("<condition><operator type=\"and\">{expressions}</operator></condition>")
}

/// Prestaged disks must not be partitioned again: the condition that default task sequences have.
fn prepare() -> String {
    let not_prestaged = |uefi: &str| {
        condition(&[
            ("_SMSTSClientCache", "notExists", ""),
            ("_SMSTSMediaType", "notEquals", "OEMMedia"),
            ("_SMSTSBootUEFI", uefi, "true"),
        ])
    };
    let partition =
        |name, uefi| step("PartitionDisk", name, "osddiskpart.exe", &not_prestaged(uefi));
    group(
        "Install operating system",
        &[
            step("Reboot", "Restart in Windows PE", "smsboot.exe /target:WinPE", ""),
            partition("Partition Disk 0 - UEFI", "equals"),
            partition("Partition Disk 0 - BIOS", "notEquals"),
        ],
    )
}

fn install() -> String {
    let (os, drivers) = (identity::OS_IMAGE.id, identity::DRIVERS.id);
    let image = variables(&[
        ("ImagePackageID", "ImagePackageID", os),
        ("OSDImageIndex", "ImageIndex", "2"),
    ]);
    let driver = variables(&[("OSDAllowUnsignedDriver", "UnsignedDriver", "false")]);
    let model = condition(&[("Model", "equals", "Latitude 7450")]);
    let apply = format!("OSDApplyOS.exe /image:{os},%OSDImageIndex% /target:0,3");
    let add = format!("osddriverclient.exe /install:{drivers} /unsigned:%OSDAllowUnsignedDriver%");
    let drivers = group(
        "Drivers by model",
        &[step("ApplyDriverPackage", "Apply drivers: Latitude 7450", &add, &(driver + &model))],
    );
    let client = identity::CLIENT.id;
    let set_up = variables(&[("ClientPackageID", "ClientPackageID", client)]);
    group(
        "Apply",
        &[
            step("ApplyOperatingSystem", "Apply Operating System", &apply, &image),
            drivers,
            step(
                "SetupWindowsAndConfigMgr",
                "Setup Windows and Configuration Manager",
                &format!("OSDSetupWindows.exe /config:{client}"),
                &set_up,
            ),
        ],
    )
}

fn set_up() -> String {
    let (scripts, tools) = (identity::SCRIPTS.id, identity::VENDOR_TOOLS.id);
    let run = format!("smsswd.exe /run:{scripts} cmd.exe /c cleanup.cmd");
    let tools = format!("smsswd.exe /pkg:{tools} /install /basevar: /continueOnError:");
    let agent = format!(
        "smsappinstall.exe /app:{} /basevar: /continueOnError:",
        identity::AGENT.model_name()
    );
    let deleted = format!(
        "smsswd.exe /pkg:{} /install /basevar: /continueOnError:",
        identity::DELETED_PACKAGE
    );
    let disabled = step("InstallSoftware", "Install debugging tools (not any more)", &deleted, "")
        .replacen("<step ", "<step disable=\"true\" ", 1);
    group(
        "Set up operating system",
        &[
            step("RunCommandLine", "Clean up", &run, ""),
            group(
                "Software",
                &[
                    step("InstallSoftware", "Install vendor tools", &tools, ""),
                    step("InstallApplication", "Install Contoso Agent", &agent, ""),
                    disabled,
                ],
            ),
        ],
    )
}
