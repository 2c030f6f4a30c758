//! What a media password must be, and how to make a good one.
//!
//! The key of `Variables.dat` is one unsalted SHA-1 of the password (see [`crate::variables`]), so
//! graphics cards try billions of passwords a second, and what they find opens the media
//! certificate. Length is the only defence: the policy refuses what is plainly weak and warns below
//! 25 characters; the generator gives 32.

use rand::CryptoRng;
use zeroize::Zeroizing;

use prestage_secret::Secret;

/// The fewest characters that are accepted.
pub const FEWEST_CHARACTERS: usize = 8;
/// How many of lower case, upper case, digits and symbols must occur.
pub const FEWEST_CLASSES: usize = 3;
/// Below this many characters a password draws a warning.
pub const RECOMMENDED_CHARACTERS: usize = 25;
/// The length of a generated password, in characters of 6 bits each.
pub const GENERATED_CHARACTERS: usize = 32;

// 64 characters, so that six random bits choose one without bias. None that look alike in Windows
// PE's font (I, O, l, o, 0, 1), and no symbol that a command line or keyboard layout mangles.
const ALPHABET: &[u8; 64] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789-_.+=:,@";

/// Why a password is refused. Nothing of it is in the message but its length.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    /// Too short.
    #[error(
        "the media password has {characters} characters, and at least {FEWEST_CHARACTERS} are demanded: use {RECOMMENDED_CHARACTERS} or more, best a generated one"
    )]
    TooShort {
        /// Its length.
        characters: usize,
    },
    /// Too uniform.
    #[error(
        "the media password has characters of {classes} of the four classes (lower case, upper case, digits, symbols), and at least {FEWEST_CLASSES} are demanded: add what is missing, or use a generated password"
    )]
    TooUniform {
        /// How many classes occur.
        classes: usize,
    },
    /// Cannot be typed.
    #[error(
        "the media password has a control character (a tab, a line end), which nobody can type in Windows PE: look for a stray line in its file"
    )]
    Untypable,
}

/// An accepted password that could be better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the media password has {characters} characters; Configuration Manager derives its key with one SHA-1, so under {RECOMMENDED_CHARACTERS} it can be found by trying: use a longer one, best a generated one"
)]
pub struct ShortPassword {
    /// Its length.
    pub characters: usize,
}

/// Checks a password against the policy. `Ok(Some(…))` is a warning.
///
/// # Errors
/// [`WeakPassword`] when the build must be refused.
pub fn assess(password: &Secret) -> Result<Option<ShortPassword>, WeakPassword> {
    let text = password.expose();
    if text.chars().any(char::is_control) {
        return Err(WeakPassword::Untypable);
    }
    let characters = text.chars().count();
    if characters < FEWEST_CHARACTERS {
        return Err(WeakPassword::TooShort { characters });
    }
    let classes = character_classes(text);
    if classes < FEWEST_CLASSES {
        return Err(WeakPassword::TooUniform { classes });
    }
    Ok((characters < RECOMMENDED_CHARACTERS).then_some(ShortPassword { characters }))
}

fn character_classes(text: &str) -> usize {
    let classes: [fn(char) -> bool; 4] =
        [char::is_lowercase, char::is_uppercase, |c| c.is_ascii_digit(), |c| !c.is_alphanumeric()];
    classes.iter().filter(|class| text.chars().any(**class)).count()
}

/// A password of [`GENERATED_CHARACTERS`] characters (192 bits) with all four classes.
#[must_use]
pub fn generate(random: &mut impl CryptoRng) -> Secret {
    loop {
        let mut bytes = Zeroizing::new([0_u8; GENERATED_CHARACTERS]);
        random.fill_bytes(bytes.as_mut_slice());
        let text: String =
            bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 63)])).collect();
        let password = Secret::new(text);
        // Two in a hundred lack a class; drawing again keeps the rest uniform.
        if character_classes(password.expose()) == 4 {
            return password;
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn the_policy_refuses_short_uniform_and_untypable() {
        let assess = |text: &str| assess(&Secret::from(text));
        assert_eq!(assess("Ab1!"), Err(WeakPassword::TooShort { characters: 4 }));
        assert_eq!(assess("abcdefgh12345678"), Err(WeakPassword::TooUniform { classes: 2 }));
        assert_eq!(assess("Password1\tx"), Err(WeakPassword::Untypable));
        assert_eq!(assess("Password1"), Ok(Some(ShortPassword { characters: 9 })));
        assert_eq!(assess("Password1-Password1-Password1"), Ok(None));
    }

    #[test]
    fn generated_passwords_pass_without_a_warning() {
        let mut random = StdRng::seed_from_u64(7);
        for _ in 0..200 {
            let password = generate(&mut random);
            assert_eq!(assess(&password), Ok(None));
            assert_eq!(password.expose().len(), GENERATED_CHARACTERS);
        }
    }

    #[test]
    fn the_same_random_numbers_give_the_same_password() {
        let draw = || generate(&mut StdRng::seed_from_u64(11));
        assert!(draw() == draw());
        assert!(draw() != generate(&mut StdRng::seed_from_u64(12)));
    }

    #[test]
    fn the_alphabet_has_64_different_characters() {
        let different: std::collections::BTreeSet<_> = ALPHABET.iter().collect();
        assert_eq!(different.len(), 64);
    }
}
