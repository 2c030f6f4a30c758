//! Command lines as the task sequence editor writes them.

/// The words of a command line; double quotes keep blanks together and are dropped.
pub(super) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quoted, mut started) = (String::new(), false, false);
    for c in line.chars() {
        match c {
            '"' => (quoted, started) = (!quoted, true),
            c if c.is_whitespace() && !quoted => {
                if started {
                    words.push(std::mem::take(&mut word));
                }
                started = false;
            }
            c => {
                word.push(c);
                started = true;
            }
        }
    }
    if started {
        words.push(word);
    }
    words
}

/// Name (lower case) and value of a switch, as `/image:PS100010,%OSDImageIndex%`.
pub(super) fn switch(word: &str) -> Option<(String, &str)> {
    let (name, value) = word.strip_prefix(['/', '-'])?.split_once(':')?;
    Some((name.to_ascii_lowercase(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_words_together() {
        let line =
            "OSDApplyOS.exe /image:PS100010,%I% \"/config:PS100011,my file.xml\" /x:\"\" \"\"";
        let words = words(line);
        assert_eq!(words[1..3], ["/image:PS100010,%I%", "/config:PS100011,my file.xml"]);
        assert_eq!(words.len(), 5);
        assert_eq!(switch(&words[2]), Some(("config".into(), "PS100011,my file.xml")));
        assert_eq!(switch("cmd"), None);
    }
}
