//! `Digest name=value, name="value"`.

use crate::message::lex;

/// Parameters of one header field beyond which it is not read.
const PARAMETERS_MAX: usize = 32;

/// The parameters of a Digest challenge or answer, quotes removed. `None`: another scheme, malformed, or a name twice.
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(super) fn read(value: &str) -> Option<Self> {
        let (scheme, rest) = value.trim().split_once([' ', '\t'])?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let mut read: Vec<(String, String)> = Vec::new();
        for parameter in lex::split_outside(rest, b',') {
            if parameter.trim().is_empty() {
                continue;
            }
            let (name, value) = parameter.split_once('=')?;
            let name = name.trim().to_ascii_lowercase();
            let again = read.iter().any(|(earlier, _)| *earlier == name);
            if again || read.len() >= PARAMETERS_MAX || !lex::is_token(&name) {
                return None;
            }
            read.push((name, lex::unquote(value.trim())));
        }
        Some(Self(read))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find_map(|(known, value)| (known == name).then_some(value.as_str()))
    }
}
