//! An authority of the test's own, and a media certificate of it.

use super::support::{Demo, tool};

/// Has a sample's spec import a certificate that an authority of its own issued.
pub fn imported_certificate(demo: &Demo, usage: &str, pfx_password: &str) {
    let path = |name: &str| demo.path(name).to_str().unwrap().to_owned();
    let openssl = |arguments: &[&str]| tool("openssl", "openssl", arguments);
    let (root, root_key) = (path("root.crt"), path("root.key"));
    let new = ["req", "-newkey", "rsa:2048", "-nodes", "-days", "365"];
    let own = ["-x509", "-subj", "/CN=Corp Root", "-keyout", &root_key, "-out", &root];
    openssl(&[&new[..], &own].concat());
    let (key, request, media) = (path("m.key"), path("m.csr"), path("m.crt"));
    openssl(&[&new[..4], &["-subj", "/CN=OSD media", "-keyout", &key, "-out", &request]].concat());
    let (extensions, pfx) = (path("extensions"), path("site/media.pfx"));
    std::fs::write(&extensions, format!("keyUsage=digitalSignature\nextendedKeyUsage={usage}"))
        .unwrap();
    openssl(&[
        "x509",
        "-req",
        "-in",
        &request,
        "-CA",
        &root,
        "-CAkey",
        &root_key,
        "-CAcreateserial",
        "-days",
        "365",
        "-extfile",
        &extensions,
        "-out",
        &media,
    ]);
    let password = format!("pass:{pfx_password}");
    openssl(&[
        "pkcs12",
        "-export",
        "-inkey",
        &key,
        "-in",
        &media,
        "-certfile",
        &root,
        "-passout",
        &password,
        "-out",
        &pfx,
    ]);
    std::fs::write(demo.path("site/pfx-password.txt"), pfx_password).unwrap();
    let text = std::fs::read_to_string(demo.spec()).unwrap();
    let line = text.lines().find(|line| line.starts_with("certificate")).unwrap();
    let imported = "certificate = { pkcs12 = { file = \"media.pfx\", password = { file = \"pfx-password.txt\" } } }";
    demo.edit_spec(line, imported);
    demo.edit_spec("http://mp1.corp.example", "https://mp1.corp.example");
}
