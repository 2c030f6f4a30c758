#![no_main]
prestage_fuzz::target!("wizard_lines");
