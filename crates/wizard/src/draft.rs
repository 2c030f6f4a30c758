//! A spec in the making: what a command line says, and what it could not say.

use std::fmt::Write as _;

/// Something that a spec can't carry, or that has to be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotCarried {
    /// The parameter or switch, as people know it.
    pub what: String,
    /// Why not, and what to do. No password is in it.
    pub why: String,
}

/// A media spec, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draft {
    /// The medium's name.
    pub name: Option<String>,
    /// Package ID of the task sequence.
    pub task_sequence: Option<String>,
    /// Package ID of the boot image.
    pub boot_image: Option<String>,
    /// Package ID of the OS image.
    pub os_image: Option<String>,
    /// Index in the OS image.
    pub os_index: Option<u32>,
    /// Model names.
    pub applications: Vec<String>,
    /// Package IDs.
    pub packages: Vec<String>,
    /// Package IDs.
    pub driver_packages: Vec<String>,
    /// Whether dependencies are added.
    pub dependencies: bool,
    /// Server names.
    pub distribution_points: Vec<String>,
    /// Whether the media is site-based.
    pub site_based: bool,
    /// Addresses.
    pub management_points: Vec<String>,
    /// No prompts.
    pub unattended: bool,
    /// Created by.
    pub created_by: Option<String>,
    /// Version.
    pub version: Option<String>,
    /// Comment.
    pub comment: Option<String>,
    /// Unknown computers may use it.
    pub unknown_computers: bool,
    /// Whether there is a password; it is never kept.
    pub password: bool,
    /// The PKCS#12 file.
    pub certificate: Option<String>,
    /// Start and expiry of a self-signed certificate, RFC 3339.
    pub validity: (Option<String>, Option<String>),
    /// `do-not-allow`, `administrator-approval`, `auto-approval`.
    pub affinity: Option<&'static str>,
    /// The administrator's variables.
    pub variables: Vec<(String, String)>,
    /// The prestart command.
    pub prestart: Option<String>,
    /// Its package.
    pub prestart_package: Option<String>,
    /// Where the medium goes.
    pub output: Option<String>,
    /// Where temporary data goes.
    pub staging_folder: Option<String>,
    /// What could not be carried over.
    pub not_carried: Vec<NotCarried>,
}

/// What a TOML comment can hold: neither ends of lines nor other control characters.
fn in_comment(text: &str) -> String {
    text.replace(char::is_control, " ")
}

impl Draft {
    /// Notes something that could not be carried over.
    pub fn leave_out(&mut self, what: &str, why: impl Into<String>) {
        self.not_carried.push(NotCarried { what: what.to_owned(), why: why.into() });
    }

    /// Sets a variable; when it is given again, the last value counts. Names are the same in any case.
    pub fn variable(&mut self, name: &str, value: String) {
        let known = self.variables.iter().position(|(known, _)| known.eq_ignore_ascii_case(name));
        if let Some(known) = known {
            self.variables.remove(known);
            self.leave_out(&format!("a first value of variable {name}"), "it is given twice");
        }
        self.variables.push((name.to_owned(), value));
    }

