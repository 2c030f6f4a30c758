#![no_main]
prestage_fuzz::target!("task_sequence");
