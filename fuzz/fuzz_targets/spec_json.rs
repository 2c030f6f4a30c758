#![no_main]
prestage_fuzz::target!("spec_json");
