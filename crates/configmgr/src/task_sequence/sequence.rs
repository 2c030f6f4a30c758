//! The `Sequence` XML as a list of steps.

use std::sync::Arc;

use super::condition::{Condition, shortened};
use crate::xml::Element;
pub use crate::xml::XmlError;

/// No class of WMI has a longer name.
const CLASS_CHARACTERS_MAX: usize = 255;

/// Why a `Sequence` cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SequenceError {
    /// Not XML that can be read.
    #[error("Sequence: {0}; export the task sequence again")]
    Xml(#[from] XmlError),
    /// XML without a `sequence` element.
    #[error(
        "Sequence: there is no <sequence> element, the outermost is <{found}>; export the task sequence again"
    )]
    NotASequence {
        /// The outermost element.
        found: String,
    },
}

/// A `variable` of a step's `defaultVarList`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepVariable {
    /// The task sequence variable.
    pub name: String,
    /// The property of the step's class that it stands for.
    pub property: String,
    /// Its value.
    pub value: String,
}

/// A group of steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Name in the editor.
    pub name: String,
    /// When its steps run.
    pub condition: Option<Condition>,
    /// The group around it.
    pub parent: Option<Arc<Group>>,
    /// Whether its condition holds on prestaged media: worked out once, since each step in it asks.
    holds: Option<bool>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Name in the editor.
    pub name: String,
    /// `SMS_TaskSequence_…Action`.
    pub step_type: String,
    /// The group that it is in.
    pub group: Option<Arc<Group>>,
    /// When it runs, if the groups around it do.
    pub condition: Option<Condition>,
    /// It, or a group around it, is disabled.
    pub disabled: bool,
    /// The command line.
    pub action: String,
    /// The variables it sets for itself.
    pub variables: Vec<StepVariable>,
}

impl Step {
    /// Whether the type contains `word`, without case.
    pub fn is_type(&self, word: &str) -> bool {
        // Asked again and again, of each variable.
        self.step_type.len() <= CLASS_CHARACTERS_MAX
            && self.step_type.to_ascii_lowercase().contains(&word.to_ascii_lowercase())
    }

    /// The names of the groups around it, the outermost first.
    pub fn groups(&self) -> Vec<&str> {
        let around = std::iter::successors(self.group.as_deref(), |group| group.parent.as_deref());
        let mut names: Vec<&str> = around.map(|group| group.name.as_str()).collect();
        names.reverse();
        names
    }

    /// The condition, its own or of a group around it, because of which it never runs from prestaged
    /// media.
    pub fn never_on_prestaged_media(&self) -> Option<&Condition> {
        let never = |condition: &&Condition| condition.on_prestaged_media() == Some(false);
        let mut around =
            std::iter::successors(self.group.as_deref(), |group| group.parent.as_deref());
        let of_groups = || around.find(|group| group.holds == Some(false))?.condition.as_ref();
        self.condition.as_ref().filter(never).or_else(of_groups)
    }

    /// The value of the variable that stands for `property`.
    pub fn property(&self, property: &str) -> Option<&str> {
        let named = |v: &&StepVariable| v.property.eq_ignore_ascii_case(property);
        self.variables.iter().find(named).map(|variable| variable.value.as_str())
    }
}

/// A task sequence's steps and reference list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sequence {
    /// `version`, as `3.10`.
    pub version: Option<String>,
    /// All steps in running order, groups flattened.
    pub steps: Vec<Step>,
    /// What `referenceList` names, if there is one.
    pub references: Vec<String>,
}

impl Sequence {
    /// Parses the lazy property `Sequence`. Declared encodings are ignored (the text is decoded
    /// already), and a document that was entity-escaped as a whole is accepted.
    pub fn parse(xml: &str) -> Result<Self, SequenceError> {
        let root = Element::parse(xml)?;
        let all = root.descendants();
        let Some(outer) = all.iter().find(|element| element.is("sequence")) else {
            return Err(SequenceError::NotASequence { found: root.name.clone() });
        };
        let mut sequence =
            Self { version: outer.attribute("version").map(str::to_owned), ..Self::default() };
        sequence.walk(outer, false, None);
        let references = all.iter().filter(|element| element.is("referenceList"));
        sequence.references = references
            .flat_map(|list| &list.children)
            .filter(|child| child.is("reference"))
            .filter_map(|reference| reference.attribute("package"))
            .map(|package| package.trim().to_owned())
            .filter(|package| !package.is_empty())
            .collect();
        Ok(sequence)
    }

    /// Depth is bounded by the parser.
    fn walk(&mut self, parent: &Element, disabled: bool, around: Option<&Arc<Group>>) {
        for child in &parent.children {
            let disabled = disabled || is_true(child.attribute("disable"));
            if child.is("group") {
                let condition = condition(child);
                let group = Arc::new(Group {
                    name: name(child),
                    holds: condition.as_ref().and_then(Condition::on_prestaged_media),
                    condition,
                    parent: around.cloned(),
                });
                self.walk(child, disabled, Some(&group));
            } else if child.is("step") || child.is("subtasksequence") {
                self.steps.push(step(child, disabled, around.cloned()));
            }
        }
    }
}

/// A name is told with everything that is told of a step, so a long one is cut.
fn name(element: &Element) -> String {
    shortened(element.attribute("name").unwrap_or_default())
}

fn condition(element: &Element) -> Option<Condition> {
    let found = element.children.iter().find(|child| child.is("condition"));
    found.and_then(Condition::read)
}

fn step(element: &Element, disabled: bool, group: Option<Arc<Group>>) -> Step {
    let child = |wanted: &str| element.children.iter().find(|child| child.is(wanted));
    let variables = child("defaultVarList").map(|list| list.children.as_slice());
    let variables = variables.unwrap_or_default().iter().filter(|v| v.is("variable"));
    Step {
        name: name(element),
        step_type: element.attribute("type").unwrap_or_default().to_owned(),
        group,
        condition: condition(element),
        disabled,
        action: child("action").map(|a| a.text.trim().to_owned()).unwrap_or_default(),
        variables: variables
            .map(|variable| StepVariable {
                name: variable.attribute("name").unwrap_or_default().to_owned(),
                property: variable.attribute("property").unwrap_or_default().to_owned(),
                value: match variable.text.trim() {
                    "" => variable.attribute("value").unwrap_or_default().trim().to_owned(),
                    text => text.to_owned(),
                },
            })
            .collect(),
    }
}

fn is_true(value: Option<&str>) -> bool {
    value.is_some_and(|value| value.trim().eq_ignore_ascii_case("true") || value.trim() == "1")
}
