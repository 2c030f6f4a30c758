//! OS images that can't be taken over as they are: what that costs.

use prestage_configmgr::resolve::ResolvedContent;
use prestage_wim::codec::{CHUNK_BYTES, Codec, Format, Profile};

use super::{PlannedCodec, images::ImageFile};

/// The codec of a medium: its format and chunk size are those of the OS image, whose resources are
/// taken over as they are. Where they can't be, or nothing in it is compressed, the choice is free.
pub fn medium_codec(profile: Profile, os: &ImageFile) -> Codec {
    let free = if profile == Profile::Fast { Format::Xpress } else { Format::Lzx };
    let format = match os.obstacle {
        Some(_) => Format::Lzx,
        None => os.format.unwrap_or(free),
    };
    profile.codec(format, CHUNK_BYTES)
}

/// Tells of an OS image that is encoded anew: what, why, and about what it costs.
pub fn notice(content: &ResolvedContent, os: &ImageFile, codec: &PlannedCodec) -> Option<String> {
    let obstacle = os.obstacle?;
    let (package, file) = (&content.object_id, &os.files[0].path);
    let megabytes = os.content_bytes / 1_000_000;
    let minutes = megabytes.div_ceil(megabytes_a_minute(&codec.profile)).max(1);
    let unit = if minutes == 1 { "minute" } else { "minutes" };
    Some(format!(
        "the OS image {package} '{file}' can't be taken over as it is: {obstacle}. Its {megabytes} \
         MB of content are encoded to LZX in chunks of 32 KiB, which costs about {minutes} {unit} \
         of one core, once; 'dism /Export-Image /Compress:max' to a .wim file saves that"
    ))
}

/// Content that one core unpacks and encodes in a minute, good to a factor of two: from what LZMS
/// unpacks in a second (150 MB) and what LZX at the profile's level takes (130, 90 and 11 MB).
fn megabytes_a_minute(profile: &str) -> u64 {
    match profile {
        "fast" => 3_700,
        "thorough" => 600,
        _ => 3_000,
    }
}
