//! Which names an administrator's variables may have.

/// Names that the medium sets itself; a second value would win or lose by chance.
const SET_BY_THE_MEDIUM: [(&str, &str); 3] = [
    ("SMSTSMP", "media.management_points"),
    ("SMSTSLocationMPs", "media.management_points"),
    ("SMSTSAssignUsersMode", "security.user_device_affinity"),
];

/// Words in a name that say its value should not be in a file under version control.
const SECRET_WORDS: [&str; 5] = ["password", "passwd", "secret", "token", "apikey"];

/// What is wrong with a name, and what to do; `None` when it may be used.
pub(super) fn objection(name: &str) -> Option<(String, String)> {
    let mut characters = name.chars();
    let starts = characters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if !starts || !characters.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
        return Some((
            "this is not a variable name".to_owned(),
            "start with a letter or _ and go on with letters, digits, _ and -".to_owned(),
        ));
    }
    if name.len() >= 4 && name[..4].eq_ignore_ascii_case("_SMS") {
        return Some((
            "names that start with _SMS belong to Configuration Manager".to_owned(),
            "choose another name; what the medium needs of these it sets itself".to_owned(),
        ));
    }
    let (_, key) = SET_BY_THE_MEDIUM.iter().find(|(set, _)| set.eq_ignore_ascii_case(name))?;
    Some(("the medium sets this variable itself".to_owned(), format!("use {key} for it")))
}

/// Whether the name says that its value is a secret.
pub fn sounds_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_pass() {
        for name in ["OSDTimeZone", "_mine", "A-1", "x", "SMSTSPreferredAdvertID", "_SM"] {
            assert_eq!(objection(name), None, "{name}");
        }
    }

    #[test]
    fn malformed_reserved_and_taken_names_do_not() {
        for name in
            ["", "1a", "-a", "a b", "a=b", "ä", "_SMSTSMediaType", "_smsMediaGuid", "smstsmp"]
        {
            assert!(objection(name).is_some(), "{name}");
        }
    }

    #[test]
    fn secrets_are_told_by_their_names() {
        assert!(sounds_secret("OSDJoinPassword") && !sounds_secret("OSDTimeZone"));
    }
}
