//! A scope as a session policy of S3.

use serde_json::{Value, json};

use super::{
    LendError,
    scope::{Area, Scope},
};

/// A session policy may have so many characters (AWS, AssumeRole). What would make it longer is named by
/// what it has in common.
pub(super) const POLICY_CHARS_MAX: usize = 2048;

/// The policy that allows the scope and nothing else.
///
/// # Errors
/// Policies take `*` and `?` for any characters and `${…}` for a variable. AWS knows ways to write these as they
/// are, others who speak S3 don't: a name that has them would be lent nothing, or more than itself.
pub fn policy(scope: &Scope) -> Result<Value, LendError> {
    let mut names = scope.reads.iter().chain(&scope.writes).map(|area| &area.prefix);
    if let Some(pattern) = names.find(|name| is_pattern(name)) {
        return Err(LendError::Pattern(pattern.clone()));
    }
    let resources = |areas: &[Area]| areas.iter().map(resource).collect::<Vec<_>>();
    let buckets = scope.buckets().into_iter().map(arn).collect();
    let mut statements = vec![
        // Without it the store says 'forbidden' of what is not there. Names are shown, no more.
        statement(&["s3:ListBucket"], buckets),
        statement(
            &[
                "s3:GetObject",
                "s3:PutObject",
                "s3:DeleteObject",
                "s3:AbortMultipartUpload",
                "s3:ListMultipartUploadParts",
            ],
            resources(&scope.writes),
        ),
    ];
    if !scope.reads.is_empty() {
        statements.push(statement(&["s3:GetObject"], resources(&scope.reads)));
    }
    statements.retain(|statement| statement["Resource"] != json!([]));
    let policy = json!({ "Version": "2012-10-17", "Statement": statements });
    match policy.to_string().len() {
        ..=POLICY_CHARS_MAX => Ok(policy),
        characters => Err(LendError::Policy(characters)),
    }
}

fn resource(area: &Area) -> String {
    arn(&format!("{}/{}*", area.bucket, area.prefix))
}

fn arn(name: &str) -> String {
    format!("arn:aws:s3:::{name}")
}

fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?']) || name.contains("${")
}

fn statement(actions: &[&str], resources: Vec<String>) -> Value {
    json!({ "Effect": "Allow", "Action": actions, "Resource": resources })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::Cloud;

    fn area(bucket: &str, prefix: &str) -> Area {
        Area { cloud: Cloud::S3, bucket: bucket.into(), prefix: prefix.into() }
    }

    #[test]
    fn a_policy_allows_what_is_named_and_fits() {
        let scope = Scope {
            reads: vec![area("packs", "packs/")],
            writes: vec![area("packs", "builds/1/"), area("media", "w11")],
        };
        let policy = policy(&scope).unwrap();
        let statements = policy["Statement"].as_array().unwrap();
        assert_eq!(statements.len(), 3);
        assert_eq!(statements[0]["Resource"], json!(["arn:aws:s3:::media", "arn:aws:s3:::packs"]));
        let writes = json!(["arn:aws:s3:::packs/builds/1/*", "arn:aws:s3:::media/w11*"]);
        assert_eq!(statements[1]["Resource"], writes);
        assert_eq!(statements[2]["Action"], json!(["s3:GetObject"]));
        assert!(Scope::default().is_empty());
    }

    #[test]
    fn no_name_widens_a_policy() {
        let policy_of =
            |name: &str| policy(&Scope { reads: Vec::new(), writes: vec![area("media", name)] });
        for name in ["*", "w?.wim", "${aws:username}/w"] {
            let refused = policy_of(name).unwrap_err();
            assert!(matches!(&refused, LendError::Pattern(said) if said == name), "{refused}");
            assert!(refused.is_final());
        }
        assert!(policy_of("5$/{w}.wim").is_ok());
        let long = policy_of(&"x".repeat(POLICY_CHARS_MAX)).unwrap_err();
        assert!(matches!(long, LendError::Policy(_)) && long.is_final());
    }
}
