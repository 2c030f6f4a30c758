//! A build's log, from its plan and what happened: the steps of the wizard's `CreateTSMedia.log`.
//!
//! A pure function of durable facts, so that it can be had at any time and from any coordinator.
//! Plans and events hold no secret: variables are told by name, and values that occur in the prestart
//! command are masked when the plan is made.

use std::collections::BTreeMap;

use prestage_media::{
    build_log::{LogEntry, Severity},
    certificate::CertificateKind,
};
use prestage_proto::v1::{self, task_result};
use time::OffsetDateTime;

use crate::{
    events::{BuildEvent, Happening},
    plan::{BuildPlan, PlannedContent, PlannedImage},
    records::{BuildRecord, BuildState, TaskRecord},
};

const MASK: &str = "********";

/// The log of a build, as far as it has come.
pub fn build_log(
    build: &BuildRecord,
    tasks: &[TaskRecord],
    events: &[BuildEvent],
) -> Vec<LogEntry> {
    let mut log = Log { at: build.created, entries: Vec::new() };
    log.info(format!(
        "Media creation process that was started by '{}' (prestage {}, build {})",
        build.requester,
        env!("CARGO_PKG_VERSION"),
        build.build_id
    ));
    match BuildPlan::parse(&build.plan_json) {
        Ok(plan) => log.plan(&plan, &build.output),
        Err(error) => log.say(Severity::Error, error.to_string()),
    }
    let tasks: BTreeMap<&str, &TaskRecord> =
        tasks.iter().map(|task| (task.task_id.as_str(), task)).collect();
    for event in events {
        log.at = event.at;
        log.happening(&event.what, &tasks);
    }
    log.at = build.ended.unwrap_or(log.at);
    log.end(build);
    log.entries
}

struct Log {
    at: OffsetDateTime,
    entries: Vec<LogEntry>,
}

impl Log {
    fn say(&mut self, severity: Severity, text: String) {
        self.entries.push(LogEntry { at: self.at, severity, text });
    }

    fn info(&mut self, text: String) {
        self.say(Severity::Info, text);
    }

    fn plan(&mut self, plan: &BuildPlan, output: &str) {
        let media = &plan.media;
        self.info(format!(
            "Creating prestaged media '{}' (OEMMedia, launch mode HD) for site {}: {output}",
            plan.name, plan.site_code
        ));
        self.info(format!(
            "{} media, management points: {}",
            media.mode,
            media.management_points.join(", ")
        ));
        let about = &plan.about;
        self.info(format!(
            "Created by '{}', version '{}', comment '{}'",
            about.created_by, about.version, about.comment
        ));
        let yes = |flag| if flag { "yes" } else { "no" };
        self.info(format!(
            "Unattended: {}; unknown computer support: {}; user device affinity: {}",
            yes(plan.unattended),
            yes(media.unknown_computers),
            media.user_device_affinity
        ));
        self.protection(plan);
        let sequence = &plan.task_sequence;
        self.info(format!(
            "Task sequence {} '{}' version {}",
            sequence.id, sequence.name, sequence.version
        ));
        self.image("Boot image", &plan.boot_image);
        self.image("OS image", &plan.os_image);
        plan.contents.iter().for_each(|content| self.content(content));
        for name in &plan.variable_names {
            self.info(format!("Setting TS environment variable {name} = {MASK}"));
        }
        if let Some(prestart) = &media.prestart {
            let package = prestart.package.as_deref().unwrap_or("none");
            self.info(format!("Prestart command: {}; package: {package}", prestart.command));
        }
        plan.warnings.iter().for_each(|warning| self.say(Severity::Warning, warning.clone()));
        plan.notes.iter().for_each(|note| self.info(note.clone()));
    }

