//! Which names a content may have: those a Windows volume can hold.

/// The longest path inside a content, in UTF-16 units (reference: the Windows extended path limit).
pub const MAX_PATH_UNITS: usize = 32_767;
/// The longest single name, in UTF-16 units.
const MAX_NAME_UNITS: usize = 255;

/// What is wrong with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameProblem {
    /// No characters.
    #[error("is empty")]
    Empty,
    /// `.` or `..`.
    #[error("leads out of its folder")]
    Traversal,
    /// `/` or `\` inside a name.
    #[error("holds a path separator")]
    Separator,
    /// NUL, another control character, or one of `<>:"|?*`.
    #[error("holds a character that Windows does not allow")]
    Character,
    /// Ends in a dot or a space.
    #[error("ends in a dot or a space, which Windows drops")]
    Trailing,
    /// `CON`, `NUL`, `COM1` and so on.
    #[error("is a Windows device")]
    Device,
    /// More than 255 UTF-16 units in a name, or 32767 in a path.
    #[error("is too long for Windows")]
    TooLong,
    /// Not valid UTF-8 on this machine.
    #[error("is not valid Unicode")]
    NotUnicode,
}

/// Checks one name.
pub fn check_name(name: &str) -> Result<(), NameProblem> {
    if name.is_empty() {
        return Err(NameProblem::Empty);
    }
    if name == "." || name == ".." {
        return Err(NameProblem::Traversal);
    }
    if name.contains(['/', '\\']) {
        return Err(NameProblem::Separator);
    }
    if name.chars().any(|c| c < ' ' || "<>:\"|?*".contains(c)) {
        return Err(NameProblem::Character);
    }
    if name.ends_with(['.', ' ']) {
        return Err(NameProblem::Trailing);
    }
    if is_device(name) {
        return Err(NameProblem::Device);
    }
    if name.encode_utf16().count() > MAX_NAME_UNITS {
        return Err(NameProblem::TooLong);
    }
    Ok(())
}

/// Checks a `/` separated path, and returns the part that is wrong with what is wrong.
pub fn check_path(path: &str) -> Result<(), (String, NameProblem)> {
    for name in path.split('/') {
        check_name(name).map_err(|problem| (name.to_owned(), problem))?;
    }
    if path.encode_utf16().count() > MAX_PATH_UNITS {
        return Err((path.to_owned(), NameProblem::TooLong));
    }
    Ok(())
}

/// Only the bare device names: with an extension they are ordinary files on current Windows.
fn is_device(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    match upper.as_str() {
        "CON" | "PRN" | "AUX" | "NUL" => true,
        _ => {
            upper.len() == 4
                && (upper.starts_with("COM") || upper.starts_with("LPT"))
                && upper.ends_with(|c: char| ('1'..='9').contains(&c))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_names_are_told_apart() {
        for (name, problem) in [
            ("", NameProblem::Empty),
            (".", NameProblem::Traversal),
            ("..", NameProblem::Traversal),
            ("a\\..\\b", NameProblem::Separator),
            ("a\0", NameProblem::Character),
            ("a:stream", NameProblem::Character),
            ("a.", NameProblem::Trailing),
            ("a ", NameProblem::Trailing),
            ("nul", NameProblem::Device),
            ("Com1", NameProblem::Device),
        ] {
            assert_eq!(check_name(name), Err(problem), "{name:?}");
        }
        assert_eq!(check_name(&"ä".repeat(256)), Err(NameProblem::TooLong));
        assert_eq!(check_name(&"ä".repeat(255)), Ok(()));
        for good in ["setup.exe", "...x", "Übersicht (1).txt", "😀", "com10", "nul.txt"] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn paths_may_be_long_but_not_endless() {
        let long = vec!["x".repeat(254); 128].join("/");
        assert_eq!(long.len(), 32_639);
        assert_eq!(check_path(&long), Ok(()));
        assert_eq!(
            check_path(&format!("{long}/{}", "y".repeat(128))),
            Err((format!("{long}/{}", "y".repeat(128)), NameProblem::TooLong))
        );
        assert_eq!(check_path("a/../b"), Err(("..".into(), NameProblem::Traversal)));
        assert_eq!(check_path("/a"), Err((String::new(), NameProblem::Empty)));
    }
}
