//! The file with the users of a realm, as `htdigest` and proxies keep it: secrets instead of passwords.

use std::collections::BTreeMap;

use sip::digest::Algorithm;

/// Secrets by user and algorithm.
pub(super) type Secrets = BTreeMap<String, BTreeMap<Algorithm, String>>;

/// Reads lines `user:realm:hash` (MD5 by 32 digits, SHA-256 by 64) or `user:realm:algorithm:hash`; those of other realms are passed over, as
/// are empty lines and those that begin with `#`.
///
/// # Errors
/// The number of the first line that cannot be read, and why.
pub(super) fn read(text: &str, realm: &str) -> Result<Secrets, (usize, String)> {
    let mut secrets = Secrets::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (user, of_realm, algorithm, hash) =
            entry(line).map_err(|problem| (number, problem.to_owned()))?;
        if of_realm != realm {
            continue;
        }
        let of_user = secrets.entry(user.to_owned()).or_default();
        if of_user.insert(algorithm, hash.to_ascii_lowercase()).is_some() {
            return Err((number, format!("`{user}` has a secret of that algorithm already")));
        }
    }
    Ok(secrets)
}

fn entry(line: &str) -> Result<(&str, &str, Algorithm, &str), &'static str> {
    let parts: Vec<&str> = line.split(':').collect();
    let (user, realm, algorithm, hash) = match *parts.as_slice() {
        [user, realm, hash] => (user, realm, None, hash),
        [user, realm, algorithm, hash] => (user, realm, Some(algorithm), hash),
        _ => return Err("it is not `user:realm:hash` or `user:realm:algorithm:hash`"),
    };
    if user.is_empty() || !hash.bytes().all(|octet| octet.is_ascii_hexdigit()) {
        return Err("it has no user, or a hash that is no hexadecimal number");
    }
    let by_length = match hash.len() {
        32 => Algorithm::Md5,
        64 => Algorithm::Sha256,
        _ => return Err("its hash has neither 32 nor 64 digits"),
    };
    let algorithm = match algorithm {
        None => by_length,
        Some(name) => [Algorithm::Md5, Algorithm::Sha256, Algorithm::Sha512_256]
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
            .filter(|algorithm| (*algorithm == Algorithm::Md5) == (by_length == Algorithm::Md5))
            .ok_or(
                "its algorithm is none of MD5, SHA-256 and SHA-512-256, or its hash is not of that length",
            )?,
    };
    Ok((user, realm, algorithm, hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_read_by_user_and_algorithm_and_other_realms_passed_over() {
        let (md5, sha) = ("0123456789ABCDEF".repeat(2), "0123456789abcdef".repeat(4));
        let text = format!(
            "# users\n\nromeo:example.org:{md5}\nromeo:example.org:{sha}\nromeo:example.org:SHA-512-256:{sha}\r\n\
             juliet:example.com:{md5}\n"
        );
        let secrets = read(&text, "example.org").unwrap();
        assert_eq!(secrets.len(), 1);
        let romeo = &secrets["romeo"];
        assert_eq!(romeo[&Algorithm::Md5], md5.to_ascii_lowercase());
        assert_eq!(romeo[&Algorithm::Sha512_256], sha);
        assert_eq!(romeo.len(), 3);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        let md5 = "0".repeat(32);
        for line in [
            "romeo".to_owned(),
            format!(":example.org:{md5}"),
            "romeo:example.org:wherefore".to_owned(),
            "romeo:example.org:00".to_owned(),
            format!("romeo:example.org:SHA-1:{md5}"),
            format!("romeo:example.org:SHA-256:{md5}"),
            format!("romeo:example.org:a:b:{md5}"),
        ] {
            let text = format!("juliet:example.org:{md5}\n{line}\n");
            assert_eq!(
                read(&text, "example.org").map_err(|(line, _)| line),
                Err(2),
                "{line}"
            );
        }
        let twice = format!("romeo:example.org:{md5}\nromeo:example.org:{md5}\n");
        assert!(read(&twice, "example.org").is_err());
    }
}
