//! A scope as a session policy of S3.

use serde_json::{Value, json};

use super::scope::{Area, Scope};

/// A session policy may have so many characters (AWS, AssumeRole). What would make it longer is named by
/// what it has in common.
pub(super) const POLICY_CHARS_MAX: usize = 2048;

/// The policy that allows the scope and nothing else.
pub fn policy(scope: &Scope) -> Value {
    let resources = |areas: &[Area]| areas.iter().map(resource).collect::<Vec<_>>();
    let buckets = scope.buckets().into_iter().map(|bucket| arn(&literal(bucket))).collect();
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
    json!({ "Version": "2012-10-17", "Statement": statements })
}

fn resource(area: &Area) -> String {
    arn(&format!("{}/{}*", literal(&area.bucket), literal(&area.prefix)))
}

fn arn(name: &str) -> String {
    format!("arn:aws:s3:::{name}")
}

/// A name that means itself. Policies take `*` and `?` for any characters and `${…}` for a variable, so a
/// medium with such a name would widen its own policy.
fn literal(name: &str) -> String {
    let mut literal = String::with_capacity(name.len());
    for character in name.chars() {
        match character {
            '*' | '?' | '$' => literal.extend(['$', '{', character, '}']),
            other => literal.push(other),
        }
    }
    literal
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
        let policy = policy(&scope);
        let statements = policy["Statement"].as_array().unwrap();
        assert_eq!(statements.len(), 3);
        assert_eq!(statements[0]["Resource"], json!(["arn:aws:s3:::media", "arn:aws:s3:::packs"]));
        let writes = json!(["arn:aws:s3:::packs/builds/1/*", "arn:aws:s3:::media/w11*"]);
        assert_eq!(statements[1]["Resource"], writes);
        assert_eq!(statements[2]["Action"], json!(["s3:GetObject"]));
        assert!(policy.to_string().len() < POLICY_CHARS_MAX);
        assert!(Scope::default().is_empty());
    }

    #[test]
    fn no_name_widens_a_policy() {
        let names = ["*", "w?.wim", "${aws:username}/w", "5$"];
        let writes = names.map(|name| area("media", name)).to_vec();
        let policy = policy(&Scope { reads: Vec::new(), writes });
        let expected = [
            "arn:aws:s3:::media/${*}*",
            "arn:aws:s3:::media/w${?}.wim*",
            "arn:aws:s3:::media/${$}{aws:username}/w*",
            "arn:aws:s3:::media/5${$}*",
        ];
        assert_eq!(policy["Statement"][1]["Resource"], json!(expected));
    }
}
