//! Masking of variables' values in what is shown: the wizard logs the prestart command with them.

use prestage_media::Secret;

const MASK: &str = "********";
/// A value of fewer characters is masked only where it stands alone: it occurs everywhere by chance.
const FEWEST_CHARACTERS: usize = 3;

/// `text` with every occurrence of a value masked, longest values first.
pub fn mask<'a>(text: &str, values: impl Iterator<Item = &'a Secret>) -> String {
    let mut values: Vec<&str> = values.map(Secret::expose).filter(|v| !v.is_empty()).collect();
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    let mut masked = text.to_owned();
    for value in values {
        masked = match value.chars().count() {
            few if few < FEWEST_CHARACTERS => mask_words(&masked, value),
            _ => masked.replace(value, MASK),
        };
    }
    masked
}

fn mask_words(text: &str, value: &str) -> String {
    let is_boundary = |c: char| c.is_whitespace() || "\"'=:,;/".contains(c);
    let words = text.split_inclusive(is_boundary).map(|word| {
        let bare = word.trim_end_matches(is_boundary);
        if bare == value { word.replacen(bare, MASK, 1) } else { word.to_owned() }
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_masked_wherever_they_stand() {
        let values = [Secret::from("hunter22"), Secret::from("hunter2"), Secret::from("7")];
        let masked = |text| mask(text, values.iter());
        assert_eq!(masked("set.cmd /p:hunter22 /q:hunter2"), "set.cmd /p:******** /q:********");
        assert_eq!(masked("run7.cmd 7 /n=7"), "run7.cmd ******** /n=********");
        assert_eq!(mask("run.cmd", [Secret::from("")].iter()), "run.cmd");
    }
}
