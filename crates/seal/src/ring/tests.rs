use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::*;
use crate::{sealed_by, without_wrapping};

const CONTEXT: &[u8] = b"plan 1";

fn file(folder: &Path, name: &str) -> KeySource {
    KeySource::File(folder.join(name))
}

async fn ring(sources: &[KeySource]) -> KeyRing {
    KeyRing::open(sources).await.unwrap()
}

/// A program that keeps an RSA key, as an HSM would: openssl's own.
fn program(folder: &Path) -> KeySource {
    let key = folder.join("hsm.pem");
    let made = std::process::Command::new("openssl")
        .args(["genrsa", "-out", key.to_str().unwrap(), "2048"])
        .output()
        .expect("openssl is missing: install Debian's openssl");
    assert!(made.status.success());
    let script = folder.join("hsm.sh");
    let text = "case $2 in\n\
        id) echo hsm key 1 ;;\n\
        wrap) exec openssl pkeyutl -encrypt -inkey $1 -pkeyopt rsa_padding_mode:oaep ;;\n\
        unwrap) exec openssl pkeyutl -decrypt -inkey $1 -pkeyopt rsa_padding_mode:oaep ;;\n\
        esac\n";
    std::fs::write(&script, text).unwrap();
    let line = format!("command:sh {} {}", script.display(), key.display());
    line.parse().unwrap()
}

#[tokio::test]
async fn opens_only_with_its_key_and_context() {
    let folder = tempfile::tempdir().unwrap();
    let first = ring(&[file(folder.path(), "seal.key")]).await;
    let sealed = first.seal(b"secret", CONTEXT).await.unwrap();
    let again = ring(&[file(folder.path(), "seal.key")]).await;
    assert_eq!(again.unseal(&sealed, CONTEXT).await.unwrap().expose(), b"secret");
    assert!(matches!(again.unseal(&sealed, b"plan 2").await, Err(SealError::Changed)));
    let other = ring(&[file(folder.path(), "other")]).await;
    assert!(matches!(other.unseal(&sealed, CONTEXT).await, Err(SealError::OtherKey { .. })));
    for part in sealed.split(':').filter(|part| *part != "v2") {
        let changed = sealed.replace(part, &part.replace(&part[..4], "0000"));
        assert!(again.unseal(&changed, CONTEXT).await.is_err(), "{changed}");
    }
    assert!(again.unseal("AAAA", CONTEXT).await.is_err());
    assert_ne!(sealed, first.seal(b"secret", CONTEXT).await.unwrap(), "a data key is used once");
}

#[tokio::test]
async fn a_rotation_wraps_the_data_key_anew_and_leaves_the_secret_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (file(folder.path(), "old"), file(folder.path(), "new"));
    let sealed = ring(std::slice::from_ref(&old)).await.seal(b"secret", CONTEXT).await.unwrap();
    let both = ring(&[new.clone(), old]).await;
    assert_eq!(both.unseal(&sealed, CONTEXT).await.unwrap().expose(), b"secret");
    let rewrapped = both.rewrap(&sealed, CONTEXT).await.unwrap().unwrap();
    assert_eq!(without_wrapping(&rewrapped), without_wrapping(&sealed));
    let keys: Vec<&KeyId> = both.keys().map(|(id, _)| id).collect();
    assert_eq!(sealed_by(&sealed).unwrap().as_ref(), Some(keys[1]));
    assert_eq!(sealed_by(&rewrapped).unwrap().as_ref(), Some(keys[0]));
    assert_eq!(both.rewrap(&rewrapped, CONTEXT).await.unwrap(), None, "it is there already");
    // The old key can be taken away.
    let alone = ring(&[new]).await;
    assert_eq!(alone.unseal(&rewrapped, CONTEXT).await.unwrap().expose(), b"secret");
    assert!(alone.rewrap(&sealed, CONTEXT).await.is_err());
}

#[tokio::test]
async fn a_program_keeps_its_key_to_itself() {
    let folder = tempfile::tempdir().unwrap();
    let (program, old) = (program(folder.path()), file(folder.path(), "old"));
    let in_file = ring(std::slice::from_ref(&old)).await.seal(b"secret", CONTEXT).await.unwrap();
    let ring = ring(&[program.clone(), old]).await;
    let sealed = ring.seal(b"secret", CONTEXT).await.unwrap();
    assert_eq!(ring.unseal(&sealed, CONTEXT).await.unwrap().expose(), b"secret");
    let rewrapped = ring.rewrap(&in_file, CONTEXT).await.unwrap().unwrap();
    let alone = KeyRing::open(&[program]).await.unwrap();
    assert_eq!(alone.unseal(&rewrapped, CONTEXT).await.unwrap().expose(), b"secret");
    let wrapped = sealed.split(':').nth(2).unwrap();
    let damaged = sealed.replace(wrapped, &wrapped.replace(&wrapped[..8], "AAAAAAAA"));
    let refused = alone.unseal(&damaged, CONTEXT).await.map(drop).unwrap_err();
    assert!(matches!(refused, SealError::KeyCommand { verb: "unwrap", .. }), "{refused}");
}

#[tokio::test]
async fn what_the_release_before_sealed_opens_and_gets_a_data_key() {
    let folder = tempfile::tempdir().unwrap();
    // As that release wrote it: nonce and ciphertext under the key itself.
    let key = [7; 32];
    std::fs::write(folder.path().join("old"), key).unwrap();
    let sealed = encrypt(&Key::new(key), b"secret", CONTEXT).unwrap();
    let sealed = STANDARD.encode(sealed);
    assert_eq!(sealed_by(&sealed).unwrap(), None);
    let (old, new) = (file(folder.path(), "old"), file(folder.path(), "new"));
    let both = ring(&[new.clone(), old]).await;
    assert_eq!(both.unseal(&sealed, CONTEXT).await.unwrap().expose(), b"secret");
    let rewrapped = both.rewrap(&sealed, CONTEXT).await.unwrap().unwrap();
    let alone = ring(&[new]).await;
    assert_eq!(alone.unseal(&rewrapped, CONTEXT).await.unwrap().expose(), b"secret");
    let refused = alone.unseal(&sealed, CONTEXT).await.map(drop).unwrap_err().to_string();
    assert!(refused.contains("share one seal key (--seal-key)"), "{refused}");
}

#[tokio::test]
async fn only_a_current_key_file_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let sources = [file(folder.path(), "new"), file(folder.path(), "missing")];
    let refused = KeyRing::open(&sources).await.map(drop).unwrap_err().to_string();
    assert!(refused.contains("missing can't be used"), "{refused}");
    std::fs::write(folder.path().join("short"), [1; 31]).unwrap();
    let refused = KeyRing::open(&[file(folder.path(), "short")]).await.map(drop).unwrap_err();
    assert!(refused.to_string().contains("fewer than 32 bytes"), "{refused}");
    let unset = KeySource::Variable("PRESTAGE_NO_SUCH_KEY".into());
    let refused = KeyRing::open(&[unset]).await.map(drop).unwrap_err().to_string();
    assert!(refused.contains("PRESTAGE_NO_SUCH_KEY holds no seal key: it is not set"), "{refused}");
}
