//! Following a build to its end, whichever coordinator it is that ends it.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use prestage_proto::v1;
use tokio::time::Instant;
use tonic::{Code, Status};

use crate::{
    connect::{Client, Connection},
    error::CliError,
    progress::Progress,
};

/// So often in a row a build is watched anew.
const AGAIN_MAX: usize = 12;
/// Watching that went on for so long was no failure.
const LASTING: Duration = Duration::from_secs(10);

/// What Ctrl-C means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// The first cancels the build, the second leaves at once.
    Cancels,
    /// It only stops watching.
    Leaves,
}

/// Follows a build to its end. With several coordinators it goes on at the next one when the one
/// that it watches ends.
pub async fn follow(
    connection: &mut Connection,
    build_id: &str,
    interrupt: Interrupt,
) -> Result<v1::Build, CliError> {
    let go_on = connection.go_on;
    let mut following = Following {
        client: &mut connection.client,
        build_id,
        interrupt,
        cancelled: false,
        progress: Progress::new(),
        last: None,
    };
    let mut pauses = pauses();
    loop {
        let started = Instant::now();
        let stopped = following.watch().await?;
        let ended = following.last.as_ref().is_some_and(is_ended);
        if started.elapsed() > LASTING {
            pauses = self::pauses();
        }
        let pause = pauses.next().filter(|_| go_on && !ended && stopped.may_go_on());
        match (pause, stopped) {
            (Some(pause), _) => {
                following.progress.say("the coordinator has ended; asking the next one");
                tokio::time::sleep(pause).await;
            }
            (None, Stopped::Failed(status)) if !ended => return Err((*status).into()),
            (None, _) => break,
        }
    }
    following.progress.finish();
    let nothing = || CliError::failed("the coordinator said nothing of the build", "");
    following.last.ok_or_else(nothing)
}

fn is_ended(build: &v1::Build) -> bool {
    !matches!(build.state(), v1::BuildState::Running | v1::BuildState::Unspecified)
}

fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(Duration::from_secs(3))
        .with_max_times(AGAIN_MAX)
        .with_jitter()
        .build()
}

/// Why there is nothing more to see.
enum Stopped {
    /// The coordinator ended the stream.
    Ended,
    /// It did not answer, or refused.
    Failed(Box<Status>),
}

impl Stopped {
    /// Whether another coordinator may know more: this one did not answer on purpose.
    fn may_go_on(&self) -> bool {
        match self {
            Self::Ended => true,
            Self::Failed(status) => matches!(
                status.code(),
                Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal
            ),
        }
    }
}

struct Following<'a> {
    client: &'a mut Client,
    build_id: &'a str,
    interrupt: Interrupt,
    cancelled: bool,
    progress: Progress,
    last: Option<v1::Build>,
}

impl Following<'_> {
    /// Shows the build until nothing more comes.
    async fn watch(&mut self) -> Result<Stopped, CliError> {
        let mut client = self.client.clone();
        let request = v1::WatchBuildRequest { build_id: self.build_id.to_owned() };
        let mut asked = Box::pin(client.watch_build(request));
        let asked = loop {
            tokio::select! {
                asked = &mut asked => break asked,
                _ = tokio::signal::ctrl_c() => self.interrupted().await?,
            }
        };
        let mut shown = match asked {
            Ok(shown) => shown.into_inner(),
            Err(status) => return Ok(Stopped::Failed(Box::new(status))),
        };
        loop {
            tokio::select! {
                message = shown.message() => match message {
                    Ok(Some(v1::WatchBuildResponse { build: Some(build) })) => {
                        self.progress.show(&build);
                        self.last = Some(build);
                    }
                    Ok(Some(_)) => {}
                    Ok(None) => return Ok(Stopped::Ended),
                    Err(status) => return Ok(Stopped::Failed(Box::new(status))),
                },
                _ = tokio::signal::ctrl_c() => self.interrupted().await?,
            }
        }
    }

    async fn interrupted(&mut self) -> Result<(), CliError> {
        if self.cancelled || self.interrupt == Interrupt::Leaves {
            let advice = format!("prestage watch {}", self.build_id);
            return Err(CliError::failed("left in the middle", advice));
        }
        self.cancelled = true;
        self.progress.say("cancelling; press Ctrl-C again to leave at once");
        let build_id = self.build_id.to_owned();
        let mut client = self.client.clone();
        tokio::select! {
            cancelled = client.cancel_build(v1::CancelBuildRequest { build_id }) => {
                cancelled?;
                Ok(())
            }
            // It may take a while to find a coordinator.
            _ = tokio::signal::ctrl_c() => {
                let advice = format!("prestage watch {}", self.build_id);
                Err(CliError::failed("left in the middle", advice))
            }
        }
    }
}
