//! Showing a build while it runs: bars on a terminal, plain lines elsewhere.

mod bars;
mod lines;
mod summary;

use std::{io::IsTerminal, time::Instant};

use prestage_proto::v1;

use bars::Bars;
use lines::Lines;

/// Follows one build.
pub struct Progress {
    view: View,
    start: Instant,
}

enum View {
    Bars(Box<Bars>),
    Lines(Lines),
}

impl Progress {
    /// Bars if standard error is a terminal.
    pub fn new() -> Self {
        let view = if std::io::stderr().is_terminal() {
            View::Bars(Box::new(Bars::new()))
        } else {
            View::Lines(Lines::default())
        };
        Self { view, start: Instant::now() }
    }

    /// Shows the build as it stands now.
    pub fn show(&mut self, build: &v1::Build) {
        let elapsed = self.start.elapsed();
        match &mut self.view {
            View::Bars(bars) => bars.show(build),
            View::Lines(lines) => {
                for line in lines.update(build, elapsed) {
                    eprintln!("{line}");
                }
            }
        }
    }

    /// A remark between the bars.
    pub fn say(&self, text: &str) {
        match &self.view {
            View::Bars(bars) => bars.say(text),
            View::Lines(_) => eprintln!("{text}"),
        }
    }

    /// Takes the bars away.
    pub fn finish(&mut self) {
        if let View::Bars(bars) = &self.view {
            bars.finish();
        }
    }
}
