//! One file for each parser.

mod admin_service;
mod bcd_hive;
mod content_library;
mod driver_inf;
mod folder_listing;
mod pack_index;
mod pkcs12;
mod recipe;
mod site_file;
mod spec_json;
mod spec_toml;
mod task_sequence;
mod upload_token;
mod variables_file;
mod variables_text;
mod wim_blob_table;
mod wim_file;
mod wim_header;
mod wim_integrity;
mod wim_metadata;
mod wim_resource;
mod wim_xml;
mod wizard_lines;

use crate::{Allowance, Target};

/// A reader that takes at most 256 bytes of content for one stored byte, held up to four times
/// (grown vector, its older copy, and what was parsed).
const COMPRESSED: Allowance = Allowance { for_each_byte: 4 * 256, fixed: 24 << 20 };

/// Every parser.
pub static TARGETS: &[Target] = &[
    plain("wim_header", wim_header::check),
    plain("wim_blob_table", wim_blob_table::check),
    plain("wim_metadata", wim_metadata::check),
    plain("wim_xml", wim_xml::check),
    plain("wim_integrity", wim_integrity::check),
    // Content passes through in pieces of a few MiB, or chunks of up to 16 MiB here.
    with("wim_resource", wim_resource::check, Allowance { for_each_byte: 64, fixed: 48 << 20 }),
    with("wim_file", wim_file::check, Allowance { fixed: 64 << 20, ..COMPRESSED }),
    plain("content_library", content_library::check),
    // `{},` becomes a row of a hundred bytes, and two readers hold all rows.
    with("admin_service", admin_service::check, Allowance { for_each_byte: 192, fixed: 4 << 20 }),
    with("site_file", site_file::check, TOML),
    plain("task_sequence", task_sequence::check),
    plain("variables_file", variables_file::check),
    plain("variables_text", variables_text::check),
    plain("bcd_hive", bcd_hive::check),
    plain("driver_inf", driver_inf::check),
    with("folder_listing", folder_listing::check, Allowance { for_each_byte: 192, fixed: 4 << 20 }),
    with("pack_index", pack_index::check, COMPRESSED),
    // Two bytes may be a segment of 48, in vectors that grow, on both sides of the conversion.
    with("recipe", recipe::check, Allowance { for_each_byte: 192, fixed: 4 << 20 }),
    // Keys are parsed into numbers of their own, and the medium's file is made anew.
    plain("pkcs12", pkcs12::check),
    plain("upload_token", upload_token::check),
    with("spec_toml", spec_toml::check, TOML),
    plain("spec_json", spec_json::check),
    with("wizard_lines", wizard_lines::check, TOML),
];

/// `{a` or `a` in a line is a table or an error of more than a hundred bytes to the TOML reader.
const TOML: Allowance = Allowance { for_each_byte: 192, fixed: 4 << 20 };

const fn plain(name: &'static str, check: fn(&[u8])) -> Target {
    with(name, check, Allowance::PLAIN)
}

const fn with(name: &'static str, check: fn(&[u8]), allowance: Allowance) -> Target {
    Target { name, allowance, check }
}
