//! Tests of how Azure's answers are judged, as Azure documents them: the server of the other tests
//! doesn't copy from addresses.

use super::*;
use crate::StoreError;
use crate::compose::Source;
use crate::keys::ObjectKey;
use crate::location::ObjectUrl;
use crate::objects::Objects;
use crate::options::StoreOptions;

fn answer(status: u16, body: &str) -> Answer {
    Answer { status, body: body.into() }
}

fn step() -> Step {
    Step::new("copy part 0 of", "az://media/w.wim")
}

async fn part() -> Part {
    let key = "a2V5";
    let settings = [("AZURE_STORAGE_ACCOUNT_NAME", "acme"), ("AZURE_STORAGE_ACCOUNT_KEY", key)];
    let url = ObjectUrl::parse("az://packs").unwrap();
    let objects = Objects::open_with(&url, &StoreOptions::from_pairs(settings)).await.unwrap();
    let key = ObjectKey::new("k").unwrap();
    let source = Source { objects, key, offset: 0, if_match: None };
    Part { number: 0, dst_offset: 0, len: 1, source }
}

#[tokio::test]
async fn what_azure_does_not_copy_goes_another_way_and_the_rest_is_told_apart() {
    let part = part().await;
    let judge = |status, code: &str| {
        let body = format!("\u{feff}<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>");
        judge_copy(&answer(status, &body), &part, &step())
    };
    assert!(judge_copy(&answer(201, ""), &part, &step()).unwrap());
    assert!(!judge(501, "NotImplemented").unwrap());
    assert!(!judge(403, "CannotVerifyCopySource").unwrap());
    assert!(judge(403, "AuthorizationFailure").is_err());
    let missing = judge(404, "CannotVerifyCopySource").unwrap_err();
    assert!(matches!(missing, ComposeError::Store(StoreError::Missing { .. })), "{missing}");
    let changed = judge(412, "SourceConditionNotMet").unwrap_err();
    assert!(matches!(changed, ComposeError::Store(StoreError::Changed { .. })), "{changed}");
    let busy = judge(503, "ServerBusy").unwrap_err();
    assert!(busy.is_transient() && busy.to_string().contains("ServerBusy"), "{busy}");
    assert!(!judge(404, "ContainerNotFound").unwrap_err().is_transient());
    // Only 201 says that the block is there.
    assert!(judge_copy(&answer(200, ""), &part, &step()).is_err());
}

#[test]
fn the_uncommitted_blocks_are_read_and_those_of_others_do_no_harm() {
    let block = |name: &str| format!("<Block><Name>{name}</Name><Size>7</Size></Block>");
    let (ours, other) = (BASE64_STANDARD.encode("ours"), BASE64_STANDARD.encode([0xff, 0xfe]));
    let body = format!(
        "\u{feff}<?xml version=\"1.0\"?><BlockList><UncommittedBlocks>{}{}</UncommittedBlocks>\
         </BlockList>",
        block(&ours),
        block(&other)
    );
    let list = judge_list(&answer(200, &body), &step()).unwrap();
    assert_eq!(list, HashMap::from([("ours".to_owned(), 7)]));
    let none = "<BlockList><UncommittedBlocks /></BlockList>";
    assert!(judge_list(&answer(200, none), &step()).unwrap().is_empty());
    let gone = "<Error><Code>BlobNotFound</Code></Error>";
    assert!(judge_list(&answer(404, gone), &step()).unwrap().is_empty());
    let no_container = "<Error><Code>ContainerNotFound</Code></Error>";
    assert!(judge_list(&answer(404, no_container), &step()).is_err());
    assert!(judge_list(&answer(200, gone), &step()).is_err());
}
