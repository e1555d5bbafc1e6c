//! Durations as people write them: `20s`, `1m30s`, `250ms`.

use std::time::Duration;

const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Reads `1h30m`, `45s`, `250ms`: whole numbers with units (d, h, m, s, ms), largest first. `None` for anything else.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = 0_u64;
    let mut smallest = UNITS.len();
    for (index, (unit, milliseconds)) in UNITS.iter().enumerate() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        let letters = after.len()
            - after
                .trim_start_matches(|c: char| c.is_ascii_alphabetic())
                .len();
        let (written, after) = after.split_at(letters);
        if written != *unit {
            continue;
        }
        let amount = number.parse::<u64>().ok()?.checked_mul(*milliseconds)?;
        total = total.checked_add(amount)?;
        rest = after;
        smallest = index;
    }
    (rest.is_empty() && smallest < UNITS.len()).then(|| Duration::from_millis(total))
}

/// The shortest text that [`parse_duration`] reads as the same, to the millisecond.
pub fn duration_text(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, milliseconds) in UNITS {
        let amount = rest / milliseconds;
        rest %= milliseconds;
        if amount > 0 {
            text.push_str(&format!("{amount}{unit}"));
        }
    }
    if text.is_empty() {
        text.push_str("0s");
    }
    text
}
