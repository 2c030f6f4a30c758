//! Security descriptors as a Windows volume has them: valid, self-relative, in few kinds.

/// The kinds that the sample's files share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Security {
    /// The root: users may look, authenticated users may make folders.
    Root,
    /// System files: TrustedInstaller owns them, all others read.
    System,
    /// Data of users, with inherited rights.
    Shared,
    /// For SYSTEM and administrators only, with auditing.
    Private,
}

impl Security {
    /// Its bytes. The comments are SDDL.
    pub(crate) fn descriptor(self) -> Vec<u8> {
        match self {
            // O:TI G:TI D:PAI(A;;0x100004;;;AU)(A;OICIIO;0x130116;;;AU)(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)
            Self::Root => descriptor(
                &TRUSTED_INSTALLER,
                PROTECTED,
                None,
                &[
                    ace(ALLOW, 0, 0x10_0004, &AUTHENTICATED_USERS),
                    ace(ALLOW, INHERIT | INHERIT_ONLY, 0x13_0116, &AUTHENTICATED_USERS),
                    ace(ALLOW, INHERIT, FULL, &SYSTEM),
                    ace(ALLOW, INHERIT, FULL, &ADMINISTRATORS),
                    ace(ALLOW, INHERIT, READ_AND_EXECUTE, &USERS),
                ],
            ),
            // O:TI G:TI D:PAI(A;;FA;;;TI)(A;;0x1200a9;;;SY)(A;;0x1200a9;;;BA)(A;;0x1200a9;;;BU)
            Self::System => descriptor(
                &TRUSTED_INSTALLER,
                PROTECTED,
                None,
                &[
                    ace(ALLOW, 0, FULL, &TRUSTED_INSTALLER),
                    ace(ALLOW, 0, READ_AND_EXECUTE, &SYSTEM),
                    ace(ALLOW, 0, READ_AND_EXECUTE, &ADMINISTRATORS),
                    ace(ALLOW, 0, READ_AND_EXECUTE, &USERS),
                ],
            ),
            // O:SY G:SY D:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;0x1301bf;;;AU)
            Self::Shared => descriptor(
                &SYSTEM,
                AUTO_INHERITED,
                None,
                &[
                    ace(ALLOW, INHERITED, FULL, &SYSTEM),
                    ace(ALLOW, INHERITED, FULL, &ADMINISTRATORS),
                    ace(ALLOW, INHERITED, 0x13_01bf, &AUTHENTICATED_USERS),
                ],
            ),
            // O:SY G:SY D:P(A;;FA;;;SY)(A;;FA;;;BA) S:(AU;SAFA;FA;;;WD)
            Self::Private => descriptor(
                &SYSTEM,
                PROTECTED,
                Some(&[ace(AUDIT, AUDIT_BOTH, FULL, &EVERYONE)]),
                &[ace(ALLOW, 0, FULL, &SYSTEM), ace(ALLOW, 0, FULL, &ADMINISTRATORS)],
            ),
        }
    }
}

/// A security identifier: authority, then subauthorities.
struct Sid(u8, &'static [u32]);

const EVERYONE: Sid = Sid(1, &[0]);
const SYSTEM: Sid = Sid(5, &[18]);
const AUTHENTICATED_USERS: Sid = Sid(5, &[11]);
const ADMINISTRATORS: Sid = Sid(5, &[32, 544]);
const USERS: Sid = Sid(5, &[32, 545]);
/// The service SID of `TrustedInstaller`, the same on every Windows.
const TRUSTED_INSTALLER: Sid =
    Sid(5, &[80, 956_008_885, 3_418_522_649, 1_831_038_044, 1_853_292_631, 2_271_478_464]);

impl Sid {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![1, self.1.len() as u8, 0, 0, 0, 0, 0, self.0];
        bytes.extend(self.1.iter().flat_map(|part| part.to_le_bytes()));
        bytes
    }
}

