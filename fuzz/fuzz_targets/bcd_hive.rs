#![no_main]
prestage_fuzz::target!("bcd_hive");
