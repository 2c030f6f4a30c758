//! Some packs are made a second time, by another worker, and compared: a worker that makes wrong ones is
//! found out.

use std::collections::BTreeSet;

use prestage_proto::v1::{self, task::Work};
use prestage_store::PackKey;
use rand::{TryRng, rngs::SysRng};
use sha2::{Digest, Sha256};

use super::{NewTask, PipelineError};

/// Which encode tasks of a build are done over again.
#[derive(Clone, Debug)]
pub(super) struct SecondOpinion {
    percent: u8,
    /// Nobody knows it, so no worker can tell which of its packs will be looked at.
    secret: [u8; 32],
    /// Packs that workers did not agree on before.
    suspects: BTreeSet<PackKey>,
}

impl SecondOpinion {
    /// So many per cent of a build's encode tasks.
    pub fn of(percent: u8) -> Result<Self, PipelineError> {
        let mut secret = [0; 32];
        let random = SysRng.try_fill_bytes(&mut secret);
        random.map_err(|error| PipelineError::Random(error.to_string()))?;
        Ok(Self { percent, secret, suspects: BTreeSet::new() })
    }

    /// And on each of these packs, however few others are done over again.
    #[must_use]
    pub fn on_all_of(self, suspects: BTreeSet<PackKey>) -> Self {
        Self { suspects, ..self }
    }

    /// Whether a pack must not be taken as it is there.
    pub fn suspects(&self, pack: &PackKey) -> bool {
        self.suspects.contains(pack)
    }

    /// Whether a pack may be one of those that are made twice, as far as workers can tell. Of one that is
    /// found there nobody knows whose it is: whoever finds it then makes it, too, so that it is known at
    /// least who can't give the second opinion.
    pub fn may_be_on(&self, pack: &PackKey) -> bool {
        self.percent > 0 || self.suspects(pack)
    }

    /// The task that does an encode task over again, if it is one of those.
    pub fn on(&self, encode: &NewTask) -> Option<NewTask> {
        let Some(Work::Encode(task)) = &encode.payload.work else {
            return None;
        };
        let is_suspect = task.pack_key.parse().is_ok_and(|pack| self.suspects(&pack));
        // What is there already was made for another build.
        if encode.result.is_some() || !(is_suspect || self.chooses(&task.pack_key)) {
            return None;
        }
        let work = Work::Verify(v1::VerifyTask { encode: Some(task.clone()) });
        Some(NewTask {
            task_id: encode.task_id.replacen("encode", "verify", 1),
            kind: "verify".into(),
            label: format!("{}, a second time", encode.label),
            work_key: opinion_key(&task.pack_key),
            payload: v1::Task { work: Some(work), ..encode.payload.clone() },
            deps: vec![encode.task_id.clone()],
            bytes_total: encode.bytes_total,
            result: None,
            generation: 0,
        })
    }

    fn chooses(&self, pack_key: &str) -> bool {
        let digest = Sha256::new().chain_update(self.secret).chain_update(pack_key).finalize();
        let draw = digest.iter().take(8).fold(0u64, |draw, byte| draw << 8 | u64::from(*byte));
        draw % 100 < u64::from(self.percent)
    }
}

/// The pack that a task gives a second opinion on, if it is one of those.
pub fn opinion_on(task: &v1::Task) -> Option<&str> {
    match &task.work {
        Some(Work::Verify(v1::VerifyTask { encode: Some(encode), .. })) => Some(&encode.pack_key),
        _ => None,
    }
}

/// The work that a second opinion on a pack is.
pub fn opinion_key(pack_key: &str) -> String {
    format!("verify {pack_key}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_as_many_as_asked_for_are_chosen_and_other_ones_each_time() {
        let chosen = |opinion: &SecondOpinion| {
            let keys = (0..1000).map(|number| number.to_string());
            keys.filter(|key| opinion.chooses(key)).collect::<Vec<_>>()
        };
        let of = |percent| SecondOpinion::of(percent).unwrap();
        assert_eq!(chosen(&of(0)).len(), 0);
        assert_eq!(chosen(&of(100)).len(), 1000);
        let tenth = chosen(&of(10));
        // Six standard deviations.
        assert!((40..160).contains(&tenth.len()), "{}", tenth.len());
        assert_ne!(chosen(&of(10)), tenth);
    }
}
