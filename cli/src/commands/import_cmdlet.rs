//! `prestage import-cmdlet`: a spec from the wizard's cmdlet or command line.

use std::{
    fs::OpenOptions,
    io::{self, Read, Write as _},
    path::Path,
};

use prestage_wizard::{Draft, import};
use serde_json::{Value, json};

use crate::{args::ImportCmdletArgs, error::CliError, output::Output};

/// A script that makes media has some KiB.
const SCRIPT_BYTES_MAX: u64 = 4 << 20;

/// Imports the one command of a script, and names what it could not carry over.
pub fn import_cmdlet(args: &ImportCmdletArgs, output: Output) -> Result<(), CliError> {
    let text = read(&args.script)?;
    let wrong = |what: String| CliError::wrong(what, "").at(args.script.display().to_string());
    let mut drafts = import(&text).map_err(|error| wrong(error.to_string()))?;
    let (count, draft) = (drafts.len(), drafts.swap_remove(0));
    if count > 1 {
        return Err(wrong(format!("{count} commands make media in it; give them one at a time")));
    }
    let spec = draft.to_toml();
    for left in &draft.not_carried {
        eprintln!("not carried over: {}: {}", left.what, left.why);
    }
    if let Some(path) = &args.output {
        save(path, &spec, args.force)?;
        eprintln!("spec saved as {}; check it: prestage plan {0} --site SITE", path.display());
    }
    let document = json!({ "spec": spec, "not_carried": not_carried(&draft) });
    output.print(&document, |_| if args.output.is_none() { spec.clone() } else { String::new() })
}

fn not_carried(draft: &Draft) -> Vec<Value> {
    let left = draft.not_carried.iter();
    left.map(|left| json!({ "what": left.what, "why": left.why })).collect()
}

/// Scripts are UTF-8, or what Windows' editors write besides.
fn read(path: &Path) -> Result<String, CliError> {
    let mut bytes = Vec::new();
    // One byte more shows a script that is too long.
    let most = SCRIPT_BYTES_MAX + 1;
    let got = match path == Path::new("-") {
        true => io::stdin().take(most).read_to_end(&mut bytes),
        false => std::fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes)),
    };
    let wrong = |problem: String| {
        CliError::wrong(format!("{} can't be read: {problem}", path.display()), "name the script")
    };
    got.map_err(|error| wrong(error.to_string()))?;
    if bytes.len() as u64 > SCRIPT_BYTES_MAX {
        return Err(wrong(format!("it has more than {SCRIPT_BYTES_MAX} bytes")));
    }
    prestage_configmgr::text::decode(&bytes).map_err(|error| wrong(error.to_string()))
}

fn save(path: &Path, spec: &str, force: bool) -> Result<(), CliError> {
    let mut options = OpenOptions::new();
    options.write(true).create(force).create_new(!force).truncate(force);
    let written = options.open(path).and_then(|mut file| file.write_all(spec.as_bytes()));
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => CliError::wrong(
            format!("{} exists already", path.display()),
            "give --force to write over it",
        ),
        _ => CliError::failed(
            format!("{} can't be written: {error}", path.display()),
            "name another file",
        ),
    })
}