const ALLOW: u8 = 0;
const AUDIT: u8 = 2;
/// `OICI`: files and folders below inherit it.
const INHERIT: u8 = 0x03;
/// `IO`.
const INHERIT_ONLY: u8 = 0x08;
/// `ID`.
const INHERITED: u8 = 0x10;
/// `SAFA`.
const AUDIT_BOTH: u8 = 0xc0;
/// `FILE_ALL_ACCESS`.
const FULL: u32 = 0x1f_01ff;
const READ_AND_EXECUTE: u32 = 0x12_00a9;
/// `SE_DACL_PROTECTED | SE_DACL_AUTO_INHERITED`.
const PROTECTED: u16 = 0x1400;
/// `SE_DACL_AUTO_INHERITED`.
const AUTO_INHERITED: u16 = 0x0400;

fn ace(kind: u8, flags: u8, mask: u32, sid: &Sid) -> Vec<u8> {
    let sid = sid.bytes();
    let mut bytes = vec![kind, flags];
    bytes.extend_from_slice(&(8 + sid.len() as u16).to_le_bytes());
    bytes.extend_from_slice(&mask.to_le_bytes());
    bytes.extend_from_slice(&sid);
    bytes
}

fn acl(aces: &[Vec<u8>]) -> Vec<u8> {
    let total = 8 + aces.iter().map(Vec::len).sum::<usize>();
    let mut bytes = vec![2, 0];
    bytes.extend_from_slice(&(total as u16).to_le_bytes());
    bytes.extend_from_slice(&(aces.len() as u16).to_le_bytes());
    bytes.extend_from_slice(&[0, 0]);
    bytes.extend(aces.iter().flatten());
    bytes
}

/// `SECURITY_DESCRIPTOR_RELATIVE`: header, SACL, DACL, owner, group, as Windows orders them.
fn descriptor(owner: &Sid, control: u16, sacl: Option<&[Vec<u8>]>, dacl: &[Vec<u8>]) -> Vec<u8> {
    const SELF_RELATIVE: u16 = 0x8000;
    const DACL_PRESENT: u16 = 0x0004;
    const SACL_PRESENT: u16 = 0x0010;
    let (sacl, dacl, owner) = (sacl.map(acl), acl(dacl), owner.bytes());
    let sacl_bytes = sacl.as_ref().map_or(0, Vec::len);
    let dacl_at = 20 + sacl_bytes;
    let owner_at = dacl_at + dacl.len();
    let group_at = owner_at + owner.len();
    let sacl_at = if sacl_bytes == 0 { 0 } else { 20 };
    let sacl_flag = if sacl_bytes == 0 { 0 } else { SACL_PRESENT };
    let control = control | SELF_RELATIVE | DACL_PRESENT | sacl_flag;
    let mut bytes = vec![1, 0];
    bytes.extend_from_slice(&control.to_le_bytes());
    for offset in [owner_at, group_at, sacl_at, dacl_at] {
        bytes.extend_from_slice(&(offset as u32).to_le_bytes());
    }
    bytes.extend(sacl.into_iter().flatten());
    bytes.extend_from_slice(&dacl);
    bytes.extend_from_slice(&owner);
    bytes.extend_from_slice(&owner);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_has_the_bytes_that_windows_gives_it() {
        // O:SYG:SYD:P(A;;FA;;;SY)
        let made = descriptor(&SYSTEM, 0x1000, None, &[ace(ALLOW, 0, FULL, &SYSTEM)]);
        let sid = [1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0];
        let mut expected = vec![1, 0, 4, 0x90, 48, 0, 0, 0, 60, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0];
        expected.extend([2, 0, 28, 0, 1, 0, 0, 0, 0, 0, 20, 0, 0xff, 1, 0x1f, 0]);
        expected.extend([sid, sid, sid].concat());
        assert_eq!(made, expected);
    }

    #[test]
    fn the_kinds_differ() {
        const KINDS: [Security; 4] =
            [Security::Root, Security::System, Security::Shared, Security::Private];
        let mut all: Vec<_> = KINDS.map(Security::descriptor).into();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 4);
    }
}
