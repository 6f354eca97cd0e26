//! File transfer (RFC 5547): the attributes that describe the file of a media line.

use std::{fmt, str::FromStr};

use jiff::{Timestamp, fmt::rfc2822};

use super::SdpFault;
use crate::frame::number;

/// `a=file-selector` (RFC 5547 §6): what is known of the file. Empty, it only says that RFC 5547 is understood (§8.5).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileSelector {
    /// Its name, percent-decoded. It comes from the peer and may hold what a file system takes for a directory.
    pub name: Option<String>,
    /// Its octets.
    pub size: Option<u64>,
    /// Its media type with its parameters, as written.
    pub media_type: Option<String>,
    /// Its hashes.
    pub hashes: Vec<FileHash>,
}

/// One `hash` of a file selector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileHash {
    /// `sha-1` is the one that RFC 5547 knows.
    pub algorithm: String,
    /// The hash.
    pub octets: Vec<u8>,
}

/// `a=file-transfer-id` (RFC 5547 §6): a token, unique for each transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileTransferId(String);

/// `a=file-disposition` (RFC 5547 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileDisposition {
    /// To be shown at once.
    Render,
    /// To be kept; also what any other token means (RFC 2183 §2.8).
    Attachment,
}

/// `a=file-date` (RFC 5547 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileDates {
    /// When the file was made.
    pub creation: Option<Timestamp>,
    /// When it was changed last.
    pub modification: Option<Timestamp>,
    /// When it was read last.
    pub read: Option<Timestamp>,
}

/// `a=file-icon` (RFC 5547 §6): the Content-ID of a picture in the same message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileIcon {
    /// Without `cid:`.
    pub content_id: String,
}

/// `a=file-range` (RFC 5547 §6): octets of the file, counted from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileRange {
    /// The first.
    pub start: u64,
    /// The last; `None` for `*`, the end of the file.
    pub stop: Option<u64>,
}

impl FromStr for FileSelector {
    type Err = SdpFault;
    /// Selectors that RFC 5547 does not know are skipped.
    fn from_str(value: &str) -> Result<Self, SdpFault> {
        let mut selector = Self::default();
        for word in Words(value) {
            let (kind, value) = word.split_once(':').ok_or(SdpFault("RFC 5547 §6: selector"))?;
            match kind {
                "name" => selector.name = Some(file_name(value)?),
                "size" => selector.size = Some(number(value).ok_or(SdpFault("RFC 5547 §6: size"))?),
                "type" if value.contains('/') => selector.media_type = Some(value.to_owned()),
                "type" => return Err(SdpFault("RFC 5547 §6: type")),
                "hash" => selector.hashes.push(value.parse()?),
                _ => {}
            }
        }
        Ok(selector)
    }
}

impl fmt::Display for FileSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut selectors = Vec::new();
        if let Some(name) = &self.name {
            selectors.push(format!("name:\"{}\"", percent_encoded(name, b"\"%")));
        }
        if let Some(media_type) = &self.media_type {
            selectors.push(format!("type:{}", media_type_text(media_type)));
        }
        if let Some(size) = self.size {
            selectors.push(format!("size:{size}"));
        }
        selectors.extend(self.hashes.iter().map(|hash| format!("hash:{hash}")));
        f.write_str(&selectors.join(" "))
    }
}

impl FromStr for FileHash {
    type Err = SdpFault;
    fn from_str(value: &str) -> Result<Self, SdpFault> {
        let fault = SdpFault("RFC 5547 §6: hash");
        let (algorithm, digits) = value.split_once(':').ok_or(fault.clone())?;
        let octet = |pair: &str| {
            let hexadecimal = pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit());
            let octet = u8::from_str_radix(pair, 16).ok();
            octet.filter(|_| hexadecimal)
        };
        let octets: Option<Vec<u8>> = digits.split(':').map(octet).collect();
        if !is_token(algorithm) {
            return Err(fault);
        }
        Ok(Self {
            algorithm: algorithm.to_owned(),
            octets: octets.ok_or(fault)?,
        })
    }
}

