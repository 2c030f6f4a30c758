#![no_main]
prestage_fuzz::target!("wim_xml");
