//! `Variables.dat` as it lies on a medium: what opens is written and read again the same.

use prestage_media::{
    Secret,
    variables::{Algorithm, decode, encode},
};

pub(super) fn check(input: &[u8]) {
    let password = Secret::from("right");
    let _ = decode(input, Some(&password));
    let Ok(variables) = decode(input, None) else {
        return;
    };
    // Reading takes characters that XML does not have; writing refuses them.
    for algorithm in [Algorithm::Aes128, Algorithm::TripleDes] {
        if let Ok(file) = encode(&variables, algorithm, Some(&password)) {
            let again = decode(&file, Some(&password));
            assert!(again.is_ok_and(|again| again == variables), "written and read again");
        }
    }
}