impl fmt::Display for FileHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.algorithm)?;
        self.octets.iter().try_for_each(|octet| write!(f, ":{octet:02X}"))
    }
}

impl FileTransferId {
    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FileTransferId {
    type Err = SdpFault;
    fn from_str(value: &str) -> Result<Self, SdpFault> {
        let value = value.trim();
        if !is_token(value) {
            return Err(SdpFault("RFC 5547 §6: file-transfer-id"));
        }
        Ok(Self(value.to_owned()))
    }
}

impl fmt::Display for FileTransferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FileDisposition {
    /// Reads the attribute's value.
    #[must_use]
    pub fn parse(value: &str) -> Self {
        if value.trim().eq_ignore_ascii_case("render") {
            Self::Render
        } else {
            Self::Attachment
        }
    }
}

impl fmt::Display for FileDisposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Render => "render",
            Self::Attachment => "attachment",
        })
    }
}

impl FromStr for FileDates {
    type Err = SdpFault;
    /// Dates that RFC 5547 does not know are skipped.
    fn from_str(value: &str) -> Result<Self, SdpFault> {
        let fault = SdpFault("RFC 5547 §6: file-date");
        let mut dates = Self::default();
        for word in Words(value) {
            let (kind, quoted) = word.split_once(':').ok_or(fault.clone())?;
            let date = match kind {
                "creation" => &mut dates.creation,
                "modification" => &mut dates.modification,
                "read" => &mut dates.read,
                _ => continue,
            };
            let text = unquoted(quoted).ok_or(fault.clone())?;
            let zoned = rfc2822::parse(text).map_err(|_| fault.clone())?;
            *date = Some(zoned.timestamp());
        }
        Ok(dates)
    }
}

impl fmt::Display for FileDates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [
            ("creation", self.creation),
            ("modification", self.modification),
            ("read", self.read),
        ];
        let mut separator = "";
        for (kind, date) in kinds {
            // RFC 5322 writes no year before 0: such a date is left out.
            let text = date.map(|date| rfc2822::DateTimePrinter::new().timestamp_to_string(&date));
            if let Some(Ok(text)) = text {
                write!(f, "{separator}{kind}:\"{text}\"")?;
                separator = " ";
            }
        }
        Ok(())
    }
}

impl FromStr for FileIcon {
    type Err = SdpFault;
    fn from_str(value: &str) -> Result<Self, SdpFault> {
        let fault = SdpFault("RFC 5547 §6: file-icon");
        let (scheme, id) = value.trim().split_once(':').ok_or(fault.clone())?;
        let sound = !id.is_empty() && id.bytes().all(|octet| octet.is_ascii_graphic());
        if !scheme.eq_ignore_ascii_case("cid") || !sound {
            return Err(fault);
        }
        let content_id = percent_decoded(id).ok_or(fault)?;
        Ok(Self { content_id })
    }
}

impl fmt::Display for FileIcon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cid:{}", percent_encoded(&self.content_id, b" \"%<>?#[]"))
    }
}

impl FromStr for FileRange {
    type Err = SdpFault;
    fn from_str(value: &str) -> Result<Self, SdpFault> {
        let fault = SdpFault("RFC 5547 §6: file-range");
        let (start, stop) = value.trim().split_once('-').ok_or(fault.clone())?;
        let start = number(start).filter(|start| *start > 0).ok_or(fault.clone())?;
        let stop = match stop {
            "*" => None,
            digits => Some(number(digits).filter(|stop| *stop >= start).ok_or(fault)?),
        };
        Ok(Self { start, stop })
    }
}

impl fmt::Display for FileRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.stop {
            Some(stop) => write!(f, "{}-{stop}", self.start),
            None => write!(f, "{}-*", self.start),
        }
    }
}