    /// The spec as TOML, with a comment for all that could not be carried over. It lacks what the
    /// command line did not say: reading it tells.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::from(
            "# Made by prestage import-cmdlet. Check it: prestage plan FILE --site SITE\n",
        );
        for NotCarried { what, why } in &self.not_carried {
            let _ = writeln!(text, "# NOT CARRIED OVER: {}: {}", in_comment(what), in_comment(why));
        }
        let mut out = Lines(text);
        out.blank();
        out.needed("name", self.name.as_deref(), "w11-model");
        out.needed("task_sequence", self.task_sequence.as_deref(), "PS100123");
        out.needed("boot_image", self.boot_image.as_deref(), "PS100005");
        match &self.os_image {
            Some(package) => {
                let index = self.os_index.unwrap_or(1);
                out.line(&format!(
                    "os_image = {{ package = {}, index = {index} }}",
                    quoted(package)
                ));
            }
            None => out.line(
                "# os_image = { package = \"PS100010\", index = 1 }   # put its package ID here",
            ),
        }
        out.list("applications", &self.applications);
        out.list("packages", &self.packages);
        out.list("driver_packages", &self.driver_packages);
        out.flag("detect_application_dependencies", self.dependencies);
        out.list("distribution_points", &self.distribution_points);
        if self.distribution_points.is_empty() {
            out.line("# distribution_points = [\"dp1.corp.example\"]   # name those that hold the content");
        }
        self.media(&mut out);
        self.security(&mut out);
        self.customization(&mut out);
        if self.output.is_some() || self.staging_folder.is_some() {
            out.blank();
            out.line("[output]");
            out.text("file", self.output.as_deref());
            out.text("staging_folder", self.staging_folder.as_deref());
        }
        out.0
    }

    fn media(&self, out: &mut Lines) {
        out.blank();
        out.line("[media]");
        out.line(if self.site_based { "mode = \"site-based\"" } else { "mode = \"dynamic\"" });
        out.list("management_points", &self.management_points);
        if self.management_points.is_empty() {
            out.line(
                "# management_points = [\"http://mp1.corp.example\"]   # in order of priority",
            );
        }
        out.flag("unattended", self.unattended);
        out.text("created_by", self.created_by.as_deref());
        out.text("version", self.version.as_deref());
        out.text("comment", self.comment.as_deref());
    }

    fn security(&self, out: &mut Lines) {
        out.blank();
        out.line("[security]");
        out.flag("unknown_computer_support", self.unknown_computers);
        match self.password {
            true => out.line("password = { env = \"MEDIA_PASSWORD\" }   # set it before prestage runs; or { file = \"…\" }"),
            false => out.line("no_password = true   # whoever has the medium can read its certificate"),
        }
        if let Some(file) = &self.certificate {
            let file = quoted(file);
            out.line(&format!("certificate = {{ pkcs12 = {{ file = {file}, password = {{ env = \"PFX_PASSWORD\" }} }} }}"));
        } else if self.validity != (None, None) {
            let part =
                |name: &str, at: &Option<String>| at.as_ref().map(|at| format!("{name} = {at}"));
            let parts = [part("start", &self.validity.0), part("expiry", &self.validity.1)];
            let parts: Vec<String> = parts.into_iter().flatten().collect();
            out.line(&format!("certificate = {{ self_signed = {{ {} }} }}", parts.join(", ")));
        }
        out.text("user_device_affinity", self.affinity);
    }

    fn customization(&self, out: &mut Lines) {
        if self.variables.is_empty() && self.prestart.is_none() {
            return;
        }
        out.blank();
        out.line("[customization]");
        if let Some(command) = &self.prestart {
            let command = quoted(command);
            let package = self.prestart_package.as_ref();
            let package =
                package.map_or_else(String::new, |id| format!(", package = {}", quoted(id)));
            out.line(&format!("prestart = {{ command = {command}{package} }}"));
        }
        if !self.variables.is_empty() {
            out.blank();
            out.line("[customization.variables]");
            for (name, value) in &self.variables {
                out.line(&format!("{} = {}", quoted(name), quoted(value)));
            }
        }
    }
}

struct Lines(String);

impl Lines {
    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn blank(&mut self) {
        self.0.push('\n');
    }

    fn text(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.line(&format!("{key} = {}", quoted(value)));
        }
    }

    fn needed(&mut self, key: &str, value: Option<&str>, example: &str) {
        match value {
            Some(_) => self.text(key, value),
            None => self.line(&format!("# {key} = \"{example}\"   # put it here")),
        }
    }

    fn list(&mut self, key: &str, values: &[String]) {
        if !values.is_empty() {
            let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
            self.line(&format!("{key} = [{}]", values.join(", ")));
        }
    }

    fn flag(&mut self, key: &str, value: bool) {
        if value {
            self.line(&format!("{key} = true"));
        }
    }
}

/// A TOML string on one line.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
