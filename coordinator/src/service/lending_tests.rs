//! Tests of leases that can't be lent to.

use prestage_store::{
    ObjectUrl, StoreOptions,
    lent::{RoleLender, SasLender},
};

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

/// Lends in Azure, and in S3 where no token service is.
async fn lending(folder: &tempfile::TempDir) -> Lending {
    let options = StoreOptions::from_pairs([
        ("AZURE_STORAGE_ACCOUNT_NAME", "acme"),
        ("AZURE_STORAGE_ACCOUNT_KEY", "a2V5"),
        ("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "key"),
    ]);
    let lender = Lender {
        s3: Some(RoleLender::new("role", HOUR, &options).unwrap()),
        azure: Some(SasLender::new(HOUR, &options).unwrap()),
        google: None,
    };
    let objects = ObjectUrl::Local(folder.path().into());
    let objects = Objects::open_with(&objects, &options).await.unwrap();
    Lending::new(lender, options.shown(), objects, Duration::from_secs(60))
}

fn lease(task_id: &str, objects_url: &str) -> v1::Lease {
    let encode = v1::EncodeTask { pack_key: "ab00".into(), ..Default::default() };
    let task = v1::Task { objects_url: objects_url.into(), work: Some(Work::Encode(encode)) };
    let task = task.encode_to_vec().into();
    v1::Lease { task_id: task_id.into(), generation: 1, task, ..Default::default() }
}

fn leases() -> Vec<v1::Lease> {
    let long = format!("s3://packs/{}", "x".repeat(2048));
    vec![lease("azure", "az://packs"), lease("s3", "s3://packs"), lease("long", &long)]
}

#[tokio::test]
async fn a_lease_that_cannot_be_lent_to_holds_no_other_up() {
    let folder = tempfile::tempdir().unwrap();
    let lending = lending(&folder).await;
    let now = OffsetDateTime::now_utc();
    let out = lending.lend(leases(), &BTreeSet::new(), now).await;
    let names = |out: &HandedOut| -> Vec<(String, bool)> {
        let lent = |lease: &v1::Lease| (lease.task_id.clone(), lease.access.is_some());
        out.leases.iter().map(lent).collect()
    };
    assert_eq!(names(&out), [("azure".to_owned(), true)]);
    // Nothing will ever be lent to one of them: that is told, once and for all.
    let [hopeless] = &out.hopeless[..] else { panic!("{:?}", out.hopeless) };
    assert_eq!((hopeless.task_id.as_str(), hopeless.generation), ("long", 1));
    let Some(Outcome::Failure(failure)) = &hopeless.outcome else { panic!("{hopeless:?}") };
    assert_eq!(failure.retry(), Retry::Never);
    assert!(failure.what.contains("2048 are the most"), "{}", failure.what);
    // The worker keeps what it has, also when that can't be exchanged.
    let known = leases().iter().map(lease_id).collect();
    let out = lending.lend(leases(), &known, now + HOUR / 2).await;
    let expected = [("azure", true), ("s3", false), ("long", false)];
    assert_eq!(names(&out), expected.map(|(name, lent)| (name.to_owned(), lent)));
    assert!(out.hopeless.is_empty(), "a task that runs is not ended");
}

#[tokio::test]
async fn a_medium_that_no_policy_can_name_is_refused_beforehand() {
    let folder = tempfile::tempdir().unwrap();
    let lending = lending(&folder).await;
    let check = |output: &str| lending.check_output(output, true);
    assert!(check("s3://media/w11.swm").is_ok() && check("az://media/w*.swm").is_ok());
    assert!(matches!(check("s3://media/w*.swm"), Err(LendError::Pattern(_))));
    let long = format!("s3://media/{}/w11.swm", "x".repeat(2000));
    assert!(matches!(check(&long), Err(LendError::Policy(_))));
}

#[tokio::test]
async fn what_was_lent_is_exchanged_at_half_its_life() {
    let folder = tempfile::tempdir().unwrap();
    let lending = lending(&folder).await;
    let now = OffsetDateTime::now_utc();
    let lent = async |after| {
        let known = BTreeSet::new();
        let out = lending.lend(vec![lease("azure", "az://packs")], &known, now + after).await;
        out.leases[0].access.is_some()
    };
    assert!(lent(Duration::ZERO).await);
    assert!(!lent(HOUR / 2 - Duration::from_secs(2)).await);
    assert!(lent(HOUR / 2).await);
}
