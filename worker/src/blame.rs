//! Whose fault a failure is: the task's, or this machine's.

use std::path::PathBuf;

use prestage_proto::v1;
use prestage_store::{
    StoreError,
    pack::{PackWriteError, PublishError},
};
use prestage_wim::WimError;

use crate::{
    health::{Sign, sign_of},
    tasks::TaskError,
};

/// What a worker says of its machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The worker's name.
    pub name: String,
    /// Where it stages packs.
    pub staging: PathBuf,
    /// Nobody else could do its tasks: it goes on whatever happens, so that a build on one machine
    /// ends with an error instead of waiting for somebody to repair the disk.
    pub sole: bool,
}

impl Machine {
    /// A task's failure as the coordinator is told it, and what it says of this worker.
    pub fn blame(&self, error: TaskError, task_id: &str) -> (v1::Failure, Sign) {
        let own = self.own_fault(&error);
        let never_fits = matches!(error, TaskError::NoRoom(_));
        let subject = match &error {
            TaskError::Content { content_id, .. } => content_id.clone(),
            _ => task_id.to_owned(),
        };
        let failure = v1::Failure::from(error);
        if self.sole {
            return (failure, Sign::None);
        }
        match own {
            Some(problem) => (self.of_machine(failure), Sign::OwnFault(problem)),
            None if never_fits => (failure, Sign::None),
            None => {
                let sign = sign_of(&failure, &subject);
                (failure, sign)
            }
        }
    }

    /// A task that stopped in the middle: it may be its fault or the machine's.
    pub fn stopped(&self, failure: v1::Failure, task_id: &str) -> (v1::Failure, Sign) {
        let sign = if self.sole { Sign::None } else { Sign::Setback(task_id.to_owned()) };
        (failure, sign)
    }

    fn of_machine(&self, failure: v1::Failure) -> v1::Failure {
        let place = match failure.r#where.is_empty() {
            true => format!("worker {}", self.name),
            false => format!("worker {}, {}", self.name, failure.r#where),
        };
        let advice = format!(
            "repair worker {}: it takes no tasks until its staging folder {} can be used",
            self.name,
            self.staging.display()
        );
        let retry = v1::Retry::OtherWorker.into();
        v1::Failure { r#where: place, advice, retry, ..failure }
    }

    /// What is wrong with this machine, if the error shows that.
    fn own_fault(&self, error: &TaskError) -> Option<String> {
        match error {
            TaskError::NoThread(_) | TaskError::Wim { error: WimError::Codec { .. }, .. } => {
                Some(error.to_string())
            }
            TaskError::Store(error)
            | TaskError::Pack(PackWriteError::Store(error))
            | TaskError::Publish(PublishError::Store(error)) => self.of_staging(error),
            _ => None,
        }
    }

    /// Whatever happens to a file in our own staging folder is our fault: there is nobody else.
    fn of_staging(&self, error: &StoreError) -> Option<String> {
        match error {
            StoreError::Io { path, .. } if path.starts_with(&self.staging) => {
                Some(error.to_string())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io, path::Path};

    use super::*;
    use crate::tasks::SourceAttempt;

    fn machine(sole: bool) -> Machine {
        Machine { name: "depot 7".into(), staging: "/var/staging".into(), sole }
    }

    fn io_error(path: &str, kind: io::ErrorKind) -> TaskError {
        let path = Path::new(path).to_owned();
        let store = StoreError::Io { action: "write", path, source: kind.into() };
        PackWriteError::from(store).into()
    }

    #[test]
    fn a_full_staging_disk_is_the_machines_fault_and_another_worker_goes_on() {
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::ReadOnlyFilesystem] {
            let error = io_error("/var/staging/pack-1.tmp", kind);
            let (failure, sign) = machine(false).blame(error, "encode-1");
            assert!(matches!(sign, Sign::OwnFault(_)), "{sign:?}");
            assert_eq!(failure.retry(), v1::Retry::OtherWorker);
            assert!(failure.r#where.contains("depot 7"), "{failure:?}");
            assert!(failure.advice.contains("/var/staging"), "{failure:?}");
        }
    }

    #[test]
    fn a_full_disk_under_the_packs_is_everybodys() {
        let error = io_error("/shared/packs/.staging/pack-1.tmp", io::ErrorKind::StorageFull);
        let (failure, sign) = machine(false).blame(error, "encode-1");
        assert_eq!((failure.retry(), sign), (v1::Retry::Never, Sign::None));
    }

    #[test]
    fn a_sole_worker_never_rests() {
        let error = io_error("/var/staging/pack-1.tmp", io::ErrorKind::StorageFull);
        let (failure, sign) = machine(true).blame(error, "encode-1");
        assert_eq!((failure.retry(), sign), (v1::Retry::Never, Sign::None));
    }

    #[test]
    fn what_can_be_read_nowhere_is_a_setback_and_what_is_wrong_everywhere_is_not() {
        for (wrong_content, expected) in
            [(false, Sign::Setback("PS100012.3".into())), (true, Sign::None)]
        {
            let attempt = SourceAttempt {
                distribution_point: "dp1".into(),
                problem: "it is gone".into(),
                wrong_content,
            };
            let error =
                TaskError::Content { content_id: "PS100012.3".into(), attempts: vec![attempt] };
            assert_eq!(machine(false).blame(error, "encode-1").1, expected);
        }
    }
}
