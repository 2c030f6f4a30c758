//! Conditions of groups and steps (reference: section 3.1), and what prestaged media make of them.

use std::fmt;

use crate::xml::Element;

/// The variables that are the same whenever a task sequence runs from prestaged media.
const ON_PRESTAGED_MEDIA: [(&str, &str); 2] =
    [("_SMSTSMediaType", "OEMMedia"), ("_SMSTSLaunchMode", "HD")];
/// More of a query than this says nothing to a reader of a plan.
const SHOWN_CHARACTERS_MAX: usize = 120;

/// When a group or a step runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// All of them hold.
    All(Vec<Condition>),
    /// Any of them holds.
    Any(Vec<Condition>),
    /// None of them holds.
    None(Vec<Condition>),
    /// A task sequence variable compares so.
    Variable {
        /// The variable.
        name: String,
        /// `equals`, `notExists` …, as written.
        operator: String,
        /// What it is compared with.
        value: String,
    },
    /// Anything else, which only the computer can tell: a WMI query, a file, a registry value.
    AtRunTime {
        /// What a person calls it.
        what: String,
    },
}

impl Condition {
    /// Reads a `condition` element. `None` if it says nothing. Depth is bounded by the parser.
    pub(super) fn read(element: &Element) -> Option<Self> {
        let mut parts: Vec<Self> = element.children.iter().filter_map(Self::read_part).collect();
        if parts.len() > 1 { Some(Self::All(parts)) } else { parts.pop() }
    }

    fn read_part(element: &Element) -> Option<Self> {
        if element.is("expression") {
            return Some(expression(element));
        }
        // Operating systems have an element of their own, with an operator of their own.
        if element.is("osConditionGroup") || element.is("osExpressionGroup") {
            return Some(Self::AtRunTime { what: "the operating system is one of a list".into() });
        }
        if !element.is("operator") {
            return None;
        }
        let parts: Vec<Self> = element.children.iter().filter_map(Self::read_part).collect();
        let kind = element.attribute("type").unwrap_or("and").trim().to_ascii_lowercase();
        match (parts.is_empty(), kind.as_str()) {
            (true, _) => None,
            (_, "or") => Some(Self::Any(parts)),
            (_, "not") => Some(Self::None(parts)),
            _ => Some(Self::All(parts)),
        }
    }

    /// Whether it holds when the task sequence runs from prestaged media; `None` where that depends
    /// on more than the media.
    pub fn on_prestaged_media(&self) -> Option<bool> {
        match self {
            Self::All(parts) => all(parts, true),
            Self::Any(parts) => all(parts, false),
            Self::None(parts) => all(parts, false).map(|any| !any),
            Self::Variable { name, operator, value } => {
                let known =
                    ON_PRESTAGED_MEDIA.iter().find(|(n, _)| n.eq_ignore_ascii_case(name))?;
                compare(known.1, operator, value)
            }
            Self::AtRunTime { .. } => None,
        }
    }
}

/// Three-valued "all are `wanted`" for true, "any is true" for false: one that decides is enough.
fn all(parts: &[Condition], wanted: bool) -> Option<bool> {
    let mut unknown = false;
    for part in parts {
        match part.on_prestaged_media() {
            Some(holds) if holds != wanted => return Some(!wanted),
            Some(_) => {}
            None => unknown = true,
        }
    }
    (!unknown).then_some(wanted)
}

/// Values compare without case, as the task sequence engine does it.
fn compare(known: &str, operator: &str, value: &str) -> Option<bool> {
    let equal = known.eq_ignore_ascii_case(value.trim());
    match operator.to_ascii_lowercase().as_str() {
        "equals" => Some(equal),
        "notequals" => Some(!equal),
        "exists" => Some(true),
        "notexists" => Some(false),
        _ => None,
    }
}

fn expression(element: &Element) -> Condition {
    let named = |wanted: &str| {
        let variables = element.children.iter().filter(|child| child.is("variable"));
        let mut found = variables
            .filter(|v| v.attribute("name").is_some_and(|n| n.eq_ignore_ascii_case(wanted)));
        found.next().map(|variable| variable.text.trim().to_owned())
    };
    let kind = element.attribute("type").unwrap_or_default();
    if let (true, Some(name)) = (kind.contains("VariableCondition"), named("Variable")) {
        let operator = named("Operator").unwrap_or_else(|| "equals".into());
        return Condition::Variable { name, operator, value: named("Value").unwrap_or_default() };
    }
    let short =
        kind.trim_start_matches("SMS_TaskSequence_").trim_end_matches("ConditionExpression");
    let of = named("Query").or_else(|| named("Path")).or_else(|| named("KeyPath"));
    let what = match of {
        Some(of) => format!("{short} '{}'", shortened(&of)),
        None => format!("{short} condition"),
    };
    Condition::AtRunTime { what }
}

