//! What may be read and written.

use std::collections::BTreeSet;

use crate::location::{Cloud, ObjectUrl};

/// Objects of a bucket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Area {
    /// Who keeps the bucket.
    pub cloud: Cloud,
    /// The bucket.
    pub bucket: String,
    /// The beginning of their keys; in Azure, which lends single objects, the key of one.
    pub prefix: String,
}

impl Area {
    /// The objects whose addresses begin with that of `url`, in Azure the one at `url`; `None` for what is in
    /// no bucket.
    pub fn at(url: &ObjectUrl) -> Option<Self> {
        match url.clone() {
            ObjectUrl::Bucket { cloud, bucket, key } => Some(Self { cloud, bucket, prefix: key }),
            ObjectUrl::Local(_) => None,
        }
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

    /// What of it is in a cloud.
    pub fn within(&self, cloud: Cloud) -> Self {
        let within = |areas: &[Area]| {
            areas.iter().filter(|area| area.cloud == cloud).cloned().collect::<Vec<_>>()
        };
        Self { reads: within(&self.reads), writes: within(&self.writes) }
    }

    /// The buckets that it is in.
    pub fn buckets(&self) -> BTreeSet<&str> {
        self.reads.iter().chain(&self.writes).map(|area| area.bucket.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_buckets_have_areas() {
        let at = |url: &str| Area::at(&ObjectUrl::parse(url).unwrap());
        let area = |cloud| Area { cloud, bucket: "packs".into(), prefix: "a b/c".into() };
        assert_eq!(at("s3://packs/a b/c"), Some(area(Cloud::S3)));
        assert_eq!(at("az://packs/a b/c"), Some(area(Cloud::Azure)));
        assert_eq!(at("/packs/a"), None);
    }

    #[test]
    fn a_scope_is_taken_apart_by_clouds() {
        let area = |cloud, bucket: &str| Area { cloud, bucket: bucket.into(), prefix: "x".into() };
        let (s3, azure) = (area(Cloud::S3, "packs"), area(Cloud::Azure, "media"));
        let scope = Scope { reads: vec![s3.clone()], writes: vec![azure.clone(), s3.clone()] };
        assert_eq!(scope.buckets(), ["media", "packs"].into());
        let of_s3 = Scope { reads: vec![s3.clone()], writes: vec![s3] };
        assert_eq!(scope.within(Cloud::S3), of_s3);
        assert_eq!(scope.within(Cloud::Azure), Scope { reads: vec![], writes: vec![azure] });
        assert!(scope.within(Cloud::Google).is_empty());
    }
}
