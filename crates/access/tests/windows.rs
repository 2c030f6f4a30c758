//! Windows authentication against real servers: Apache with NTLM, and with Kerberos and a KDC.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header::RANGE};
use prestage_access::{Access, AccessError, Request};
use prestage_test_servers::{
    apache::{self, Apache, Settings},
    kerberos::{self, Realm},
    tls::Root,
};
use tempfile::TempDir;
use url::Url;

/// A folder with a file, and an access file that is written for a test.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        fs::create_dir(folder.path().join("www")).unwrap();
        fs::write(folder.path().join("www/file.bin"), vec![b'x'; 100_000]).unwrap();
        Self { folder }
    }

    fn files(&self) -> PathBuf {
        self.folder.path().join("www")
    }

    fn access(&self, lines: &str) -> Access {
        let path = self.folder.path().join("access.toml");
        fs::write(&path, format!("[[server]]\nhost = \"localhost\"\n{lines}\n")).unwrap();
        Access::load(&path).unwrap()
    }

    fn password(&self, text: &str) -> &'static str {
        fs::write(self.folder.path().join("password"), text).unwrap();
        "password = { file = \"password\" }"
    }
}

fn file(server: &Apache) -> Url {
    format!("{}/files/file.bin", server.address).parse().unwrap()
}

async fn read(access: &Access, url: &Url) -> Result<(StatusCode, usize), AccessError> {
    let response = access.server(url).unwrap().send(Request::get(url.clone())).await?;
    let status = response.status();
    Ok((status, response.body(1 << 20).await?.unwrap().len()))
}

#[tokio::test]
async fn ntlm_proves_a_connection_and_many_requests_share_it() {
    let place = Place::new();
    let files = place.files();
    let folders = vec![("/files", files.as_path())];
    let server = Apache::start(&Settings { folders, ntlm: true, ..Settings::default() });
    let url = file(&server);
    let password = place.password(apache::PASSWORD);
    let user = apache::USER;
    let access = place.access(&format!(
        "authentication = \"negotiate\"\nuser = '{user}'\n{password}\nlimits = {{ connections = 2 }}"
    ));
    let reads = (0..12).map(|_| read(&access, &url));
    for done in futures::future::join_all(reads).await {
        assert_eq!(done.unwrap(), (StatusCode::OK, 100_000), "{}", server.log());
    }
    let range = Request::get(url.clone()).with(RANGE, "bytes=10-19".parse().unwrap());
    let part = access.server(&url).unwrap().send(range).await.unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.body(99).await.unwrap().unwrap().len(), 10);
    // A body is sent again after the handshake.
    let method = Method::from_bytes(b"PROPFIND").unwrap();
    let body = Bytes::from_static(b"<propfind xmlns=\"DAV:\"><allprop/></propfind>");
    let request = Request { method, url: url.clone(), headers: HeaderMap::new(), body };
    let fresh = place.access(&format!("authentication = \"ntlm\"\nuser = '{user}'\n{password}"));
    let listed = fresh.server(&url).unwrap().send(request).await.unwrap();
    assert_eq!(listed.status(), StatusCode::MULTI_STATUS, "{}", server.log());
}

#[tokio::test]
async fn a_wrong_password_is_said_without_it() {
    let place = Place::new();
    let files = place.files();
    let folders = vec![("/files", files.as_path())];
    let server = Apache::start(&Settings { folders, ntlm: true, ..Settings::default() });
    let password = place.password("hunter2-hunter2");
    let user = apache::USER;
    let access =
        place.access(&format!("authentication = \"negotiate\"\nuser = '{user}'\n{password}"));
    let error = read(&access, &file(&server)).await.unwrap_err();
    assert!(matches!(error, AccessError::Refused { .. }), "{error}");
    let told = format!("{error} {error:?} {access:?}");
    assert!(told.contains("alice") && !told.contains("hunter2"), "{told}");
    let error = read(&Access::anonymous(), &file(&server)).await.unwrap_err();
    assert!(error.to_string().contains("name one in the access file"), "{error}");
}

#[tokio::test]
async fn kerberos_tickets_are_taken_and_a_private_root_is_trusted() {
    let (place, realm, root) = (Place::new(), Realm::start(), Root::new());
    let files = place.files();
    let server = Apache::start(&Settings {
        folders: vec![("/files", files.as_path())],
        kerberos: Some(&realm),
        tls: Some(&root),
        ..Settings::default()
    });
    let url = file(&server);
    let password = place.password(kerberos::PASSWORD);
    let lines = format!(
        "authentication = \"kerberos\"\nuser = '{}'\n{password}\nkdc = \"{}\"",
        kerberos::USER,
        realm.kdc
    );
    let error = read(&place.access(&lines), &url).await.unwrap_err();
    assert!(matches!(error, AccessError::Untrusted { .. }), "{error}");
    assert!(error.to_string().contains("'ca' in the access file"), "{error}");
    fs::write(place.folder.path().join("root.pem"), root.pem()).unwrap();
    let access = place.access(&format!("{lines}\nca = \"root.pem\""));
    for _ in 0..3 {
        let done = read(&access, &url).await;
        assert_eq!(done.unwrap(), (StatusCode::OK, 100_000), "{}", server.log());
    }
    place.password("wrong");
    let access = place.access(&format!("{lines}\nca = \"root.pem\""));
    let error = read(&access, &url).await.unwrap_err();
    assert!(matches!(error, AccessError::Identity { .. }), "{error}");
}
