//! From the wizard's cmdlet to a medium: the spec that `import-cmdlet` writes can be planned.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::{ffi::OsStr, io::Write as _, process::Stdio};

use support::{Demo, command, ok, prestage, refused};

const SCRIPT: &str = "$boot = Get-CMBootImage -Id PS100005\r\n\
    New-CMPrestageMedia -MediaMode SiteBased -TaskSequence (Get-CMTaskSequence -TaskSequencePackageId PS100123) `\r\n \
    -BootImage $boot -OperatingSystemImage (Get-CMOperatingSystemImage -Id PS100010) `\r\n \
    -DistributionPoint dp1.corp.example,dp2.corp.example -ManagementPoint http://mp1.corp.example `\r\n \
    -MediaPassword $secret -Path 'D:\\media\\w11.wim' -IncludeApplicationDependency\r\n";

#[test]
fn a_script_of_the_console_becomes_a_plan() {
    let demo = Demo::new();
    let (script, spec) = (demo.path("media.ps1"), demo.path("w11.toml"));
    // As the console's editor saves it.
    let wide: Vec<u8> =
        format!("\u{feff}{SCRIPT}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(&script, wide).unwrap();
    let import: [&OsStr; 5] = [
        "--json".as_ref(),
        "import-cmdlet".as_ref(),
        script.as_os_str(),
        "-o".as_ref(),
        spec.as_os_str(),
    ];
    let imported = ok(&prestage(&demo, import));
    assert_eq!(imported["not_carried"][0]["what"], "-MediaPassword");
    let again = refused(&prestage(&demo, import), 2);
    assert!(again.contains("exists already") && again.contains("--force"), "{again}");
    let (site, data, out) = (demo.site(), demo.path("data"), demo.path("out.wim"));
    let plan: [&OsStr; 9] = [
        "--json".as_ref(),
        "plan".as_ref(),
        spec.as_os_str(),
        "--site".as_ref(),
        site.as_os_str(),
        "--data-dir".as_ref(),
        data.as_os_str(),
        "--output".as_ref(),
        out.as_os_str(),
    ];
    let output = command(&demo).args(plan).env("MEDIA_PASSWORD", demo.password()).output().unwrap();
    let planned = ok(&output);
    assert_eq!(planned["task_sequence"]["id"], "PS100123");
    assert_eq!(planned["media"]["mode"], "site-based");
}

#[test]
fn standard_input_is_read_and_other_text_refused() {
    let demo = Demo::new();
    let mut import = command(&demo);
    let import = import.args(["import-cmdlet", "-"]).stdin(Stdio::piped());
    let mut child = import.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(SCRIPT.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("task_sequence = \"PS100123\""));
    let script = demo.path("other.ps1");
    std::fs::write(&script, "Get-Process").unwrap();
    let arguments: [&OsStr; 2] = ["import-cmdlet".as_ref(), script.as_os_str()];
    let said = refused(&prestage(&demo, arguments), 2);
    assert!(said.contains("no New-CMPrestageMedia") && said.contains("other.ps1"), "{said}");
    // The command stands within what was read of it before: it must not count.
    let long = format!("{SCRIPT}{}", " ".repeat(4 << 20));
    std::fs::write(&script, long).unwrap();
    let said = refused(&prestage(&demo, arguments), 2);
    assert!(said.contains("more than 4194304 bytes"), "{said}");
}
