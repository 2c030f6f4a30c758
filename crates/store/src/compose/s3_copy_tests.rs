//! Tests of the request's headers and of how answers are judged.

use super::*;
use crate::compose::Source;
use crate::keys::ObjectKey;
use crate::location::ObjectUrl;
use crate::objects::Objects;
use crate::options::StoreOptions;

const RESULT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<CopyPartResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
<LastModified>2026-11-22T00:00:00Z</LastModified><ETag>&quot;9b2cf5&quot;</ETag></CopyPartResult>"#;

async fn part(key: &str, if_match: Option<&str>) -> Part {
    let url = ObjectUrl::parse("s3://packs/pre fix").unwrap();
    let objects = Objects::open_with(&url, &StoreOptions::default()).await.unwrap();
    Part {
        number: 4,
        dst_offset: 0,
        len: 100,
        source: Source {
            objects,
            key: ObjectKey::new(key).unwrap(),
            offset: 10,
            if_match: if_match.map(str::to_owned),
        },
    }
}

fn request(part: &Part) -> CopyRequest<'_> {
    CopyRequest {
        bucket: "packs",
        path: part.source.objects.store_path(&part.source.key).unwrap(),
        part,
        upload: "id",
        dst: "s3://media/w.wim".into(),
    }
}

fn answer(status: u16, body: &str) -> Answer {
    Answer { status, body: body.into() }
}

#[tokio::test]
async fn the_headers_name_the_encoded_source_its_range_and_its_tag() {
    let part = part("a+b/ü%.pack", Some("\"tag\"")).await;
    let headers = request(&part).headers().unwrap();
    let values: Vec<_> = headers.iter().map(|(_, value)| value.to_str().unwrap()).collect();
    assert_eq!(values, ["/packs/pre%20fix/a%2Bb/%C3%BC%25.pack", "bytes=10-109", "\"tag\""]);
}

#[tokio::test]
async fn only_an_answer_with_a_tag_is_a_success() {
    let part = part("k", None).await;
    let request = request(&part);
    let tag = request.judge(&answer(200, RESULT)).unwrap();
    assert_eq!(tag, "\"9b2cf5\"");

    let error = |code: &str| format!("<Error><Code>{code}</Code><Message>why</Message></Error>");
    let late = request.judge(&answer(200, &error("InternalError"))).unwrap_err();
    assert!(late.is_transient(), "{late}");
    let denied = request.judge(&answer(403, &error("AccessDenied"))).unwrap_err();
    assert!(!denied.is_transient() && denied.to_string().contains("AccessDenied: why"));
    for body in
        ["", "not xml", "<CopyPartResult/>", "<CopyPartResult><ETag></ETag></CopyPartResult>"]
    {
        assert!(request.judge(&answer(200, body)).is_err(), "{body}");
    }
    assert!(request.judge(&answer(500, RESULT)).is_err());
}

#[tokio::test]
async fn what_is_gone_or_changed_is_told_apart() {
    let part = part("k", None).await;
    let request = request(&part);
    let judge = |status, code: &str| {
        let body = format!("<Error><Code>{code}</Code></Error>");
        request.judge(&answer(status, &body)).unwrap_err()
    };
    assert!(matches!(judge(404, "NoSuchUpload"), ComposeError::Gone { .. }));
    assert!(matches!(judge(404, "NoSuchKey"), ComposeError::Store(StoreError::Missing { .. })));
    assert!(matches!(
        judge(412, "PreconditionFailed"),
        ComposeError::Store(StoreError::Changed { .. })
    ));
}
