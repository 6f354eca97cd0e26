//! Content-Transfer-Encoding (RFC 2045 §6).

use bytes::Bytes;

use super::CpimFault;

/// Decodes a content. An empty encoding is none, as a widely deployed chat server writes it.
pub(super) fn decode(encoding: &str, content: &[u8]) -> Result<Bytes, CpimFault> {
    let named = |name: &str| encoding.eq_ignore_ascii_case(name);
    if ["", "7bit", "8bit", "binary"].into_iter().any(named) {
        Ok(Bytes::copy_from_slice(content))
    } else if named("base64") {
        base64(content).ok_or(CpimFault("RFC 2045 §6.8: base64"))
    } else if named("quoted-printable") {
        Ok(quoted_printable(content))
    } else {
        Err(CpimFault("RFC 2045 §6.1: unknown Content-Transfer-Encoding"))
    }
}

/// White space is skipped, padding may be missing; anything else is a fault.
fn base64(content: &[u8]) -> Option<Bytes> {
    let mut plain = Vec::with_capacity(content.len() / 4 * 3 + 3);
    let mut bits = 0_u32;
    let mut held = 0;
    let mut octets = content.iter().filter(|octet| !octet.is_ascii_whitespace());
    for octet in octets.by_ref() {
        let Some(sextet) = sextet(*octet) else {
            return (*octet == b'=' && octets.all(|rest| *rest == b'=')).then(|| Bytes::from(plain));
        };
        bits = (bits << 6) | u32::from(sextet);
        held += 6;
        if held >= 8 {
            held -= 8;
            plain.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    Some(Bytes::from(plain))
}

fn sextet(octet: u8) -> Option<u8> {
    match octet {
        b'A'..=b'Z' => Some(octet - b'A'),
        b'a'..=b'z' => Some(octet - b'a' + 26),
        b'0'..=b'9' => Some(octet - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

/// A sequence that breaks the rules is kept as it stands (RFC 2045 §6.7).
fn quoted_printable(content: &[u8]) -> Bytes {
    let mut plain = Vec::with_capacity(content.len());
    let mut rest = content;
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        if octet != b'=' {
            plain.push(octet);
            continue;
        }
        match after {
            [b'\r', b'\n', after @ ..] | [b'\n', after @ ..] => rest = after,
            [high, low, after @ ..] => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    plain.push((high << 4) | low);
                    rest = after;
                }
                _ => plain.push(octet),
            },
            _ => plain.push(octet),
        }
    }
    Bytes::from(plain)
}

fn hex(octet: u8) -> Option<u8> {
    char::from(octet)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc2045_6_8_base64() {
        for (encoded, plain) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zg", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9v\r\nYmFy\r\n", "foobar"),
        ] {
            assert_eq!(decode("Base64", encoded.as_bytes()).unwrap(), plain);
        }
        for encoded in ["Zg=x", "Z*g=", "Zm9v-"] {
            assert!(decode("base64", encoded.as_bytes()).is_err(), "{encoded}");
        }
    }

    #[test]
    fn rfc2045_6_7_quoted_printable() {
        for (encoded, plain) in [
            ("a=3Db", "a=b"),
            ("caf=C3=A9", "café"),
            ("soft=\r\nbreak", "softbreak"),
            ("soft=\nbreak", "softbreak"),
            ("=ZZ=", "=ZZ="),
            ("=e9=4", "\u{fffd}=4"),
        ] {
            let decoded = decode("quoted-printable", encoded.as_bytes()).unwrap();
            assert_eq!(String::from_utf8_lossy(&decoded), plain);
        }
    }

    #[test]
    fn unencoded_contents_stay_as_they_are() {
        for encoding in ["", "7bit", "8BIT", "binary"] {
            assert_eq!(decode(encoding, b"a=3D\xff").unwrap(), &b"a=3D\xff"[..]);
        }
        assert!(decode("x-uuencode", b"").is_err());
    }
}