/// Words between spaces that do not stand in double quotes.
struct Words<'a>(&'a str);

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;
    fn next(&mut self) -> Option<&'a str> {
        let rest = self.0.trim_start_matches(' ');
        let mut quoted = false;
        let end = rest.find(|character| {
            quoted ^= character == '"';
            character == ' ' && !quoted
        });
        let (word, rest) = rest.split_at(end.unwrap_or(rest.len()));
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }
}

fn file_name(value: &str) -> Result<String, SdpFault> {
    let name = unquoted(value)
        .filter(|name| !name.is_empty())
        .and_then(percent_decoded);
    name.ok_or(SdpFault("RFC 5547 §6: name"))
}

fn unquoted(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    (!inner.contains('"')).then_some(inner)
}

/// A per cent sign without two hexadecimal digits stands for itself; `None` if the octets are no UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        octets.extend_from_slice(before.as_bytes());
        let digits = after
            .get(..2)
            .filter(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match digits.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(octet) => {
                octets.push(octet);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                octets.push(b'%');
                rest = after;
            }
        }
    }
    octets.extend_from_slice(rest.as_bytes());
    String::from_utf8(octets).ok()
}

/// Encodes control characters and those of `reserved`.
fn percent_encoded(text: &str, reserved: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for character in text.chars() {
        match u8::try_from(character) {
            Ok(octet) if octet.is_ascii_control() || reserved.contains(&octet) => {
                encoded.push_str(&format!("%{octet:02X}"));
            }
            _ => encoded.push(character),
        }
    }
    encoded
}

/// What would end the selector is percent-encoded.
fn media_type_text(media_type: &str) -> String {
    let quotes = media_type.bytes().filter(|octet| *octet == b'"').count();
    if quotes % 2 == 1 {
        return percent_encoded(media_type, b" \"");
    }
    let mut quoted = false;
    let mut text = String::with_capacity(media_type.len());
    for character in media_type.chars() {
        quoted ^= character == '"';
        if character.is_control() || (character == ' ' && !quoted) {
            continue;
        }
        text.push(character);
    }
    text
}

