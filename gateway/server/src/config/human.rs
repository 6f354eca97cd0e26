//! Durations and sizes as people write them: `"10s"`, `"64 KiB"`. Numbers may also come as text, since environment variables do.

use std::{fmt, time::Duration};

use serde::{Deserializer, Serializer, de};

/// The longest duration, a year: what is added to the present time stays representable.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
/// Units of time, longest first, in milliseconds.
const TIMES: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
/// Units of size, largest first, in octets.
const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Reads `"250ms"`, `"10s"`, `"5m"`, `"1h"`.
///
/// # Errors
/// Says what is expected.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    scaled(text, &TIMES)
        .map(Duration::from_millis)
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(|| {
            format!("`{text}` is no duration: write a whole number and ms, s, m or h, such as \"10s\"")
        })
}

/// Writes a duration in the longest unit that leaves a whole number; a fraction of a millisecond is dropped.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    unscaled(millis, &TIMES, "0s", "")
}

/// Reads `"64 KiB"`, `"1 MiB"`, `"512"`, `"512 B"`.
///
/// # Errors
/// Says what is expected.
pub fn parse_octets(text: &str) -> Result<usize, String> {
    let plain = text.trim().parse().ok();
    plain
        .or_else(|| scaled(text, &SIZES).and_then(|octets| usize::try_from(octets).ok()))
        .ok_or_else(|| {
            format!("`{text}` is no size: write octets, or a whole number and KiB or MiB, such as \"64 KiB\"")
        })
}

/// Writes a size in the largest unit that leaves a whole number.
#[must_use]
pub fn format_octets(octets: usize) -> String {
    unscaled(u64::try_from(octets).unwrap_or(u64::MAX), &SIZES, "0 B", " ")
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, factor) = units
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit.trim()))?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn unscaled(value: u64, units: &[(&str, u64)], zero: &str, space: &str) -> String {
    units
        .iter()
        .find(|(_, factor)| value != 0 && value.is_multiple_of(*factor))
        .map_or_else(
            || zero.to_owned(),
            |(name, factor)| format!("{}{space}{name}", value / factor),
        )
}

/// Reads a value that is a whole number or a text; `parse` reads the text.
struct Either<F> {
    expected: &'static str,
    parse: F,
}

impl<F: FnOnce(&str) -> Result<u64, String>> de::Visitor<'_> for Either<F> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<u64, E> {
        Ok(value)
    }
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<u64, E> {
        u64::try_from(value).map_err(|_| E::invalid_value(de::Unexpected::Signed(value), &self))
    }
    fn visit_str<E: de::Error>(self, value: &str) -> Result<u64, E> {
        (self.parse)(value).map_err(E::custom)
    }
}

fn to_usize<E: de::Error>(value: u64) -> Result<usize, E> {
    usize::try_from(value).map_err(|_| E::custom("the number is too large"))
}

/// `#[serde(with = …)]` for a [`Duration`].
pub mod duration {
    use super::*;

    /// Reads.
    ///
    /// # Errors
    /// As [`parse_duration`].
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = <String as serde::Deserialize>::deserialize(deserializer)?;
        parse_duration(&text).map_err(de::Error::custom)
    }
    /// Writes.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_duration(*value))
    }
}

/// `#[serde(with = …)]` for a pair of durations, shortest and longest.
pub mod duration_range {
    use super::*;

    /// Reads.
    ///
    /// # Errors
    /// As [`parse_duration`].
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(Duration, Duration), D::Error> {
        let (shortest, longest) = <(String, String) as serde::Deserialize>::deserialize(deserializer)?;
        let read = |text: &str| parse_duration(text).map_err(de::Error::custom);
        Ok((read(&shortest)?, read(&longest)?))
    }
    /// Writes.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(value: &(Duration, Duration), serializer: S) -> Result<S::Ok, S::Error> {
        serde::Serialize::serialize(&[format_duration(value.0), format_duration(value.1)], serializer)
    }
}

/// `#[serde(with = …)]` for a size in octets.
pub mod octets {
    use super::*;

