//! A small element tree for the XML inside AdminService answers.

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

/// Deeper elements than this are refused: a console lets nobody nest groups so far, and the tree is
/// walked by recursion.
pub(crate) const MAX_DEPTH: usize = 128;

/// One element with its attributes, text and child elements.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) name: String,
    attributes: Vec<(String, String)>,
    pub(crate) text: String,
    pub(crate) children: Vec<Element>,
}

/// Why a text is not XML that can be read here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// Not well formed.
    #[error("the XML is not well formed at character {position}: {reason}")]
    Malformed {
        /// How far into the text, in bytes of UTF-8.
        position: u64,
        /// What the parser says.
        reason: String,
    },
    /// Elements nest too deep.
    #[error("the XML nests more than {limit} elements deep, which no console writes")]
    TooDeep {
        /// The most that is read.
        limit: usize,
    },
    /// No element at all.
    #[error("the XML holds no element")]
    Empty,
}

impl Element {
    /// The value of an attribute, its name compared without case.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Whether the element is called `name`, without case.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// This element and all below it, parents first.
    pub(crate) fn descendants(&self) -> Vec<&Element> {
        let mut found = vec![self];
        let mut next = 0;
        while let Some(element) = found.get(next).copied() {
            found.extend(element.children.iter());
            next += 1;
        }
        found
    }

    /// Parses a document. A declared encoding is ignored, since `text` is decoded already; a document
    /// that was entity-escaped as a whole (`&lt;sequence …`) is unescaped once.
    pub(crate) fn parse(text: &str) -> Result<Self, XmlError> {
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("&lt;")) {
            let plain = quick_xml::escape::unescape(text)
                .map_err(|error| XmlError::Malformed { position: 0, reason: error.to_string() })?;
            return Self::parse_plain(plain.trim());
        }
        Self::parse_plain(text)
    }

    fn parse_plain(text: &str) -> Result<Self, XmlError> {
        let mut reader = Reader::from_str(text);
        let mut open: Vec<Element> = Vec::new();
        loop {
            let malformed = |reader: &Reader<&[u8]>, reason: String| XmlError::Malformed {
                position: reader.error_position(),
                reason,
            };
            let event =
                reader.read_event().map_err(|error| malformed(&reader, error.to_string()))?;
            let closed = match event {
                Event::Start(start) => {
                    open.push(begin(&start).map_err(|reason| malformed(&reader, reason))?);
                    if open.len() > MAX_DEPTH {
                        return Err(XmlError::TooDeep { limit: MAX_DEPTH });
                    }
                    None
                }
                Event::Empty(start) => {
                    Some(begin(&start).map_err(|reason| malformed(&reader, reason))?)
                }
                Event::End(_) => open.pop(),
                Event::Eof if open.is_empty() => return Err(XmlError::Empty),
                Event::Eof => return Err(malformed(&reader, "an element is not closed".into())),
                other => {
                    append_text(&mut open, &other).map_err(|reason| malformed(&reader, reason))?;
                    None
                }
            };
            if let Some(element) = closed {
                match open.last_mut() {
                    Some(parent) => parent.children.push(element),
                    None => return Ok(element),
                }
            }
        }
    }
}

fn begin(start: &BytesStart<'_>) -> Result<Element, String> {
    let mut element = Element { name: local(start.local_name().as_ref()), ..Element::default() };
    // Unchecked for repetition: that takes time by the square of their number.
    for attribute in start.attributes().with_checks(false) {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map_err(|error| error.to_string())?;
        element.attributes.push((local(attribute.key.local_name().as_ref()), value.into_owned()));
    }
    Ok(element)
}

fn local(name: &str) -> String {
    name.to_owned()
}

fn append_text(open: &mut [Element], event: &Event<'_>) -> Result<(), String> {
    let Some(element) = open.last_mut() else {
        return Ok(());
    };
    match event {
        Event::Text(text) => element.text.push_str(&text.xml10_content()),
        Event::CData(data) => element.text.push_str(&data.xml10_content()),
        Event::GeneralRef(reference) => {
            match reference.resolve_char_ref().map_err(|error| error.to_string())? {
                Some(character) => element.text.push(character),
                None => element.text.push_str(
                    resolve_predefined_entity(reference)
                        .ok_or_else(|| format!("the entity &{}; is not known", &**reference))?,
                ),
            }
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_declared_and_plain_documents_are_the_same() {
        let plain = "<a b=\"1 &amp; 2\">x &lt; <!-- no --><![CDATA[&y]]><c/></a>";
        let wanted = Element::parse(plain).unwrap();
        assert_eq!(wanted.text, "x < &y");
        assert_eq!(wanted.attribute("B"), Some("1 & 2"));
        let declared = format!("\u{feff}<?xml version=\"1.0\" encoding=\"utf-16\"?>\r\n{plain}");
        assert_eq!(Element::parse(&declared).unwrap(), wanted);
        let escaped = quick_xml::escape::escape(plain).into_owned();
        assert_eq!(Element::parse(&escaped).unwrap(), wanted);
    }

    #[test]
    fn many_attributes_take_time_by_their_number() {
        let attributes: String = (0..100_000).map(|n| format!(" a{n}='{n}'")).collect();
        let root = Element::parse(&format!("<a{attributes}/>")).unwrap();
        assert_eq!(root.attributes.len(), 100_000);
    }

    #[test]
    fn what_is_not_xml_is_refused() {
        assert!(matches!(Element::parse("<a><b></a>"), Err(XmlError::Malformed { .. })));
        assert!(matches!(Element::parse("<a>&bomb;</a>"), Err(XmlError::Malformed { .. })));
        assert!(matches!(Element::parse("<a>"), Err(XmlError::Malformed { .. })));
        assert_eq!(Element::parse("  "), Err(XmlError::Empty));
        let deep = "<g>".repeat(500) + &"</g>".repeat(500);
        assert_eq!(Element::parse(&deep), Err(XmlError::TooDeep { limit: MAX_DEPTH }));
    }
}
