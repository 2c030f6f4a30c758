//! How hard a server may be leaned on: connections, a rate, and times of day with rates of their own, so
//! that a depot's line is not saturated in working hours.

use std::{fmt, num::NonZeroU32, sync::Arc};

use governor::{DefaultDirectRateLimiter, Quota};
use jiff::{Zoned, civil::Time};
use serde::Deserialize;

/// Connections to one server at once, where nothing else is said.
const CONNECTIONS_DEFAULT: usize = 8;
/// Rates are counted in these, so that no limit is too large for the limiter's counters.
const CELL_BYTES: u64 = 1024;

/// `limits = { … }` of a server.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitsTable {
    rate: Option<String>,
    connections: Option<usize>,
    #[serde(default)]
    windows: Vec<WindowTable>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct WindowTable {
    #[serde(default)]
    days: Vec<Day>,
    from: String,
    to: String,
    rate: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl LimitsTable {
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.connections == Some(0) {
            return Err("limits.connections is 0; at least 1 is needed".into());
        }
        if self.rate.as_deref().is_some_and(|rate| rate_of(rate) == Ok(0)) {
            return Err("limits.rate is 0, so nothing could ever be read".into());
        }
        self.rate.iter().try_for_each(|rate| rate_of(rate).map(drop))?;
        self.windows.iter().try_for_each(|window| window.parse().map(drop))
    }
}

impl WindowTable {
    fn parse(&self) -> Result<Window, String> {
        let time = |text: &str| {
            let parsed = Time::strptime("%H:%M", text.trim());
            parsed.map_err(|_| format!("limits.windows: {text:?} is no time of day like 07:30"))
        };
        let window = Window {
            days: self.days.clone(),
            from: time(&self.from)?,
            to: time(&self.to)?,
            rate: rate_of(&self.rate)?,
        };
        if window.from == window.to {
            return Err("limits.windows: a window begins when it ends".into());
        }
        Ok(window)
    }
}

/// Bytes a second of `20 MiB/s`, `500 KB/s`, `0`.
fn rate_of(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no rate like \"20 MiB/s\" or \"500 KiB/s\"");
    let plain = text.trim().trim_end_matches("/s").trim();
    let digits = plain.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(plain.len());
    let (number, unit) = plain.split_at(digits);
    let factor: f64 = match unit.trim() {
        "" if number == "0" => 1.0,
        "B" => 1.0,
        "KB" => 1e3,
        "KiB" => 1024.0,
        "MB" => 1e6,
        "MiB" => 1024.0 * 1024.0,
        "GB" => 1e9,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        _ => return Err(wrong()),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    Ok((number * factor) as u64)
}

#[derive(Debug, Clone, PartialEq)]
struct Window {
    days: Vec<Day>,
    from: Time,
    to: Time,
    rate: u64,
}

impl Window {
    /// Whether it is open at `now`; one that ends before it begins goes over midnight and belongs to the
    /// day on which it began.
    fn holds(&self, now: &Zoned) -> bool {
        let time = now.time();
        let on = |day: Day| self.days.is_empty() || self.days.contains(&day);
        let today = day_of(now);
        match self.from < self.to {
            true => on(today) && self.from <= time && time < self.to,
            false => (on(today) && self.from <= time) || (on(before(today)) && time < self.to),
        }
    }
}

fn day_of(now: &Zoned) -> Day {
    const DAYS: [Day; 7] = [Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri, Day::Sat, Day::Sun];
    let number = now.weekday().to_monday_zero_offset();
    DAYS.get(number as usize).copied().unwrap_or(Day::Mon)
}

fn before(day: Day) -> Day {
    use Day::{Fri, Mon, Sat, Sun, Thu, Tue, Wed};
    match day {
        Mon => Sun,
        Tue => Mon,
        Wed => Tue,
        Thu => Wed,
        Fri => Thu,
        Sat => Fri,
        Sun => Sat,
    }
}

/// What may be read now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pace {
    /// As fast as it comes.
    Free,
    /// So many bytes a second.
    Bytes(u64),
    /// Nothing, until this time of day.
    Closed {
        /// `19:00`.
        until: String,
    },
}

/// The limits of one server. Clones share them.
#[derive(Clone)]
pub(crate) struct Limits {
    rate: Option<u64>,
    windows: Arc<Vec<Window>>,
    limiters: Arc<Vec<(u64, DefaultDirectRateLimiter)>>,
    pub(crate) connections: usize,
}

impl Limits {
    /// A table that was checked.
    pub(crate) fn new(table: &LimitsTable) -> Self {
        let rate = table.rate.as_deref().and_then(|rate| rate_of(rate).ok());
        let windows: Vec<Window> = table.windows.iter().filter_map(|w| w.parse().ok()).collect();
        let rates = rate.into_iter().chain(windows.iter().map(|window| window.rate));
        let limiters = rates.filter(|rate| *rate > 0).map(|rate| (rate, limiter(rate)));
        let connections = table.connections.unwrap_or(CONNECTIONS_DEFAULT);
        Self {
            rate,
            limiters: Arc::new(limiters.collect()),
            windows: Arc::new(windows),
            connections,
        }
    }