    /// Reads.
    ///
    /// # Errors
    /// As [`parse_octets`].
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
        let visitor = Either {
            expected: "a size such as \"64 KiB\"",
            parse: |text: &str| parse_octets(text).map(|octets| octets as u64),
        };
        to_usize(deserializer.deserialize_any(visitor)?)
    }
    /// Writes.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(value: &usize, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_octets(*value))
    }
}

/// `#[serde(with = …)]` for what is on or off.
pub mod switch {
    use super::*;

    struct Switch;

    impl de::Visitor<'_> for Switch {
        type Value = bool;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("true or false")
        }
        fn visit_bool<E: de::Error>(self, value: bool) -> Result<bool, E> {
            Ok(value)
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<bool, E> {
            text.trim()
                .parse()
                .map_err(|_| E::custom(format!("`{text}` is neither true nor false")))
        }
    }

    /// Reads.
    ///
    /// # Errors
    /// When it is neither `true` nor `false`.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(Switch)
    }
    /// Writes.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(value: &bool, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(*value)
    }
}

/// `#[serde(with = …)]` for a whole number.
pub mod count {
    use super::*;

    /// Reads.
    ///
    /// # Errors
    /// When it is no whole number.
    pub fn deserialize<'de, D: Deserializer<'de>, N: TryFrom<u64>>(deserializer: D) -> Result<N, D::Error> {
        let visitor = Either {
            expected: "a whole number",
            parse: |text: &str| {
                text.trim()
                    .parse()
                    .map_err(|_| format!("`{text}` is no whole number"))
            },
        };
        N::try_from(deserializer.deserialize_any(visitor)?)
            .map_err(|_| de::Error::custom("the number is too large"))
    }
    /// Writes.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer, N: serde::Serialize>(
        value: &N,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.serialize(serializer)
    }
}

/// `#[serde(with = …)]` for a queue bounded in entries and octets: `[256, "1 MiB"]`.
pub mod queue {
    use super::*;

    #[derive(serde::Serialize, serde::Deserialize)]
    struct Queue(
        #[serde(with = "super::count")] usize,
        #[serde(with = "super::octets")] usize,
    );

    /// Reads.
    ///
    /// # Errors
    /// As [`count`] and [`octets`].
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(usize, usize), D::Error> {
        let Queue(entries, octets) = serde::Deserialize::deserialize(deserializer)?;
        Ok((entries, octets))
    }
    /// Writes.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(value: &(usize, usize), serializer: S) -> Result<S::Ok, S::Error> {
        serde::Serialize::serialize(&Queue(value.0, value.1), serializer)
    }
}

/// `#[serde(with = …)]` for a rate, a second and at once: `[10, 50]`.
pub mod rate {
    use super::*;

    #[derive(serde::Serialize, serde::Deserialize)]
    struct Rate(
        #[serde(with = "super::count")] u32,
        #[serde(with = "super::count")] u32,
    );

    /// Reads.
    ///
    /// # Errors
    /// As [`count`].
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<sip::Rate, D::Error> {
        let Rate(steady, burst) = serde::Deserialize::deserialize(deserializer)?;
        Ok(sip::Rate { steady, burst })
    }
    /// Writes.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(value: &sip::Rate, serializer: S) -> Result<S::Ok, S::Error> {
        serde::Serialize::serialize(&Rate(value.steady, value.burst), serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_written_as_they_are_read() {
        for text in ["0s", "1ms", "1500ms", "10s", "90s", "8760h", "5m", "65m", "2h"] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
        for text in ["0 B", "1 B", "1000 B", "64 KiB", "1 MiB", "3 GiB"] {
            assert_eq!(format_octets(parse_octets(text).unwrap()), text);
        }
        assert_eq!(parse_octets("512"), Ok(512));
        assert_eq!(parse_duration(" 10 s "), Ok(Duration::from_secs(10)));
    }

    #[test]
    fn what_is_no_duration_or_size_is_refused() {
        for text in [
            "",
            "s",
            "10",
            "-1s",
            "1.5s",
            "10 parsecs",
            "99999999999999999999s",
            "8761h",
            "18446744073709551615h",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        for text in ["", "KiB", "-1", "1.5 MiB", "1 XiB", "99999999999 GiB"] {
            assert!(parse_octets(text).is_err(), "{text}");
        }
    }
}
