#![no_main]
prestage_fuzz::target!("content_library");
