//! A key that only a program has: a client of a KMS, an HSM.
//!
//! The program is asked by its last argument, and answers on standard output:
//!
//! | asked | standard input | standard output |
//! |---|---|---|
//! | `id` | nothing | a name of the key, no secret: another one for another key |
//! | `wrap` | a data key, 32 raw bytes | that key wrapped, raw |
//! | `unwrap` | a wrapped data key, raw | the data key |
//!
//! So no key is ever among arguments, in an environment or in a file. The program has no environment
//! but `PATH`: what this process has there may be secret.

use std::{io::ErrorKind, process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, Command},
    time::timeout,
};
use zeroize::Zeroizing;

use crate::{
    cipher::{Key, key_of},
    error::SealError,
};

/// Longer than any KMS takes to answer, with its client's retries.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// A wrapped key has some hundred bytes.
const ANSWER_BYTES_MAX: usize = 16 << 10;
/// What of a program's own complaint is repeated.
const COMPLAINT_BYTES_MAX: usize = 1 << 10;

/// The program.
pub(crate) struct KeyCommand {
    program: String,
    arguments: Vec<String>,
    within: Duration,
}

impl KeyCommand {
    pub fn new(program: &str, arguments: &[String]) -> Self {
        let (program, arguments) = (program.to_owned(), arguments.to_vec());
        Self { program, arguments, within: ANSWER_WITHIN }
    }

    /// The key's name.
    pub async fn name(&self) -> Result<String, SealError> {
        let answer = self.ask("id", b"").await?;
        let name = std::str::from_utf8(&answer).unwrap_or_default().trim();
        if name.is_empty() {
            return Err(self.failed("id", "gave no name of its key".into()));
        }
        Ok(name.to_owned())
    }

    pub async fn wrap(&self, data_key: &Key) -> Result<Vec<u8>, SealError> {
        let wrapped = self.ask("wrap", &**data_key).await?;
        if wrapped.is_empty() || wrapped.windows(data_key.len()).any(|part| part == **data_key) {
            return Err(self.failed("wrap", "did not encrypt what it was given".into()));
        }
        Ok(wrapped.to_vec())
    }

    pub async fn unwrap(&self, wrapped: &[u8]) -> Result<Key, SealError> {
        let answer = self.ask("unwrap", wrapped).await?;
        let short = || format!("gave {} bytes in place of a key of 32", answer.len());
        key_of(&answer).ok_or_else(|| self.failed("unwrap", short()))
    }

    async fn ask(&self, verb: &'static str, input: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).arg(verb).env_clear().kill_on_drop(true);
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        // A group of its own: what a script has started ends with it.
        command.process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command
            .spawn()
            .map_err(|error| self.failed(verb, format!("can't be started: {error}")))?;
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let answered = timeout(self.within, converse(child, input)).await;
        if answered.is_err()
            && let Some(group) = group
        {
            // It may have ended just now.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let late = || format!("did not end within {} s", self.within.as_secs_f32());
        let answered = answered.map_err(|_| self.failed(verb, late()))?;
        let Conversation { ended, answer, complaint } =
            answered.map_err(|error| self.failed(verb, error.to_string()))?;
        if !ended.success() {
            let said = printable(&complaint);
            return Err(self.failed(verb, format!("ended with {ended}: {said}")));
        }
        if answer.len() > ANSWER_BYTES_MAX {
            return Err(self.failed(verb, "gave far too much".into()));
        }
        Ok(answer)
    }

    fn failed(&self, verb: &'static str, problem: String) -> SealError {
        SealError::KeyCommand { program: self.program.clone(), verb, problem }
    }
}

struct Conversation {
    ended: std::process::ExitStatus,
    answer: Zeroizing<Vec<u8>>,
    complaint: Zeroizing<Vec<u8>>,
}

async fn converse(mut child: Child, input: &[u8]) -> std::io::Result<Conversation> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let told = tell(stdin, input);
    let answer = hear(stdout, ANSWER_BYTES_MAX + 1);
    let complaint = hear(stderr, COMPLAINT_BYTES_MAX);
    let (told, answer, complaint, ended) = tokio::join!(told, answer, complaint, child.wait());
    let conversation = Conversation { ended: ended?, answer: answer?, complaint: complaint? };
    // One that fails need not have listened; one that ended well is judged by its answer.
    match told {
        Err(error) if conversation.ended.success() && error.kind() != ErrorKind::BrokenPipe => {
            return Err(error);
        }
        _ => {}
    }
    Ok(conversation)
}