/// `token` of RFC 4566 §9.
fn is_token(text: &str) -> bool {
    let allowed = |octet: u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`{|}~".contains(&octet);
    !text.is_empty() && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rfc5547_6_the_selectors_of_the_example() {
        let value = "name:\"My cool picture.jpg\" type:image/jpeg size:32349 \
                     hash:sha-1:72:24:5F:E8:65:3D:DA:F3:71:36:2F:86:D4:71:91:3E:E4:A2:CE:2E";
        let selector: FileSelector = value.parse().unwrap();
        assert_eq!(selector.name.as_deref(), Some("My cool picture.jpg"));
        assert_eq!(selector.size, Some(32_349));
        assert_eq!(selector.media_type.as_deref(), Some("image/jpeg"));
        assert_eq!(selector.hashes[0].algorithm, "sha-1");
        assert_eq!(selector.hashes[0].octets.len(), 20);
        assert_eq!(selector.to_string(), value);
    }

    #[test]
    fn rfc5547_6_file_selector() {
        for (value, written) in [
            ("", Some("")),
            ("name:\"a%22b%25%0D.txt\"", Some("name:\"a%22b%25%0D.txt\"")),
            ("name:\"50% off\"", Some("name:\"50%25 off\"")),
            ("name:\"Zo\u{eb}\"", Some("name:\"Zo\u{eb}\"")),
            (
                "type:text/plain;charset=\"UTF-8 x\"",
                Some("type:text/plain;charset=\"UTF-8 x\""),
            ),
            ("size:0  later:thing size:9", Some("size:9")),
            ("name:\"\"", None),
            ("name:plain", None),
            ("name:\"open", None),
            ("name:\"%FF\"", None),
            ("size:-1", None),
            ("size:18446744073709551616", None),
            ("type:image", None),
            ("hash:sha-1", None),
            ("hash:sha-1:7", None),
            ("hash:sha-1:+7", None),
            ("hash:sha-1:72:", None),
            ("nothing", None),
        ] {
            let read: Option<FileSelector> = value.parse().ok();
            assert_eq!(read.map(|read| read.to_string()).as_deref(), written, "{value}");
        }
        let odd = FileSelector {
            media_type: Some("a/b; c=\"d\r\ne".to_owned()),
            ..FileSelector::default()
        };
        assert_eq!(odd.to_string(), "type:a/b;%20c=%22d%0D%0Ae");
    }

    #[test]
    fn rfc5547_6_the_other_attributes() {
        let id: FileTransferId = "vBnG916bdberum2fFEABR1FR3ExZMUrd".parse().unwrap();
        assert_eq!(id.to_string(), "vBnG916bdberum2fFEABR1FR3ExZMUrd");
        assert!("a b".parse::<FileTransferId>().is_err() && "".parse::<FileTransferId>().is_err());
        for (value, disposition) in [
            ("render", FileDisposition::Render),
            ("Render", FileDisposition::Render),
            ("attachment", FileDisposition::Attachment),
            ("elsewhere", FileDisposition::Attachment),
        ] {
            assert_eq!(FileDisposition::parse(value), disposition);
            assert_eq!(FileDisposition::parse(&disposition.to_string()), disposition);
        }
        let icon: FileIcon = "cid:id2@alicepc.example.com".parse().unwrap();
        assert_eq!(icon.content_id, "id2@alicepc.example.com");
        assert_eq!(icon.to_string(), "cid:id2@alicepc.example.com");
        for value in ["id2@alicepc.example.com", "cid:", "http:x", "cid:a b"] {
            assert!(value.parse::<FileIcon>().is_err(), "{value}");
        }
    }

    #[test]
    fn rfc5547_6_file_date() {
        let value = "creation:\"Mon, 15 May 2006 15:01:31 +0300\" read:\"15 May 2006 12:01:31 GMT\"";
        let dates: FileDates = value.parse().unwrap();
        assert_eq!(dates.creation, Some("2006-05-15T12:01:31Z".parse().unwrap()));
        assert_eq!((dates.modification, dates.read), (None, dates.creation));
        let again: FileDates = dates.to_string().parse().unwrap();
        assert_eq!(again, dates);
        assert!(dates.to_string().contains(" -0000\""), "{dates}");
        assert!("creation:\"yesterday\"".parse::<FileDates>().is_err());
        assert!("creation".parse::<FileDates>().is_err());
    }

    #[test]
    fn rfc5547_6_file_range() {
        for (value, range) in [
            ("1-32349", Some((1, Some(32_349)))),
            ("1-*", Some((1, None))),
            ("7-7", Some((7, Some(7)))),
            ("0-7", None),
            ("8-7", None),
            ("*-7", None),
            ("1", None),
            ("1-", None),
            ("1-+7", None),
            ("1-18446744073709551616", None),
        ] {
            let read: Option<FileRange> = value.parse().ok();
            assert_eq!(read.map(|range| (range.start, range.stop)), range, "{value}");
            if let Some(read) = read {
                assert_eq!(read.to_string(), value);
            }
        }
    }

    proptest! {
        #[test]
        fn parse_undoes_to_string(
            name in prop::option::of("\\PC{1,20}|[\"% /\r\n\t]{1,5}"),
            size in any::<Option<u64>>(),
            hash in prop::collection::vec(any::<u8>(), 1..21),
        ) {
            let hashes = vec![FileHash { algorithm: "sha-1".to_owned(), octets: hash }];
            let selector = FileSelector { name, size, media_type: None, hashes };
            let written = selector.to_string();
            prop_assert!(!written.contains(['\r', '\n']));
            prop_assert_eq!(written.parse(), Ok(selector));
        }

        #[test]
        fn anything_can_be_read(value in "(name:|size:|type:|hash:|sha-1|[0-9A-F:%\" /;-]|creation:){0,20}") {
            let _ = value.parse::<FileSelector>().map(|read| read.to_string());
            let _ = value.parse::<FileDates>();
            let _ = value.parse::<FileIcon>();
            let _ = value.parse::<FileRange>();
        }
    }
}
