//! The XML inside: `MediaVarList` with one `var` for each variable
//! (reference: media variables, plaintext).

use quick_xml::Reader;
use quick_xml::escape::{escape, resolve_predefined_entity};
use quick_xml::events::{BytesRef, BytesStart, Event};
use zeroize::Zeroizing;

use super::{MediaVariables, VariablesError};
use crate::unverified::{VALUES_AS_CDATA, VARIABLES_XML_VERSION};
use prestage_secret::Secret;

/// The text, without a byte order mark.
pub(super) fn write(variables: &MediaVariables) -> Result<Zeroizing<String>, VariablesError> {
    let mut text = Zeroizing::new(format!(
        "<?xml version=\"1.0\" ?><MediaVarList Version=\"{VARIABLES_XML_VERSION}\">"
    ));
    for (name, value) in variables.iter() {
        if let Some(character) = value.expose().chars().find(|c| !is_xml_character(*c)) {
            let character = u32::from(character);
            return Err(VariablesError::Character { name: name.to_owned(), character });
        }
        text.push_str("<var name=\"");
        text.push_str(&escape(name));
        text.push_str("\">");
        push_value(&mut text, value.expose());
        text.push_str("</var>");
    }
    text.push_str("</MediaVarList>");
    Ok(text)
}

fn push_value(text: &mut String, value: &str) {
    if !VALUES_AS_CDATA {
        text.push_str(&Zeroizing::new(escape(value).into_owned()));
        return;
    }
    text.push_str("<![CDATA[");
    let mut rest = value;
    // Two things cannot stand in CDATA: its own end, and a carriage return, which every XML
    // reader turns into a line feed. Each is carried by stepping out for a moment.
    while let Some(at) = rest.find(['\r', ']']) {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        rest = if let Some(after) = from.strip_prefix('\r') {
            text.push_str("]]>&#13;<![CDATA[");
            after
        } else if let Some(after) = from.strip_prefix("]]>") {
            text.push_str("]]]]><![CDATA[>");
            after
        } else {
            text.push(']');
            &from[1..]
        };
    }
    text.push_str(rest);
    text.push_str("]]>");
}

/// XML 1.0, production 2.
const fn is_xml_character(character: char) -> bool {
    matches!(character,
        '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}'
        | '\u{10000}'..='\u{10FFFF}')
}

/// The variables of the text: every `var` with a `name`, wherever it stands, its value being all
/// text in it.
pub(super) fn read(text: &str) -> Result<MediaVariables, VariablesError> {
    let mut reader = Reader::from_str(text);
    let mut variables = MediaVariables::new();
    let mut open: Option<(String, Zeroizing<String>)> = None;
    let mut depth = 0_usize;
    loop {
        match reader.read_event().map_err(|error| broken(error.to_string()))? {
            Event::Start(tag) => {
                depth += 1;
                if tag.name().as_ref() == "var" {
                    open = Some((variable_name(&tag)?, Zeroizing::new(String::new())));
                }
            }
            Event::Empty(tag) if tag.name().as_ref() == "var" => {
                variables.set(&variable_name(&tag)?, Secret::from(""));
            }
            Event::End(tag) => {
                depth = depth.saturating_sub(1);
                if tag.name().as_ref() == "var"
                    && let Some((name, value)) = open.take()
                {
                    variables.set(&name, Secret::new(value.trim_end_matches('\0').to_owned()));
                }
            }
            Event::Text(part) => append(open.as_mut(), &part.xml10_content()),
            Event::CData(part) => append(open.as_mut(), &part.xml10_content()),
            Event::GeneralRef(part) => append(open.as_mut(), &referenced(&part)?),
            Event::Eof if depth == 0 => return Ok(variables),
            Event::Eof => return Err(broken("it ends inside an element".to_owned())),
            _ => {}
        }
    }
}

fn append(open: Option<&mut (String, Zeroizing<String>)>, part: &str) {
    if let Some((_, value)) = open {
        value.push_str(part);
    }
}

fn referenced(reference: &BytesRef<'_>) -> Result<String, VariablesError> {
    match reference.resolve_char_ref() {
        Ok(Some(character)) => Ok(character.to_string()),
        Ok(None) => resolve_predefined_entity(reference)
            .map(str::to_owned)
            .ok_or_else(|| broken("it has an entity that XML does not define".to_owned())),
        Err(_) => Err(broken("it has a reference to a character that does not exist".to_owned())),
    }
}

fn variable_name(tag: &BytesStart<'_>) -> Result<String, VariablesError> {
    let attribute = tag
        .try_get_attribute("name")
        .map_err(|error| broken(error.to_string()))?
        .ok_or_else(|| broken("a var has no name".to_owned()))?;
    let name = attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0);
    Ok(name.map_err(|error| broken(error.to_string()))?.into_owned())
}

const fn broken(what: String) -> VariablesError {
    VariablesError::Xml { what }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_the_known_shape() {
        let mut variables = MediaVariables::new();
        variables.set("SMSTSMP", "http://mp1".into());
        assert_eq!(
            write(&variables).unwrap().as_str(),
            "<?xml version=\"1.0\" ?><MediaVarList Version=\"4.00.5345.0000\">\
             <var name=\"SMSTSMP\"><![CDATA[http://mp1]]></var></MediaVarList>"
        );
    }

    #[test]
    fn cdata_and_escaped_text_are_both_read() {
        let text = "<MediaVarList><var name='A'>a &amp; b&#x21;</var>\
                    <var name=\"B\"><![CDATA[a & b]]>!\0</var>\n<var name='C'/></MediaVarList>";
        let variables = read(text).unwrap();
        assert_eq!(variables.get("A").unwrap().expose(), "a & b!");
        assert_eq!(variables.get("B").unwrap().expose(), "a & b!");
        assert_eq!(variables.get("C").unwrap().expose(), "");
    }

    #[test]
    fn brackets_and_carriage_returns_survive() {
        for value in ["]]>", "]]]>", "a]]", "]", "\r\n", "\r]]>\r", "]]>]]>", "<![CDATA[x]]>"] {
            let mut variables = MediaVariables::new();
            variables.set("V", value.into());
            let text = write(&variables).unwrap();
            assert_eq!(read(&text).unwrap().get("V").unwrap().expose(), value, "{value:?}");
        }
    }

    #[test]
    fn control_characters_are_refused_by_name_of_the_variable() {
        let mut variables = MediaVariables::new();
        variables.set("V", "a\u{1}b".into());
        let error = write(&variables).unwrap_err();
        assert_eq!(error, VariablesError::Character { name: "V".into(), character: 1 });
    }

    #[test]
    fn broken_text_is_an_error_not_an_empty_list() {
        for text in ["<MediaVarList>", "<MediaVarList><var>x</var></MediaVarList>", "<a>&x;</b>"] {
            assert!(matches!(read(text), Err(VariablesError::Xml { .. })), "{text}");
        }
    }
}
