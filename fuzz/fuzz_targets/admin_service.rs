#![no_main]
prestage_fuzz::target!("admin_service");
