//! What is sent to servers, when again, and what is said when they fail. Real connections on loopback.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use futures::TryStreamExt;
use prestage_access::{Access, AccessError, Request};
use prestage_test_servers::{
    apache::{Apache, Settings},
    tls::Root,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};
use url::Url;

const BUSY: &str = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfine";
const SHORT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nfine";

/// A server that gives `answers`, a connection each; ends with the heads of the requests.
async fn server(answers: Vec<&'static str>) -> (Url, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let heads = tokio::spawn(async move {
        let mut heads = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            heads.push(String::from_utf8(head).unwrap());
        }
        heads
    });
    (url, heads)
}

fn access(folder: &Path, lines: &str) -> Access {
    let path = folder.join("access.toml");
    fs::write(&path, format!("[[server]]\nhost = \"localhost\"\n{lines}\n")).unwrap();
    Access::load(&path).unwrap()
}

async fn status(access: &Access, url: &Url) -> Result<u16, AccessError> {
    let response = access.server(url)?.send(Request::get(url.clone())).await?;
    Ok(response.status().as_u16())
}

#[tokio::test]
async fn a_busy_server_is_asked_again() {
    let (url, heads) = server(vec![BUSY, BUSY, FINE]).await;
    assert_eq!(status(&Access::anonymous(), &url).await.unwrap(), 200);
    assert_eq!(heads.await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_post_is_sent_once() {
    let (url, _heads) = server(vec![BUSY, FINE]).await;
    let server = Access::anonymous().server(&url).unwrap();
    let request = Request { method: http::Method::POST, ..Request::get(url) };
    assert_eq!(server.send(request).await.unwrap().status(), 503);
}

#[tokio::test]
async fn a_server_gone_in_mid_body_is_an_error() {
    let (url, _heads) = server(vec![SHORT]).await;
    let server = Access::anonymous().server(&url).unwrap();
    let body = server.send(Request::get(url)).await.unwrap().stream();
    let read: Result<Vec<_>, _> = body.try_collect().await;
    assert!(matches!(read, Err(AccessError::Unreachable { .. })), "{read:?}");
}

#[tokio::test]
async fn a_token_goes_to_its_server_over_tls_alone() {
    let (folder, root) = (tempfile::tempdir().unwrap(), Root::new());
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    fs::write(folder.path().join("token"), "t0ken\n").unwrap();
    fs::write(folder.path().join("root.pem"), root.pem()).unwrap();
    let wanted =
        "<Location />\nRequire expr %{HTTP:Authorization} == 'Bearer t0ken'\n</Location>\n";
    let served = Apache::start(&Settings { tls: Some(&root), more: wanted, ..Settings::default() });
    let url: Url = format!("{}/users", served.address).parse().unwrap();
    let lines = "authentication = \"bearer\"\ntoken = { file = \"token\" }\nca = \"root.pem\"";
    assert_eq!(status(&access(folder.path(), lines), &url).await.unwrap(), 200, "{}", served.log());
    assert_eq!(status(&access(folder.path(), "ca = \"root.pem\""), &url).await.unwrap(), 403);
    let clear: Url = "http://localhost:9/".parse().unwrap();
    let error = status(&access(folder.path(), lines), &clear).await.unwrap_err();
    assert!(matches!(error, AccessError::Cleartext { .. }), "{error}");
    assert!(!format!("{error:?} {error}").contains("t0ken"));
}

#[tokio::test]
async fn a_client_certificate_is_shown_and_its_absence_said() {
    let (folder, root, clients) = (tempfile::tempdir().unwrap(), Root::new(), Root::new());
    clients.issue_client(folder.path(), "Pfx-pass-1");
    fs::write(folder.path().join("root.pem"), root.pem()).unwrap();
    fs::write(folder.path().join("password"), "Pfx-pass-1").unwrap();
    let served = Apache::start(&Settings {
        tls: Some(&root),
        client_certificates: Some(&clients),
        ..Settings::default()
    });
    let url: Url = format!("{}/users", served.address).parse().unwrap();
    let with = "ca = \"root.pem\"\nclient_certificate = { file = \"client.pfx\", password = { file = \"password\" } }";
    assert_eq!(status(&access(folder.path(), with), &url).await.unwrap(), 200, "{}", served.log());
    let error = status(&access(folder.path(), "ca = \"root.pem\""), &url).await.unwrap_err();
    assert!(error.to_string().contains("client_certificate in the access file"), "{error}");
    fs::write(folder.path().join("password"), "hunter2").unwrap();
    let error = status(&access(folder.path(), with), &url).await.unwrap_err();
    assert!(matches!(error, AccessError::Certificate { .. }), "{error}");
    assert!(
        error.to_string().contains("client.pfx") && !error.to_string().contains("hunter2"),
        "{error}"
    );
}
