#![no_main]
prestage_fuzz::target!("site_file");
