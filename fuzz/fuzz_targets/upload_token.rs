#![no_main]
prestage_fuzz::target!("upload_token");