    fn protection(&mut self, plan: &BuildPlan) {
        match plan.password_protected {
            true => self.info("The media is protected with a password".into()),
            false => self.say(Severity::Warning, "The media has no password".into()),
        }
        let certificate = &plan.certificate;
        let kind = match certificate.kind {
            CertificateKind::SelfSigned => "Self-signed",
            CertificateKind::Pki => "Imported PKI",
        };
        self.info(format!("Media ID {}", plan.media_guid));
        self.info(format!(
            "{kind} media certificate {}: {}, issued by {}, valid from {} to {}",
            certificate.thumbprint,
            certificate.subject,
            certificate.issuer,
            certificate.start,
            certificate.expiry
        ));
    }

    fn image(&mut self, what: &str, image: &PlannedImage) {
        self.info(format!(
            "{what} {} '{}', index {} '{}', {}, SHA-256 {}",
            image.content.content_id,
            image.content.name,
            image.index,
            image.image_name,
            image.architecture,
            image.wim_sha256
        ));
    }

    fn content(&mut self, content: &PlannedContent) {
        self.info(format!(
            "Content {} ({} '{}'): {} files, {} bytes, on {}; {}",
            content.content_id,
            content.kind,
            content.name,
            content.files,
            content.bytes,
            content.distribution_points.join(", "),
            content.reasons.join("; ")
        ));
    }

    fn happening(&mut self, what: &Happening, tasks: &BTreeMap<&str, &TaskRecord>) {
        let label = |task_id: &str| {
            let task = tasks.get(task_id);
            task.map_or_else(
                || task_id.to_owned(),
                |task| format!("{} ({})", task.label, task.kind),
            )
        };
        match what {
            Happening::Leased { task_id, generation: 1, worker } => {
                self.info(format!("Began {} on {worker}", label(task_id)));
            }
            Happening::Leased { task_id, generation, worker } => {
                self.info(format!("Began {} on {worker}, attempt {generation}", label(task_id)));
            }
            Happening::Registered { before: false } => {
                self.info("Registered the media certificate with the site".into());
            }
            Happening::Registered { before: true } => {
                self.info("The site knows the media certificate already".into());
            }
            Happening::Done { task_id } => {
                let result = tasks.get(task_id.as_str()).and_then(|task| task.result.as_ref());
                self.done(&label(task_id), result);
            }
            Happening::Failed { task_id, worker, what } => self
                .say(Severity::Warning, format!("{} failed on {worker}: {what}", label(task_id))),
            Happening::Lost { task_id, worker } => self.say(
                Severity::Warning,
                format!(
                    "{} is given to another worker: {worker} has not been heard of",
                    label(task_id)
                ),
            ),
        }
    }

    fn done(&mut self, label: &str, result: Option<&v1::TaskResult>) {
        let Some(result) = result else {
            return self.info(format!("Finished {label}"));
        };
        for remark in &result.remarks {
            self.say(Severity::Warning, format!("{label}: {remark}"));
        }
        let how = match &result.work {
            _ if result.reused => ": it was there already".to_owned(),
            Some(task_result::Work::Pack(pack)) => format!(
                ": {} bytes of content checked and packed in {} bytes",
                pack.content_bytes, pack.pack_bytes
            ),
            Some(task_result::Work::Assemble(assembled)) => {
                let bytes: u64 = assembled.volumes.iter().map(|volume| volume.bytes).sum();
                format!(": {bytes} bytes in {} file(s)", assembled.volumes.len())
            }
            _ => String::new(),
        };
        self.info(format!("Finished {label}{how}"));
    }

    fn end(&mut self, build: &BuildRecord) {
        match build.state {
            BuildState::Running => {}
            BuildState::Done => {
                self.info(format!("Media creation completed: {}", build.output));
                self.info("CreateTsMedia finished with error code 0x00000000".into());
            }
            BuildState::Cancelled => {
                self.say(
                    Severity::Error,
                    "Media creation was cancelled; no media was written".into(),
                );
            }
            BuildState::Failed => {
                let failure = build.failure.clone().unwrap_or_default();
                let parts = [failure.what, failure.r#where, failure.advice];
                let told: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
                self.say(Severity::Error, format!("Failed to create media: {}", told.join("; ")));
            }
        }
    }
}
