//! `Variables.dat` opened by a decoder that shares no code with ours.

use std::io::Write as _;
use std::process::{Command, Stdio};

use prestage_media::Secret;
use prestage_media::variables::{Algorithm, MediaVariables, encode};

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Runs the Python decoder; it and the openssl command are needed, so their absence is a failure.
fn independent(
    file: &[u8],
    password: &str,
) -> Result<serde_json::Value, Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("Variables.dat");
    std::fs::write(&path, file)?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/variables_independent.py");
    let mut child = Command::new("python3")
        .arg(script)
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("install the packages python3 and openssl: {error}"))?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(password.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("the independent decoder refused the file: {said}").into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn sample() -> MediaVariables {
    let mut variables = MediaVariables::new();
    for (name, value) in [
        ("_SMSMediaGuid", "{AFFBA0F7-65C6-4743-99B0-99AF62D01234}"),
        ("_SMSTSMediaType", "OEMMedia"),
        ("SMSTSLocationMPs", "http://mp1.corp.example*http://mp2.corp.example:8080"),
        ("Greeting", "Grüße <&> ]]> \"'"),
        ("Lines", "one\r\ntwo\tthree\n"),
        ("Smile", "😀"),
        ("Empty", ""),
    ] {
        variables.set(name, Secret::from(value));
    }
    variables
}

fn expected() -> serde_json::Value {
    sample()
        .iter()
        .map(|(name, value)| (name.to_owned(), serde_json::Value::from(value.expose())))
        .collect()
}

#[test]
fn an_independent_decoder_reads_every_algorithm_and_password() -> Outcome {
    let password = Secret::from("Pässwörd-25-characters-long");
    for algorithm in [Algorithm::TripleDes, Algorithm::Aes128, Algorithm::Aes192, Algorithm::Aes256]
    {
        let file = encode(&sample(), algorithm, None)?;
        assert_eq!(independent(&file, "")?, expected(), "{algorithm:?}, default password");
        let file = encode(&sample(), algorithm, Some(&password))?;
        assert_eq!(independent(&file, password.expose())?, expected(), "{algorithm:?}");
    }
    Ok(())
}

#[test]
fn the_independent_decoder_can_fail() -> Outcome {
    let file = encode(&sample(), Algorithm::Aes256, Some(&Secret::from("right")))?;
    assert!(independent(&file, "wrong").is_err());
    Ok(())
}
