#![no_main]
prestage_fuzz::target!("folder_listing");