/// As much of a text as is shown.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, parts: &[Self], word: &str| {
            for (number, part) in parts.iter().enumerate() {
                if number > 0 {
                    write!(f, " {word} ")?;
                }
                match part {
                    Self::All(inner) | Self::Any(inner) if inner.len() > 1 => {
                        write!(f, "({part})")?
                    }
                    _ => write!(f, "{part}")?,
                }
            }
            Ok(())
        };
        match self {
            Self::All(parts) => list(f, parts, "and"),
            Self::Any(parts) => list(f, parts, "or"),
            Self::None(parts) => {
                f.write_str("none of: ")?;
                list(f, parts, "or")
            }
            Self::Variable { name, operator, value } => {
                match operator.to_ascii_lowercase().as_str() {
                    "exists" => write!(f, "{name} exists"),
                    "notexists" => write!(f, "{name} not exists"),
                    "notequals" => write!(f, "{name} not equals '{}'", shortened(value)),
                    _ => write!(f, "{name} {operator} '{}'", shortened(value)),
                }
            }
            Self::AtRunTime { what } => f.write_str(what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str, operator: &str, value: &str) -> String {
        format!(
            "<expression type=\"SMS_TaskSequence_VariableConditionExpression\">\
             <variable name=\"Operator\">{operator}</variable>\
             <variable name=\"Value\">{value}</variable>\
             <variable name=\"Variable\">{name}</variable></expression>"
        )
    }

    fn read(inner: &str) -> Condition {
        let element = Element::parse(&format!("<condition>{inner}</condition>")).unwrap();
        Condition::read(&element).unwrap()
    }

    #[test]
    fn what_prestaged_media_decide() {
        let oem = variable("_smstsmediatype", "equals", "oemmedia");
        let not_oem = variable("_SMSTSMediaType", "notEquals", "OEMMedia");
        let uefi = variable("_SMSTSBootUEFI", "equals", "true");
        let operator =
            |kind: &str, inner: &str| format!("<operator type=\"{kind}\">{inner}</operator>");
        for (inner, decided) in [
            (oem.clone(), Some(true)),
            (not_oem.clone(), Some(false)),
            (uefi.clone(), None),
            (variable("_SMSTSLaunchMode", "exists", ""), Some(true)),
            (variable("_SMSTSMediaType", "like", "OEM%"), None),
            (operator("and", &format!("{uefi}{not_oem}")), Some(false)),
            (operator("and", &format!("{uefi}{oem}")), None),
            (operator("or", &format!("{uefi}{oem}")), Some(true)),
            (operator("or", &format!("{uefi}{not_oem}")), None),
            (operator("not", &operator("or", &oem)), Some(false)),
            (operator("not", &not_oem), Some(true)),
            (format!("{uefi}{not_oem}"), Some(false)),
        ] {
            assert_eq!(read(&inner).on_prestaged_media(), decided, "{inner}");
        }
    }

    #[test]
    fn people_can_read_it() {
        let inner = format!(
            "<operator type=\"and\"><operator type=\"or\">{}{}</operator>\
             <expression type=\"SMS_TaskSequence_WMIConditionExpression\">\
             <variable name=\"Namespace\">root\\cimv2</variable>\
             <variable name=\"Query\">SELECT * FROM Win32_ComputerSystem</variable></expression></operator>",
            variable("Model", "equals", "Latitude 7450"),
            variable("OSDComputerName", "notExists", ""),
        );
        assert_eq!(
            read(&inner).to_string(),
            "(Model equals 'Latitude 7450' or OSDComputerName not exists) and WMI 'SELECT * FROM Win32_ComputerSystem'"
        );
    }

    #[test]
    fn nothing_said_is_no_condition() {
        for empty in ["<condition/>", "<condition><operator type=\"and\"/></condition>"] {
            assert_eq!(Condition::read(&Element::parse(empty).unwrap()), None);
        }
    }
}
