//! An XMPP user's view of a conference, made of what the component sends him, and the order that XEP-0045 §7.2 asks of it.

use std::{collections::BTreeSet, time::Instant};

use crate::{server::resource, xml::Element};

const MUC_USER: &str = "http://jabber.org/protocol/muc#user";

/// A stay of an XMPP user in a conference. Its number is the model's.
#[derive(Debug, Clone)]
pub(crate) struct Seat {
    pub(crate) number: usize,
    pub(crate) state: State,
    /// As asked for, then as granted.
    pub(crate) nickname: String,
    pub(crate) roster: BTreeSet<String>,
    pub(crate) subject: Option<String>,
    pub(crate) since: Instant,
    /// The component came back while he was there.
    pub(crate) relisted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Entering,
    /// His own presence has come.
    Inside,
    /// He has said that he leaves.
    Leaving,
    Over,
}

/// What a stanza meant to him.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Noticed {
    Nothing,
    /// He is in.
    Admitted,
    /// He is out, or was never let in.
    Out,
    /// His nickname changed.
    Renamed,
    /// A message with its text.
    Heard {
        from: String,
        private: bool,
        text: String,
    },
    /// What he sent came back.
    Refused {
        id: String,
        condition: String,
    },
}

impl Seat {
    pub(crate) fn new(number: usize, nickname: &str, since: Instant) -> Self {
        Self {
            number,
            state: State::Entering,
            nickname: nickname.to_owned(),
            roster: BTreeSet::new(),
            subject: None,
            since,
            relisted: false,
        }
    }

    pub(crate) fn is_inside(&self) -> bool {
        self.state == State::Inside
    }

    /// Takes a stanza in.
    ///
    /// # Errors
    /// It breaks the order of XEP-0045, or makes no sense.
    pub(crate) fn notice(&mut self, stanza: &Element) -> Result<Noticed, String> {
        let kind = stanza.attribute("type").unwrap_or_default();
        match (stanza.name.as_str(), kind) {
            ("presence", "") => self.present(stanza),
            ("presence", "unavailable") => self.absent(stanza),
            ("presence", "error") => Ok(self.presence_refused(stanza)),
            ("message", "error") => Ok(Noticed::Refused {
                id: stanza.attribute("id").unwrap_or_default().to_owned(),
                condition: condition(stanza),
            }),
            ("message", "groupchat") => self.groupchat(stanza),
            ("message", "chat") => self.heard(stanza, true),
            _ => Ok(Noticed::Nothing),
        }
    }

    fn present(&mut self, stanza: &Element) -> Result<Noticed, String> {
        let nickname = resource(stanza.attribute("from").unwrap_or_default()).to_owned();
        let codes = codes(stanza).ok_or("presence without muc#user")?;
        if nickname.is_empty() {
            return Err("presence from the bare room".to_owned());
        }
        if codes.contains(&110) {
            let first = self.state == State::Entering;
            let renamed = self.nickname != nickname;
            self.roster.insert(nickname.clone());
            self.nickname = nickname;
            if first {
                self.state = State::Inside;
                return Ok(Noticed::Admitted);
            }
            return Ok(if renamed {
                Noticed::Renamed
            } else {
                Noticed::Nothing
            });
        }
        if self.state == State::Inside && nickname == self.nickname {
            return Err(format!("his own presence as {nickname} without 110"));
        }
        self.roster.insert(nickname);
        Ok(Noticed::Nothing)
    }

    fn absent(&mut self, stanza: &Element) -> Result<Noticed, String> {
        let nickname = resource(stanza.attribute("from").unwrap_or_default()).to_owned();
        let codes = codes(stanza).ok_or("presence without muc#user")?;
        let known = self.roster.remove(&nickname);
        if codes.contains(&303) {
            return Ok(Noticed::Nothing);
        }
        if codes.contains(&110) || nickname == self.nickname {
            self.state = State::Over;
            return Ok(Noticed::Out);
        }
        // What was told while the link broke is told again.
        if known || self.relisted {
            Ok(Noticed::Nothing)
        } else {
            Err(format!("{nickname} leaves and was not there"))
        }
    }

    fn presence_refused(&mut self, stanza: &Element) -> Noticed {
        // Who has left before he was in may still hear that he was not let in.
        let was_in = self.roster.contains(&self.nickname);
        match self.state {
            State::Leaving if !was_in => {
                self.state = State::Over;
                Noticed::Out
            }
            // A nickname that is taken does not end a stay.
            State::Inside | State::Leaving => Noticed::Refused {
                id: stanza.attribute("id").unwrap_or_default().to_owned(),
                condition: condition(stanza),
            },
            State::Entering | State::Over => {
                self.state = State::Over;
                Noticed::Out
            }
        }
    }

    fn groupchat(&mut self, stanza: &Element) -> Result<Noticed, String> {
        if self.state == State::Entering {
            return Err("a message before the user's own presence".to_owned());
        }
        match (stanza.child("subject"), stanza.child("body")) {
            (Some(subject), None) => {
                self.subject = Some(subject.text.clone());
                Ok(Noticed::Nothing)
            }
            _ => self.heard(stanza, false),
        }
    }

    fn heard(&mut self, stanza: &Element, private: bool) -> Result<Noticed, String> {
        let from = resource(stanza.attribute("from").unwrap_or_default()).to_owned();
        match stanza.child("body") {
            Some(body) => Ok(Noticed::Heard {
                from,
                private,
                text: body.text.clone(),
            }),
            None => Ok(Noticed::Nothing),
        }
    }
}

fn codes(stanza: &Element) -> Option<BTreeSet<u16>> {
    let user = stanza.child_of("x", MUC_USER)?;
    let codes = user.children.iter().filter(|child| child.name == "status");
    Some(
        codes
            .filter_map(|status| status.attribute("code")?.parse().ok())
            .collect(),
    )
}

fn condition(stanza: &Element) -> String {
    let error = stanza.child("error").and_then(|error| error.children.first());
    error.map(|condition| condition.name.clone()).unwrap_or_default()
}
