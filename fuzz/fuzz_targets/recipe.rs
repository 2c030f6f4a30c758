#![no_main]
prestage_fuzz::target!("recipe");
