//! The `Sequence` XML in any encoding: its steps, and the content that they name.

use prestage_configmgr::{
    ids,
    task_sequence::{Sequence, StepTarget, step_content},
    text,
};

pub(super) fn check(input: &[u8]) {
    let Ok(text) = text::decode(input) else {
        return;
    };
    let Ok(sequence) = Sequence::parse(&text) else {
        return;
    };
    assert!(sequence.steps.len() <= text.len() && sequence.references.len() <= text.len());
    for step in &sequence.steps {
        for (target, _) in step_content(step).targets {
            match target {
                StepTarget::Package(id) => assert!(ids::is_package_id(&id), "{id}"),
                StepTarget::Application(model) => {
                    assert!(ids::application_model_name(&model).is_some(), "{model}");
                }
            }
        }
    }
}
