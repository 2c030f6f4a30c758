//! The shapes of identifiers, and where content goes on the medium by them.

/// Whether `text` is a package ID: a three character site code and five hexadecimal digits.
pub fn is_package_id(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 8
        && bytes[..3].iter().all(u8::is_ascii_alphanumeric)
        && bytes[3..].iter().all(u8::is_ascii_hexdigit)
}

/// The application model name (`ScopeId_…/Application_…`) in `text`, without the revision that a
/// `CI_UniqueID` adds as a third part; `None` if `text` is not one.
pub fn application_model_name(text: &str) -> Option<String> {
    let mut parts = text.trim().split('/');
    let (scope, application) = (parts.next()?, parts.next()?);
    let named = |part: &str, prefix: &str| {
        part.len() > prefix.len()
            && part.get(..prefix.len()).is_some_and(|p| p.eq_ignore_ascii_case(prefix))
    };
    let revision = parts.next().is_none_or(|r| r.chars().all(|c| c.is_ascii_digit()));
    let whole = named(scope, "ScopeId_") && named(application, "Application_");
    (whole && revision && parts.next().is_none()).then(|| format!("{scope}/{application}"))
}

/// A content ID cut into what stays (`PS100012`, `Content_<guid>`) and its version, if it has one.
pub fn split_content_id(content_id: &str) -> (&str, Option<u32>) {
    match content_id.rsplit_once('.') {
        Some((stem, version)) => match version.parse() {
            Ok(version) => (stem, Some(version)),
            Err(_) => (content_id, None),
        },
        None => (content_id, None),
    }
}

/// The folder under `\SMS\PKG` for a content: the package ID, or `Content_<guid>` without its
/// `.<n>` for a deployment type.
///
/// Unverified for applications (reference: open question 1): the client's resolver logs the name
/// without the suffix beside the version, so that is taken. One real sample settles it here.
pub fn media_folder(content_id: &str) -> String {
    split_content_id(content_id).0.to_owned()
}

/// Whether `text` may name a content or package inside a content library: no separators, nothing
/// that leads out of the folder.
pub fn is_library_key(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 200
        && !text.starts_with('.')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-{}".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_told_apart() {
        assert!(is_package_id("PS100012") && is_package_id("abc0FFAA"));
        assert!(
            !is_package_id("PS10001") && !is_package_id("PS1000ZZ") && !is_package_id("PS1é0012")
        );
        let model = "ScopeId_AB/Application_CD";
        assert_eq!(application_model_name(model).as_deref(), Some(model));
        assert_eq!(application_model_name(" ScopeId_AB/Application_CD/7").as_deref(), Some(model));
        assert_eq!(application_model_name("ScopeId_AB/DeploymentType_CD"), None);
        assert_eq!(application_model_name("ScopeId_AB/Application_CD/x"), None);
    }

    #[test]
    fn content_ids_are_cut() {
        assert_eq!(split_content_id("PS100012.3"), ("PS100012", Some(3)));
        assert_eq!(split_content_id("Content_ab-cd"), ("Content_ab-cd", None));
        assert_eq!(media_folder("Content_ab-cd.7"), "Content_ab-cd");
        assert!(is_library_key("Content_ab-cd.7"));
        assert!(!is_library_key("../x") && !is_library_key("a/b") && !is_library_key(""));
    }
}
