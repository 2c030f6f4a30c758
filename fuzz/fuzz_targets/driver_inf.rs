#![no_main]
prestage_fuzz::target!("driver_inf");