    /// Whether nothing is said of rates.
    pub(crate) fn is_none(&self) -> bool {
        self.rate.is_none() && self.windows.is_empty()
    }

    /// What may be read at `now`: as the first window says that is open, else as the server's own rate.
    #[must_use]
    pub(crate) fn pace(&self, now: &Zoned) -> Pace {
        let window = self.windows.iter().find(|window| window.holds(now));
        match window.map(|window| window.rate).or(self.rate) {
            None => Pace::Free,
            Some(0) => {
                let until = window.map(|window| window.to.strftime("%H:%M").to_string());
                Pace::Closed { until: until.unwrap_or_default() }
            }
            Some(rate) => Pace::Bytes(rate),
        }
    }

    /// Waits until `bytes` more may have been read at the pace of `now`.
    pub(crate) async fn take(&self, bytes: u64, now: &Zoned) {
        let Pace::Bytes(rate) = self.pace(now) else {
            return;
        };
        let Some((_, limiter)) = self.limiters.iter().find(|(known, _)| *known == rate) else {
            return;
        };
        let mut cells = bytes.div_ceil(CELL_BYTES);
        let burst = cells_of(rate);
        while cells > 0 {
            let some = u32::try_from(cells).unwrap_or(u32::MAX).min(burst.get());
            let Some(count) = NonZeroU32::new(some) else {
                return;
            };
            // Never more than the limiter's whole capacity, so it does not refuse.
            if limiter.until_n_ready(count).await.is_err() {
                return;
            }
            cells -= u64::from(some);
        }
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rate, windows, connections, .. } = self;
        write!(f, "Limits {{ rate: {rate:?}, connections: {connections}, windows: {windows:?} }}")
    }
}

fn cells_of(rate: u64) -> NonZeroU32 {
    let cells = u32::try_from(rate.div_ceil(CELL_BYTES)).unwrap_or(u32::MAX);
    NonZeroU32::new(cells).unwrap_or(NonZeroU32::MIN)
}

fn limiter(rate: u64) -> DefaultDirectRateLimiter {
    DefaultDirectRateLimiter::direct(Quota::per_second(cells_of(rate)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(toml: &str) -> Limits {
        let table: LimitsTable = toml::from_str(toml).unwrap();
        table.check().unwrap();
        Limits::new(&table)
    }

    fn at(text: &str) -> Zoned {
        text.parse().unwrap()
    }

    #[test]
    fn windows_hold_on_their_days_and_over_midnight() {
        let office = limits(
            "rate = \"20 MiB/s\"\n[[windows]]\ndays = [\"mon\", \"fri\"]\nfrom = \"07:00\"\nto = \"19:00\"\nrate = \"2 MiB/s\"\n\
             [[windows]]\ndays = [\"fri\"]\nfrom = \"22:00\"\nto = \"04:00\"\nrate = \"0\"\n",
        );
        let pace = |text: &str| office.pace(&at(&format!("{text}[Europe/Berlin]")));
        // 2026-11-23 is a Monday.
        assert_eq!(pace("2026-11-23T07:00:00"), Pace::Bytes(2 << 20));
        assert_eq!(pace("2026-11-23T19:00:00"), Pace::Bytes(20 << 20));
        assert_eq!(pace("2026-11-24T12:00:00"), Pace::Bytes(20 << 20));
        let closed = Pace::Closed { until: "04:00".into() };
        assert_eq!(pace("2026-11-27T23:00:00"), closed);
        assert_eq!(pace("2026-11-28T03:59:59"), closed);
        assert_eq!(pace("2026-11-28T04:00:00"), Pace::Bytes(20 << 20));
        assert_eq!(limits("").pace(&at("2026-11-28T04:00:00[UTC]")), Pace::Free);
    }

    #[test]
    fn rates_are_read_as_people_write_them() {
        assert_eq!(rate_of("1.5 MB/s"), Ok(1_500_000));
        assert_eq!(rate_of("500 KiB/s"), Ok(512_000));
        assert_eq!(rate_of("0"), Ok(0));
        for wrong in ["fast", "20", "20 miles/s", "-1 MB/s", ""] {
            assert!(rate_of(wrong).is_err(), "{wrong}");
        }
        for wrong in
            ["rate = \"0\"", "connections = 0", "[[windows]]\nfrom=\"7\"\nto=\"8\"\nrate=\"0\""]
        {
            let table: LimitsTable = toml::from_str(wrong).unwrap();
            assert!(table.check().is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn what_is_taken_is_spread_over_time() {
        let limits = limits("rate = \"4 MiB/s\"");
        let started = std::time::Instant::now();
        let now = at("2026-11-23T07:00:00[UTC]");
        // A second's worth is there at once; the rest has to be waited for.
        limits.take(4 << 20, &now).await;
        limits.take(2 << 20, &now).await;
        assert!(started.elapsed() >= std::time::Duration::from_millis(450));
    }
}
