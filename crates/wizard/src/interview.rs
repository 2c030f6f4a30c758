//! The wizard's questions, page by page: data and a state, so that a terminal can ask them, or a web page.
//!
//! Every answer is checked at once by the spec's own rules.

use prestage_media::spec::MediaSpec;
use time::OffsetDateTime;

use crate::cmdlet::stem;
use crate::draft::Draft;

/// Something to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What goes into the spec.
    pub value: String,
    /// What people see.
    pub label: String,
}

/// What a site has to choose from; empty lists where it is not known.
#[derive(Debug, Clone, Default)]
pub struct SiteLists {
    /// Package IDs.
    pub task_sequences: Vec<Choice>,
    /// Package IDs.
    pub boot_images: Vec<Choice>,
    /// Package IDs.
    pub os_images: Vec<Choice>,
    /// Indexes, by package ID of the OS image.
    pub os_indexes: Vec<(String, Vec<Choice>)>,
    /// Model names.
    pub applications: Vec<Choice>,
    /// Package IDs.
    pub packages: Vec<Choice>,
    /// Package IDs.
    pub driver_packages: Vec<Choice>,
    /// Server names.
    pub distribution_points: Vec<Choice>,
    /// Addresses.
    pub management_points: Vec<Choice>,
}

/// How a question is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// In words; nothing, if it is optional.
    Text {
        /// Whether it may be left empty.
        optional: bool,
    },
    /// With yes or no.
    YesNo,
    /// With one of a list.
    One(Vec<Choice>),
    /// With any of a list.
    Many(Vec<Choice>),
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The wizard's page that it is on.
    pub page: &'static str,
    /// What is asked, in the wizard's words.
    pub prompt: &'static str,
    /// What a person should know to answer.
    pub help: &'static str,
    /// How it is answered.
    pub kind: Kind,
    /// What most people answer.
    pub default: Option<String>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Kind::Text`], and the value of [`Kind::One`].
    Text(String),
    /// To [`Kind::YesNo`].
    Yes(bool),
    /// To [`Kind::Many`].
    Many(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Unattended,
    Mode,
    CreatedBy,
    Version,
    Comment,
    Output,
    UnknownComputers,
    Password,
    Certificate,
    Affinity,
    TaskSequence,
    Dependencies,
    BootImage,
    ManagementPoints,
    OsImage,
    OsIndex,
    Applications,
    Packages,
    DriverPackages,
    DistributionPoints,
    Prestart,
    PrestartPackage,
}

/// The wizard's order.
const STEPS: [Step; 22] = [
    Step::Unattended,
    Step::Mode,
    Step::CreatedBy,
    Step::Version,
    Step::Comment,
    Step::Output,
    Step::UnknownComputers,
    Step::Password,
    Step::Certificate,
    Step::Affinity,
    Step::TaskSequence,
    Step::Dependencies,
    Step::BootImage,
    Step::ManagementPoints,
    Step::OsImage,
    Step::OsIndex,
    Step::Applications,
    Step::Packages,
    Step::DriverPackages,
    Step::DistributionPoints,
    Step::Prestart,
    Step::PrestartPackage,
];

/// An interview that is under way.
#[derive(Debug, Clone)]
pub struct Interview {
    lists: SiteLists,
    draft: Draft,
    now: OffsetDateTime,
    at: usize,
}

impl Interview {
    /// Begins one.
    #[must_use]
    pub fn new(lists: SiteLists, now: OffsetDateTime) -> Self {
        Self { lists, draft: Draft::default(), now, at: 0 }
    }

    /// The next question; `None` when all are answered.
    #[must_use]
    pub fn question(&self) -> Option<Question> {
        STEPS.get(self.at).map(|step| self.ask(*step))
    }

    /// Takes the answer to the question, or says what is wrong with it.
    ///
    /// # Errors
    /// What is wrong and what would be right, for a person to answer again.
    pub fn answer(&mut self, answer: &Answer) -> Result<(), String> {
        let Some(step) = STEPS.get(self.at).copied() else {
            return Ok(());
        };
        let mut draft = self.draft.clone();
        take(&mut draft, step, answer);
        if let Some(problem) = problem(&draft, key(step), self.now) {
            return Err(problem);
        }
        self.draft = draft;
        self.at += 1;
        // Without a command there is no package for it.
        if STEPS.get(self.at) == Some(&Step::PrestartPackage) && self.draft.prestart.is_none() {
            self.at += 1;
        }
        Ok(())
    }

    /// What was answered.
    #[must_use]
    pub fn draft(self) -> Draft {
        self.draft
    }

    fn ask(&self, step: Step) -> Question {
        let lists = &self.lists;
        let text = |optional| Kind::Text { optional };
        let one = |list: &Vec<Choice>| match list.is_empty() {
            true => text(false),
            false => Kind::One(list.clone()),
        };
        let many = |list: &Vec<Choice>| match list.is_empty() {
            true => text(true),
            false => Kind::Many(list.clone()),
        };
        let choice = |value: &str, label: &str| Choice { value: value.into(), label: label.into() };
        let (page, prompt, help, kind) = match step {
            Step::Unattended => (
                "Media type",
                "Allow unattended operating system deployment?",
                "no prompt for network settings or optional task sequences; a media password is still asked for",
                Kind::YesNo,
            ),
            Step::Mode => (
                "Media management",
                "Dynamic or site-based media?",
                "dynamic media find the nearest of several management points",
                Kind::One(vec![
                    choice("dynamic", "dynamic: several management points, in priority order"),
                    choice("site-based", "site-based: exactly one management point"),
                ]),
            ),
            Step::CreatedBy => (
                "Media properties",
                "Created by",
                "at most 50 characters; empty for none",
                text(true),
            ),
            Step::Version => {
                ("Media properties", "Version", "at most 32 characters; empty for none", text(true))
            }
            Step::Comment => (
                "Media properties",
                "Comment",
                "at most 127 characters; empty for none",
                text(true),
            ),
            Step::Output => (
                "Media properties",
                "Media file",
                "a path, or a URL like s3://media/w11.wim; its name is the medium's",
                text(false),
            ),
            Step::UnknownComputers => (
                "Security",
                "Enable unknown computer support?",
                "computers that the site does not know may use the medium",
                Kind::YesNo,
            ),
            Step::Password => (
                "Security",
                "Protect the media with a password?",
                "it is read from the environment variable MEDIA_PASSWORD, never kept in the spec",
                Kind::YesNo,
            ),
            Step::Certificate => (
                "Security",
                "PKI certificate file (.pfx)",
                "empty for a self-signed certificate, which serves HTTP management points only",
                text(true),
            ),
            Step::Affinity => (
                "Security",
                "User device affinity",
                "whether users become primary users of the computer",
                Kind::One(vec![
                    choice("do-not-allow", "do not allow"),
                    choice("administrator-approval", "allow pending administrator approval"),
                    choice("auto-approval", "allow with automatic approval"),
                ]),
            ),
            Step::TaskSequence => (
                "Task sequence",
                "Task sequence",
                "all content that it references goes on the medium",
                one(&lists.task_sequences),
            ),
            Step::Dependencies => (
                "Task sequence",
                "Detect associated application dependencies?",
                "what applications depend on goes on the medium too",
                Kind::YesNo,
            ),
            Step::BootImage => (
                "Boot image",
                "Boot image",
                "it should be the task sequence's own",
                one(&lists.boot_images),
            ),
            Step::ManagementPoints => (
                "Boot image",
                "Management points",
                "http:// or https:// addresses, separated by commas, in priority order",
                many(&lists.management_points),
            ),
            Step::OsImage => (
                "Images",
                "Operating system image",
                "it is laid out in the root of the medium",
                one(&lists.os_images),
            ),
            Step::OsIndex => (
                "Images",
                "Image index",
                "which image of the package's WIM, from 1",
                self.indexes(),
            ),
            Step::Applications => (
                "Applications",
                "Further applications",
                "besides those that the task sequence references; none is fine",
                many(&lists.applications),
            ),
            Step::Packages => (
                "Packages",
                "Further packages",
                "besides those that the task sequence references; none is fine",
                many(&lists.packages),
            ),
            Step::DriverPackages => (
                "Driver packages",
                "Further driver packages",
                "besides those that the task sequence references; none is fine",
                many(&lists.driver_packages),
            ),
            Step::DistributionPoints => (
                "Distribution points",
                "Distribution points",
                "those that hold the content, the preferred first",
                many(&lists.distribution_points),
            ),
            Step::Prestart => ("Customization", "Prestart command", "empty for none", text(true)),
            Step::PrestartPackage => {
                ("Customization", "Package of the prestart command", "empty for none", text(true))
            }
        };
        let default = match step {
            Step::Mode => Some("dynamic"),
            Step::Affinity => Some("do-not-allow"),
            Step::Password | Step::Dependencies => Some("yes"),
            Step::OsIndex => Some("1"),
            _ => None,
        };
        Question { page, prompt, help, kind, default: default.map(str::to_owned) }
    }

    fn indexes(&self) -> Kind {
        let chosen = self.draft.os_image.as_deref();
        let of_chosen = self.lists.os_indexes.iter().find(|(id, _)| Some(id.as_str()) == chosen);
        match of_chosen {
            Some((_, indexes)) if !indexes.is_empty() => Kind::One(indexes.clone()),
            _ => Kind::Text { optional: false },
        }
    }
}

/// The key of the spec that a question is about.
fn key(step: Step) -> &'static str {
    match step {
        Step::Unattended => "media.unattended",
        Step::Mode => "media.mode",
        Step::CreatedBy => "media.created_by",
        Step::Version => "media.version",
        Step::Comment => "media.comment",
        Step::Output => "output.file",
        Step::UnknownComputers => "security.unknown_computer_support",
        Step::Password => "security.password",
        Step::Certificate => "security.certificate",
        Step::Affinity => "security.user_device_affinity",
        Step::TaskSequence => "task_sequence",
        Step::Dependencies => "detect_application_dependencies",
        Step::BootImage => "boot_image",
        Step::ManagementPoints => "media.management_points",
        Step::OsImage | Step::OsIndex => "os_image",
        Step::Applications => "applications",
        Step::Packages => "packages",
        Step::DriverPackages => "driver_packages",
        Step::DistributionPoints => "distribution_points",
        Step::Prestart | Step::PrestartPackage => "customization.prestart",
    }
}

/// What the spec's rules say of a key, in the draft as it stands.
fn problem(draft: &Draft, key: &str, now: OffsetDateTime) -> Option<String> {
    let error = MediaSpec::parse("spec", &draft.to_toml(), now).err()?;
    let about = |found: &str| {
        found.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let problem = error.problems.into_iter().find(|problem| about(&problem.key))?;
    Some(format!("{}; {}", problem.what, problem.advice))
}

fn take(draft: &mut Draft, step: Step, answer: &Answer) {
    let text = match answer {
        Answer::Text(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Answer::Yes(_) | Answer::Many(_) => None,
    };
    let yes = *answer == Answer::Yes(true);
    let many = || match answer {
        Answer::Many(values) => values.clone(),
        Answer::Text(text) => text
            .split(',')
            .map(|part| part.trim().to_owned())
            .filter(|part| !part.is_empty())
            .collect(),
        Answer::Yes(_) => Vec::new(),
    };
    match step {
        Step::Unattended => draft.unattended = yes,
        Step::Mode => draft.site_based = text.as_deref() == Some("site-based"),
        Step::CreatedBy => draft.created_by = text,
        Step::Version => draft.version = text,
        Step::Comment => draft.comment = text,
        Step::Output => {
            draft.name = text.as_deref().and_then(stem);
            draft.output = text;
        }
        Step::UnknownComputers => draft.unknown_computers = yes,
        Step::Password => draft.password = yes,
        Step::Certificate => draft.certificate = text,
        Step::Affinity => {
            let known = ["do-not-allow", "administrator-approval", "auto-approval"];
            draft.affinity = known.into_iter().find(|known| Some(*known) == text.as_deref());
        }
        Step::TaskSequence => draft.task_sequence = text,
        Step::Dependencies => draft.dependencies = yes,
        Step::BootImage => draft.boot_image = text,
        Step::ManagementPoints => draft.management_points = many(),
        Step::OsImage => draft.os_image = text,
        Step::OsIndex => {
            draft.os_index = Some(text.and_then(|index| index.parse().ok()).unwrap_or(0))
        }
        Step::Applications => draft.applications = many(),
        Step::Packages => draft.packages = many(),
        Step::DriverPackages => draft.driver_packages = many(),
        Step::DistributionPoints => draft.distribution_points = many(),
        Step::Prestart => draft.prestart = text,
        Step::PrestartPackage => draft.prestart_package = text,
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn answer(interview: &mut Interview, prompt: &str, answer: Answer) -> Result<(), String> {
        let question = interview.question().unwrap();
        assert_eq!(question.prompt, prompt);
        interview.answer(&answer)
    }

    #[test]
    fn an_interview_gives_a_spec_and_each_answer_is_checked() {
        let choice = |value: &str| Choice { value: value.into(), label: value.into() };
        let lists = SiteLists {
            task_sequences: vec![choice("PS100123")],
            os_indexes: vec![("PS100010".into(), vec![choice("1"), choice("3")])],
            ..SiteLists::default()
        };
        let now = datetime!(2026-11-23 0:00 UTC);
        let mut interview = Interview::new(lists, now);
        let text = |text: &str| Answer::Text(text.into());
        let mut say = |prompt: &str, with: Answer| answer(&mut interview, prompt, with);
        say("Allow unattended operating system deployment?", Answer::Yes(true)).unwrap();
        say("Dynamic or site-based media?", text("site-based")).unwrap();
        let long = say("Created by", text(&"x".repeat(51))).unwrap_err();
        assert!(long.contains("51 characters") && long.contains("shorten"), "{long}");
        say("Created by", text("OSD team")).unwrap();
        say("Version", text("")).unwrap();
        say("Comment", text("")).unwrap();
        assert!(say("Media file", text("https://x/y.wim")).is_err());
        say("Media file", text("media/w11.wim")).unwrap();
        say("Enable unknown computer support?", Answer::Yes(false)).unwrap();
        say("Protect the media with a password?", Answer::Yes(true)).unwrap();
        say("PKI certificate file (.pfx)", text("")).unwrap();
        say("User device affinity", text("auto-approval")).unwrap();
        say("Task sequence", text("PS100123")).unwrap();
        say("Detect associated application dependencies?", Answer::Yes(true)).unwrap();
        assert!(say("Boot image", text("boot")).is_err());
        say("Boot image", text("PS100005")).unwrap();
        assert!(
            say("Management points", text("http://mp1, http://mp2"))
                .unwrap_err()
                .contains("exactly one")
        );
        assert!(say("Management points", text("https://mp1")).unwrap_err().contains("PKI"));
        say("Management points", text("http://mp1")).unwrap();
        say("Operating system image", text("PS100010")).unwrap();
        assert!(
            matches!(interview.question().unwrap().kind, Kind::One(indexes) if indexes.len() == 2)
        );
        let mut say = |prompt: &str, with: Answer| answer(&mut interview, prompt, with);
        say("Image index", text("3")).unwrap();
        say("Further applications", Answer::Many(Vec::new())).unwrap();
        say("Further packages", text("")).unwrap();
        say("Further driver packages", text("PS100077")).unwrap();
        assert!(say("Distribution points", text("")).is_err());
        say("Distribution points", text("dp1.corp.example")).unwrap();
        say("Prestart command", text("")).unwrap();
        assert_eq!(interview.question(), None, "there is no command, so no package for one");
        let spec = MediaSpec::parse("s", &interview.draft().to_toml(), now).unwrap().spec;
        assert_eq!((spec.name.as_str(), spec.os_image.index), ("w11", 3));
        assert_eq!(spec.driver_packages.len(), 1);
    }
}
