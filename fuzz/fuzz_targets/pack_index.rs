#![no_main]
prestage_fuzz::target!("pack_index");
