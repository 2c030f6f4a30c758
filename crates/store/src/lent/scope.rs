//! What may be read and written, as a policy.

use serde_json::{Value, json};

use crate::location::{Cloud, ObjectUrl};

/// A session policy may have so many characters (AWS, AssumeRole). What would make it longer is named by
/// what it has in common.
pub const POLICY_CHARS_MAX: usize = 2048;

/// Objects of a bucket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Area {
    /// The bucket.
    pub bucket: String,
    /// The beginning of their keys.
    pub prefix: String,
}

impl Area {
    /// All objects whose addresses begin with that of `url`; `None` for what is not in S3.
    pub fn below(url: &ObjectUrl) -> Option<Self> {
        match url {
            ObjectUrl::Bucket { cloud: Cloud::S3, bucket, key } => {
                Some(Self { bucket: bucket.clone(), prefix: key.clone() })
            }
            _ => None,
        }
    }

    fn resource(&self) -> String {
        format!("arn:aws:s3:::{}/{}*", self.bucket, self.prefix)
    }
}

/// What a task may touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// What it may read.
    pub reads: Vec<Area>,
    /// What it may read, write and remove.
    pub writes: Vec<Area>,
}

impl Scope {
    /// Whether nothing of it is in a bucket.
    pub fn is_empty(&self) -> bool {
        self.reads.is_empty() && self.writes.is_empty()
    }

    /// The policy that allows it and nothing else.
    pub fn policy(&self) -> Value {
        let resources = |areas: &[Area]| areas.iter().map(Area::resource).collect::<Vec<_>>();
        let mut buckets: Vec<String> = self.reads.iter().chain(&self.writes).map(bucket).collect();
        buckets.sort();
        buckets.dedup();
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
                resources(&self.writes),
            ),
        ];
        if !self.reads.is_empty() {
            statements.push(statement(&["s3:GetObject"], resources(&self.reads)));
        }
        statements.retain(|statement| statement["Resource"] != json!([]));
        json!({ "Version": "2012-10-17", "Statement": statements })
    }
}

fn bucket(area: &Area) -> String {
    format!("arn:aws:s3:::{}", area.bucket)
}

fn statement(actions: &[&str], resources: Vec<String>) -> Value {
    json!({ "Effect": "Allow", "Action": actions, "Resource": resources })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(bucket: &str, prefix: &str) -> Area {
        Area { bucket: bucket.into(), prefix: prefix.into() }
    }

    #[test]
    fn only_buckets_of_s3_have_areas() {
        let below = |url: &str| Area::below(&ObjectUrl::parse(url).unwrap());
        assert_eq!(below("s3://packs/a b/c"), Some(area("packs", "a b/c")));
        assert_eq!(below("az://packs/a"), None);
        assert_eq!(below("/packs/a"), None);
    }

    #[test]
    fn a_policy_allows_what_is_named_and_fits() {
        let scope = Scope {
            reads: vec![area("packs", "packs/")],
            writes: vec![area("packs", "builds/1/"), area("media", "w11")],
        };
        let policy = scope.policy();
        let statements = policy["Statement"].as_array().unwrap();
        assert_eq!(statements.len(), 3);
        assert_eq!(statements[0]["Resource"], json!(["arn:aws:s3:::media", "arn:aws:s3:::packs"]));
        let writes = json!(["arn:aws:s3:::packs/builds/1/*", "arn:aws:s3:::media/w11*"]);
        assert_eq!(statements[1]["Resource"], writes);
        assert_eq!(statements[2]["Action"], json!(["s3:GetObject"]));
        assert!(policy.to_string().len() < POLICY_CHARS_MAX);
        assert!(Scope::default().is_empty());
    }
}
