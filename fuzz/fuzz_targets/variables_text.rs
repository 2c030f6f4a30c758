#![no_main]
prestage_fuzz::target!("variables_text");
