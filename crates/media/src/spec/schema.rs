//! The JSON Schema of the media spec.

use schemars::schema_for;

use super::MediaSpec;

/// The JSON Schema (draft 2020-12) of a media spec, for editors and for `prestage schema`. TOML
/// and JSON specs have the same shape. It states shapes and limits; rules that join several keys
/// are checked by [`MediaSpec::parse`].
#[must_use]
pub fn json_schema() -> serde_json::Value {
    let mut schema = schema_for!(MediaSpec);
    schema.insert("title".to_owned(), "Prestage media spec".into());
    schema.to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_forbids_unknown_keys_and_states_limits() {
        let schema = json_schema();
        assert_eq!(schema["additionalProperties"], false);
        let media = &schema["$defs"]["MediaSettings"];
        assert_eq!(media["properties"]["created_by"]["maxLength"], 50);
        assert_eq!(media["additionalProperties"], false);
        let pattern = &schema["$defs"]["PackageId"]["pattern"];
        assert_eq!(pattern, "^[A-Za-z0-9]{3}[0-9A-Fa-f]{5}$");
        let required = schema["required"].as_array().unwrap();
        assert!(required.contains(&"task_sequence".into()) && !required.contains(&"output".into()));
    }
}
