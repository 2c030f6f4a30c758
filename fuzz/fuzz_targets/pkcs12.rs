#![no_main]
prestage_fuzz::target!("pkcs12");