async fn tell(stdin: Option<ChildStdin>, input: &[u8]) -> std::io::Result<()> {
    match stdin {
        Some(mut stdin) if !input.is_empty() => stdin.write_all(input).await,
        _ => Ok(()),
    }
}

/// Keeps the first `most` bytes and reads on to the end. Room is made once, so that no copy is left
/// anywhere.
async fn hear(
    stream: Option<impl AsyncRead + Unpin>,
    most: usize,
) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut kept = Zeroizing::new(vec![0; most]);
    let mut length = 0;
    let Some(mut stream) = stream else {
        return Ok(Zeroizing::default());
    };
    while length < most {
        match stream.read(&mut kept[length..]).await? {
            0 => break,
            read => length += read,
        }
    }
    kept.truncate(length);
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    Ok(kept)
}

/// A complaint as a line of text.
fn printable(complaint: &[u8]) -> String {
    let text = String::from_utf8_lossy(complaint);
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> KeyCommand {
        KeyCommand::new("sh", &["-c".into(), script.into()])
    }

    #[tokio::test]
    async fn a_failure_says_what_the_program_said_and_no_more() {
        let complaint = "printf 'no such key\\033[31m\\n' >&2; seq 100000 >&2; exit 3";
        let error = shell(complaint).name().await.unwrap_err().to_string();
        assert!(error.contains("exit status: 3: no such key [31m"), "{error}");
        assert!(error.len() < 1200 && !error.contains('\n'), "{error}");
        let error = KeyCommand::new("no-such-program", &[]).name().await.unwrap_err().to_string();
        assert!(error.contains("'no-such-program id' can't be started"), "{error}");
    }

    #[tokio::test]
    async fn one_that_hangs_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let mut hanging = shell(&format!("sleep 600 & echo $! > {}; wait", pid.display()));
        hanging.within = Duration::from_secs(2);
        let error = hanging.name().await.unwrap_err().to_string();
        assert!(error.contains("did not end within 2 s"), "{error}");
        let pid = std::fs::read_to_string(pid).unwrap();
        let process = format!("/proc/{}/stat", pid.trim());
        // It is ended when it is dropped; the runtime takes note of that a little later.
        let ended = || std::fs::read_to_string(&process).map_or(true, |stat| stat.contains(") Z "));
        let begin = std::time::Instant::now();
        while !ended() {
            assert!(begin.elapsed() < Duration::from_secs(60), "it still runs");
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_is_no_wrapping_or_no_key_is_refused() {
        let key = crate::cipher::new_key().unwrap();
        for (script, problem) in [
            ("cat", "did not encrypt"),
            (":", "did not encrypt"),
            ("head -c 20000 /dev/urandom", "far too much"),
        ] {
            let error = shell(script).wrap(&key).await.unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        let error = shell("head -c 31").unwrap(&[7; 64]).await.unwrap_err().to_string();
        assert!(error.contains("31 bytes in place of a key of 32"), "{error}");
    }

    #[tokio::test]
    async fn it_has_no_environment_but_the_path() {
        // The variables of the test's own process are enough.
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let seen = shell("env | cut -d= -f1 | sort | tr '\\n' ' '").name().await.unwrap();
        let own = ["PATH", "PWD", "OLDPWD", "SHLVL", "_"];
        assert!(seen.split_whitespace().all(|name| own.contains(&name)), "{seen}");
        assert!(seen.contains("PATH"), "{seen}");
    }
}
