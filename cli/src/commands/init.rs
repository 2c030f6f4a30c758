//! `prestage init`: the wizard's questions at a terminal, and a spec.

use std::{
    fmt,
    fs::OpenOptions,
    io::{self, IsTerminal, Write as _},
    path::Path,
};

use inquire::{Confirm, InquireError, MultiSelect, Select, Text};
use prestage_configmgr::{
    Site,
    admin_service::{
        AdminServiceAnswers, Application, ExportError, ImageIndex, Package, PackageKind,
        TaskSequencePackage,
    },
};
use prestage_wizard::interview::{Answer, Choice, Interview, Kind, Question, SiteLists};
use time::OffsetDateTime;

use crate::{args::InitArgs, error::CliError, settings::access};

/// Asks, and writes what was answered. Nothing is written before the last answer.
pub async fn init(args: &InitArgs) -> Result<(), CliError> {
    if args.spec.exists() {
        let what = format!("{} exists already", args.spec.display());
        return Err(CliError::wrong(what, "name a file that does not exist yet"));
    }
    if !io::stdin().is_terminal() {
        let advice =
            "write the spec by hand (prestage sample shows one), or use prestage import-cmdlet";
        return Err(CliError::wrong("there is nobody at a terminal to ask", advice));
    }
    let lists = match &args.site {
        Some(site) => lists(site, args.access.as_deref()).await?,
        None => SiteLists::default(),
    };
    let interview = Interview::new(lists, OffsetDateTime::now_utc());
    let asked = tokio::task::spawn_blocking(move || ask_all(interview)).await;
    let spec = asked.map_err(|error| CliError::failed(error.to_string(), ""))??;
    save(&args.spec, &spec)?;
    eprintln!("spec saved as {0}; see what it comes to: prestage plan {0}", args.spec.display());
    Ok(())
}

fn ask_all(mut interview: Interview) -> Result<String, CliError> {
    let mut page = "";
    while let Some(question) = interview.question() {
        if question.page != page {
            page = question.page;
            eprintln!("\n== {page}");
        }
        let answer = ask(&question)?;
        if let Err(problem) = interview.answer(&answer) {
            eprintln!("   {problem}");
        }
    }
    Ok(interview.draft().to_toml())
}

fn ask(question: &Question) -> Result<Answer, CliError> {
    let (prompt, help, default) = (question.prompt, question.help, question.default.as_deref());
    let answered = match &question.kind {
        Kind::YesNo => {
            let asked = Confirm::new(prompt).with_help_message(help);
            asked.with_default(default == Some("yes")).prompt().map(Answer::Yes)
        }
        Kind::Text { .. } => {
            let asked = Text::new(prompt).with_help_message(help);
            let asked = match default {
                Some(default) => asked.with_default(default),
                None => asked,
            };
            asked.prompt().map(Answer::Text)
        }
        Kind::One(choices) => {
            let start = choices.iter().position(|choice| Some(choice.value.as_str()) == default);
            let asked = Select::new(prompt, labels(choices)).with_help_message(help);
            let asked = asked.with_starting_cursor(start.unwrap_or(0));
            asked.prompt().map(|chosen| Answer::Text(chosen.0.value))
        }
        Kind::Many(choices) => {
            let asked = MultiSelect::new(prompt, labels(choices)).with_help_message(help);
            let values =
                |found: Vec<Label>| found.into_iter().map(|chosen| chosen.0.value).collect();
            asked.prompt().map(|found| Answer::Many(values(found)))
        }
    };
    answered.map_err(|error| match error {
        InquireError::OperationCanceled | InquireError::OperationInterrupted => {
            CliError::failed("the questions were left in the middle", "nothing was written")
        }
        error => CliError::failed(format!("the terminal can't be asked: {error}"), ""),
    })
}

/// A choice as a list shows it.
#[derive(Clone)]
struct Label(Choice);

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.label)
    }
}

fn labels(choices: &[Choice]) -> Vec<Label> {
    choices.iter().cloned().map(Label).collect()
}

async fn lists(path: &Path, access_file: Option<&Path>) -> Result<SiteLists, CliError> {
    let access = access(access_file)?;
    let wrong = |error: String| {
        CliError::wrong(error, "correct --site, or leave it out to answer in words")
    };
    let site = Site::connect(path, &access, "", &[]).await;
    let site = site.map_err(|error| wrong(error.to_string()))?;
    let listed = tokio::task::spawn_blocking(move || from_site(&site)).await;
    let listed = listed.map_err(|error| wrong(error.to_string()))?;
    listed.map_err(|error| wrong(error.to_string()))
}

fn from_site(site: &Site) -> Result<SiteLists, ExportError> {
    let answers = site.admin_service();
    let sequences: Vec<TaskSequencePackage> = answers.records()?;
    let os_images = packages(answers, PackageKind::OsImage)?;
    let index = |image: &ImageIndex| {
        named(&image.index.to_string(), image.name.as_deref().unwrap_or_default())
    };
    let indexes = os_images
        .iter()
        .map(|package| (package.id.clone(), package.images.iter().map(index).collect()));
    let own = |name: &str| Choice { value: name.to_owned(), label: name.to_owned() };
    Ok(SiteLists {
        task_sequences: sequences.iter().map(|found| named(&found.id, &found.name)).collect(),
        boot_images: choices(&packages(answers, PackageKind::BootImage)?),
        os_indexes: indexes.collect(),
        os_images: choices(&os_images),
        applications: applications(answers)?,
        packages: choices(&packages(answers, PackageKind::Package)?),
        driver_packages: choices(&packages(answers, PackageKind::DriverPackage)?),
        distribution_points: site.distribution_points().iter().map(|dp| own(&dp.name)).collect(),
        management_points: site.management_points().iter().map(|mp| own(&mp.url)).collect(),
    })
}

fn named(value: &str, name: &str) -> Choice {
    Choice { value: value.to_owned(), label: format!("{value}  {name}") }
}

fn choices(packages: &[Package]) -> Vec<Choice> {
    packages.iter().map(|package| named(&package.id, &package.name)).collect()
}

fn packages(answers: &AdminServiceAnswers, kind: PackageKind) -> Result<Vec<Package>, ExportError> {
    let classes = PackageKind::CLASSES.iter().filter(|(_, listed)| *listed == kind);
    let mut found = Vec::new();
    for (class, kind) in classes {
        for row in answers.rows(class)? {
            found.push(Package::read(&row, *kind)?);
        }
    }
    Ok(found)
}

/// Those that are not retired, by name, each once.
fn applications(answers: &AdminServiceAnswers) -> Result<Vec<Choice>, ExportError> {
    let mut rows = answers.rows("SMS_ApplicationLatest")?;
    if rows.is_empty() {
        rows = answers.rows("SMS_Application")?;
    }
    let mut found = Vec::new();
    for row in rows {
        let application = Application::read(&row)?;
        if application.is_latest != Some(false) && !application.is_retired {
            found.push(Choice { value: application.model_name, label: application.name });
        }
    }
    found.sort_by(|a, b| (&a.label, &a.value).cmp(&(&b.label, &b.value)));
    found.dedup();
    Ok(found)
}

fn save(path: &Path, spec: &str) -> Result<(), CliError> {
    let written = OpenOptions::new().write(true).create_new(true).open(path);
    written.and_then(|mut file| file.write_all(spec.as_bytes())).map_err(|error| {
        let what = format!("{} can't be written: {error}", path.display());
        CliError::failed(what, "name another file")
    })
}
