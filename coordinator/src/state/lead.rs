//! Which of several coordinators leads.
//!
//! The lead is a lease in the state itself, judged by the database's clock alone. Each time it is
//! taken its epoch grows, and every write names the epoch that it is made in: one who has lost the
//! lead without having noticed changes nothing.

/// One taking of the lead. Nobody ever leads in [`Epoch::NONE`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub i64);

impl Epoch {
    /// Of those who have not taken the lead.
    pub const NONE: Self = Self(0);
}

/// One who would lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Nobody else's at the same time. Its own lease, of a process before it, is not in its way.
    pub name: String,
    /// Where other coordinators reach it.
    pub address: String,
}

/// What became of an attempt to take the lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leadership {
    /// The candidate leads.
    Active {
        /// From now on, in this epoch.
        epoch: Epoch,
    },
    /// Somebody else does.
    Standby {
        /// Where the leader is reached.
        leader: String,
    },
}
