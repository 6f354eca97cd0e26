//! Methods and CSeq (RFC 3261 §7.1, §20.16).

use std::{fmt, str::FromStr};

use super::{Rejection, lex};

/// A method: a case-sensitive token. The constants may stand in patterns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Method(Name);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Name {
    /// One of the constants.
    Known(&'static str),
    /// Any other.
    Extension(String),
}

macro_rules! methods {
    ($($name:ident)*) => {
        impl Method {
            $(
                #[doc = stringify!($name)]
                pub const $name: Self = Self(Name::Known(stringify!($name)));
            )*
            const KNOWN: &[Self] = &[$(Self::$name),*];
        }
    };
}
methods!(INVITE ACK BYE CANCEL OPTIONS REGISTER SUBSCRIBE NOTIFY REFER MESSAGE UPDATE PRACK INFO PUBLISH);

impl Method {
    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Name::Known(name) => name,
            Name::Extension(name) => name,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Method {
    type Err = Rejection;
    fn from_str(text: &str) -> Result<Self, Rejection> {
        if let Some(known) = Self::KNOWN.iter().find(|known| known.as_str() == text) {
            return Ok(known.clone());
        }
        if lex::is_token(text) {
            Ok(Self(Name::Extension(text.to_owned())))
        } else {
            Err(Rejection::bad("Method is not a token (RFC 3261 §25.1)"))
        }
    }
}

/// A CSeq value: `4711 INVITE`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CSeq {
    /// Below 2³¹ (RFC 3261 §8.1.1.5).
    pub number: u32,
    /// The method of the request.
    pub method: Method,
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

impl FromStr for CSeq {
    type Err = Rejection;
    fn from_str(text: &str) -> Result<Self, Rejection> {
        let (number, method) =
            lex::split_blank(lex::trim(text)).ok_or(Rejection::bad("Malformed CSeq (RFC 3261 §20.16)"))?;
        let number = lex::read_number(number, (1 << 31) - 1)
            .and_then(|number| u32::try_from(number).ok())
            .ok_or(Rejection::bad(
                "CSeq number is not below 2^31 (RFC 3261 §8.1.1.5)",
            ))?;
        Ok(Self {
            number,
            method: lex::trim(method).parse()?,
        })
    }
}
