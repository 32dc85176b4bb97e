//! Times of many items in UTC, without asking the calendar for each: most of them are of the same few days.

use jiff::Timestamp;

const DAY: i64 = 86_400;
const SECOND: i64 = 1_000_000_000;

/// Nanoseconds since 1970 as a time; none for what no calendar of ours holds.
pub fn utc(nanoseconds: i128) -> Option<Timestamp> {
    Timestamp::from_nanosecond(nanoseconds).ok()
}

/// Writes times, and remembers the last day.
#[derive(Debug, Default)]
pub struct Clock {
    day: Option<i64>,
    /// `2026-11-24T`
    date: String,
}

impl Clock {
    /// Adds a time to the second to `out`; nothing for what no calendar of ours holds.
    pub fn seconds(&mut self, nanoseconds: Option<i128>, out: &mut String) {
        let Some(nanoseconds) = nanoseconds else { return };
        // Most fit into half of an i128, whose division takes long.
        let seconds = match i64::try_from(nanoseconds) {
            Ok(nanoseconds) => i128::from(nanoseconds.div_euclid(SECOND)),
            Err(_) => nanoseconds.div_euclid(i128::from(SECOND)),
        };
        let Ok(seconds) = i64::try_from(seconds) else { return };
        let (day, second) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
        if self.day != Some(day) {
            let Some(time) = utc(nanoseconds) else { return };
            let text = time.to_string();
            let end = text.find('T').map_or(text.len(), |at| at + 1);
            self.date.clear();
            self.date.push_str(&text[..end]);
            self.day = Some(day);
        }
        out.push_str(&self.date);
        let mut text = *b"00:00:00";
        for (at, number) in [(0, second / 3600), (3, second / 60 % 60), (6, second % 60)] {
            text[at] += (number / 10) as u8;
            text[at + 1] += (number % 10) as u8;
        }
        out.push_str(std::str::from_utf8(&text).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, utc};

    #[test]
    fn times_are_those_of_the_calendar() {
        let mut clock = Clock::default();
        let second = 1_000_000_000;
        for time in
            [0, -1, second * 86_400 - 1, second * 86_400, 1_795_230_000 * second, -second * 86_400 * 400_000]
        {
            let mut text = String::new();
            clock.seconds(Some(time), &mut text);
            // Its fraction is not shown.
            let shown = utc(time).unwrap().to_string();
            let shown = shown.split(['.', 'Z']).next().unwrap();
            assert_eq!(text, shown, "{time}");
        }
        let mut text = String::new();
        clock.seconds(Some(i128::MAX), &mut text);
        clock.seconds(None, &mut text);
        assert_eq!(text, "");
    }
}
