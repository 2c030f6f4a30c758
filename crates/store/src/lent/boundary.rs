//! A scope as a credential access boundary of Google.

use serde_json::{Value, json};

use super::{
    LendError,
    scope::{Area, Scope},
};

/// A boundary may have so many characters (Google, Security Token Service).
pub(super) const BOUNDARY_CHARS_MAX: usize = 2048;

const READ: &str = "inRole:roles/storage.objectViewer";
const WRITE: &str = "inRole:roles/storage.objectUser";
/// Sees names, no more: without it the store says 'forbidden' of what is not there.
const LIST: &str = "inRole:roles/storage.legacyBucketReader";

/// The boundary that allows the scope and nothing else: at most three rules for each bucket, and ten may be.
///
/// # Errors
/// When it would have too many characters.
pub fn boundary(scope: &Scope) -> Result<Value, LendError> {
    let mut rules = Vec::new();
    for bucket in scope.buckets() {
        rules.push(json!({
            "availableResource": resource(bucket),
            "availablePermissions": [LIST],
        }));
        for (areas, permissions) in [(&scope.reads, READ), (&scope.writes, WRITE)] {
            let areas = areas.iter().filter(|area| area.bucket == bucket);
            let each: Vec<String> = areas.map(begins).collect();
            if !each.is_empty() {
                rules.push(json!({
                    "availableResource": resource(bucket),
                    "availablePermissions": [permissions],
                    "availabilityCondition": { "expression": each.join(" || ") },
                }));
            }
        }
    }
    let boundary = json!({ "accessBoundary": { "accessBoundaryRules": rules } });
    match boundary.to_string().len() {
        ..=BOUNDARY_CHARS_MAX => Ok(boundary),
        characters => Err(LendError::Boundary(characters)),
    }
}

fn resource(bucket: &str) -> String {
    format!("//storage.googleapis.com/projects/_/buckets/{bucket}")
}

fn begins(area: &Area) -> String {
    let Area { bucket, prefix, .. } = area;
    let name = format!("projects/_/buckets/{bucket}/objects/{prefix}");
    format!("resource.name.startsWith({})", literal(&name))
}

/// A text of Google's expressions (CEL) that means itself.
fn literal(text: &str) -> String {
    let mut literal = String::from("'");
    for character in text.chars() {
        if matches!(character, '\'' | '\\') {
            literal.push('\\');
        }
        literal.push(character);
    }
    literal.push('\'');
    literal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::Cloud;

    fn area(bucket: &str, prefix: &str) -> Area {
        Area { cloud: Cloud::Google, bucket: bucket.into(), prefix: prefix.into() }
    }

    #[test]
    fn a_boundary_allows_what_is_named() {
        let scope = Scope {
            reads: vec![area("packs", "packs/")],
            writes: vec![area("packs", "builds/1/"), area("media", "w11"), area("media", "m/")],
        };
        let rule = |bucket: &str, role: &str, expression: &str| {
            json!({
                "availableResource": format!("//storage.googleapis.com/projects/_/buckets/{bucket}"),
                "availablePermissions": [format!("inRole:roles/storage.{role}")],
                "availabilityCondition": { "expression": expression },
            })
        };
        let lists = |bucket: &str| {
            json!({
                "availableResource": format!("//storage.googleapis.com/projects/_/buckets/{bucket}"),
                "availablePermissions": ["inRole:roles/storage.legacyBucketReader"],
            })
        };
        let media = "resource.name.startsWith('projects/_/buckets/media/objects/w11') || \
                     resource.name.startsWith('projects/_/buckets/media/objects/m/')";
        let packs = "resource.name.startsWith('projects/_/buckets/packs/objects/packs/')";
        let build = "resource.name.startsWith('projects/_/buckets/packs/objects/builds/1/')";
        let rules = [
            lists("media"),
            rule("media", "objectUser", media),
            lists("packs"),
            rule("packs", "objectViewer", packs),
            rule("packs", "objectUser", build),
        ];
        let expected = json!({ "accessBoundary": { "accessBoundaryRules": rules } });
        assert_eq!(boundary(&scope).unwrap(), expected);
    }

    #[test]
    fn no_name_ends_its_condition() {
        let writes = vec![area("media", r"x') || (true || '\")];
        let boundary = boundary(&Scope { reads: Vec::new(), writes }).unwrap();
        let rules = &boundary["accessBoundary"]["accessBoundaryRules"];
        let expected =
            r"resource.name.startsWith('projects/_/buckets/media/objects/x\') || (true || \'\\')";
        assert_eq!(rules[1]["availabilityCondition"]["expression"], expected);
    }
}
