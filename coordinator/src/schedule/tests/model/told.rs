//! Events as a person reads them when a history was shrunk: one a line, and only what is out of the ordinary.

use std::fmt::{Debug, Formatter, Result};

use super::events::{Call, Database, Event, Knows, Planned, Reaches};

impl Debug for Event {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Add { requester, priority, tasks } => {
                write!(f, "requester {requester} adds a build of priority {priority}: {tasks:?}")
            }
            Self::Follow { build, task } => write!(f, "build {build} gets {task:?}"),
            Self::Call(call) => write!(f, "{call:?}"),
            Self::Cancel { build } => write!(f, "build {build} is cancelled"),
            Self::Time { seconds } => write!(f, "{seconds} s pass"),
            Self::Expire => write!(f, "the silent are looked for"),
            Self::Restart => write!(f, "the coordinator is started anew"),
        }
    }
}

impl Debug for Planned {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { kind, after, content, work, mib } = self;
        write!(f, "{kind:?} of {mib} MiB from {content:?}")?;
        for (back, _) in [1, 2].iter().zip(after).filter(|(_, after)| **after) {
            write!(f, ", after {back} before")?;
        }
        if *work > 0 { write!(f, ", work {work}") } else { Ok(()) }
    }
}

impl Debug for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "w{} calls with {} slots", self.worker, self.slots)?;
        let odd = [
            (self.draining, "draining"),
            (matches!(self.reach, Reaches::NearDp1), "near dp1"),
            (matches!(self.reach, Reaches::OnlyDp2), "reaches dp2 only"),
            (matches!(self.knows, Knows::Nothing), "of the release before"),
            (matches!(self.knows, Knows::Opinions), "knows verify only"),
            (self.forgets, "started anew"),
            (!self.stopped, "has not stopped"),
            (self.database == Database::NoLeases, "its leases are not written"),
            (self.database == Database::NoShared, "shared results are not written"),
        ];
        for (_, what) in odd.iter().filter(|(is, _)| *is) {
            write!(f, ", {what}")?;
        }
        for (back, news) in &self.news {
            write!(f, "; of its lease {back} back: {news:?}")?;
        }
        Ok(())
    }
}
