//! RFC 7702 §5.7: an XMPP user invites somebody into a conference; the focus calls him.

use std::time::Instant;

use sip::{Body, NameAddr, ReferParameters, StatusCode, SubscriptionId, SubscriptionState, Uri};
use xmpp::{
    FullJid, Jid,
    stanza::{Condition, Message, StanzaError, service::RoomStanza},
};

use super::{
    enter::{contact, error_of},
    stay::{Invitation, StayKey},
};
use crate::{
    Gateway,
    address::{sip_user, xmpp_user_uri},
    refusal::{Refusal, condition_of},
};

/// Invitations of one account that are under way at once.
const UNDER_WAY: usize = 16;

impl Gateway {
    /// F27, F28. Of several invitations in one message each is one.
    pub(super) fn invites(
        &mut self,
        key: StayKey,
        client: &FullJid,
        message: &Message,
        now: Instant,
    ) -> Result<(), StanzaError> {
        let invites = message.muc.iter().flat_map(|muc| &muc.invites);
        let invitees: Vec<&Jid> = invites.filter_map(|invite| invite.to.as_ref()).collect();
        if invitees.is_empty() {
            return Err(StanzaError::new(Condition::BadRequest));
        }
        for invitee in invitees {
            let uri = self
                .invitee_uri(key, invitee)
                .ok_or_else(|| StanzaError::new(Condition::ItemNotFound))?;
            if self.stays.invitations_of(key) >= UNDER_WAY {
                return Err(error_of(&Refusal::Limit("invitations")));
            }
            tracing::debug!(stay = key.0, %uri, at = ?now, "invites");
            self.refer(
                uri,
                Invitation {
                    stay: key,
                    client: client.clone(),
                    room: message.to.to_bare(),
                    id: message.id.clone(),
                    invitee: invitee.to_bare(),
                },
            );
        }
        Ok(())
    }

    /// Whom the focus shall call: an occupant here, a SIP user whose JID is ours, or else an XMPP user.
    fn invitee_uri(&self, key: StayKey, invitee: &Jid) -> Option<Uri> {
        let bare = invitee.to_bare();
        let stay = self.stays.get(key)?;
        if self.conference_domain(&bare).is_some() {
            let nickname = invitee.resource()?.as_str();
            let occupant = stay.listing.occupant(nickname).filter(|_| bare == stay.room)?;
            return Some(occupant.uri.clone());
        }
        bare.node()?;
        Some(sip_user(&bare, &self.config.components).unwrap_or_else(|| xmpp_user_uri(&bare.into())))
    }

    fn refer(&mut self, uri: Uri, invitation: Invitation) {
        let Some(stay) = self.stays.get(invitation.stay) else {
            return;
        };
        let parameters = ReferParameters {
            uri: stay.conference.clone(),
            from: NameAddr::new(stay.address.clone()),
            to: NameAddr::new(stay.conference.clone()),
            contact: contact(stay),
            refer_to: NameAddr::new(uri),
        };
        let subscription = SubscriptionId(self.next_handle());
        self.stays.invite(subscription, invitation);
        self.sip(sip::Command::Refer {
            subscription,
            parameters: Box::new(parameters),
        });
    }

    /// F29, if it is a no.
    pub(super) fn invitation_refused(&mut self, subscription: SubscriptionId, status: StatusCode) {
        if let Some(invitation) = self.stays.invitation_over(subscription) {
            self.not_invited(invitation, status, None);
        }
    }

    /// F30. That it goes well is seen in the roster; that it does not, the inviter is told.
    pub(super) fn invitation_progress(
        &mut self,
        subscription: SubscriptionId,
        state: &SubscriptionState,
        body: Option<&Body>,
    ) {
        let outcome = body.and_then(|body| read_status(&body.bytes));
        let failure = outcome.filter(|(status, _)| status.0 >= 300);
        if failure.is_none() && !matches!(state, SubscriptionState::Terminated(_)) {
            return;
        }
        if let (Some(invitation), Some((status, phrase))) =
            (self.stays.invitation_over(subscription), failure)
        {
            self.not_invited(invitation, status, Some(phrase));
        }
    }

    fn not_invited(&mut self, invitation: Invitation, status: StatusCode, phrase: Option<String>) {
        let text = phrase.filter(|phrase| !phrase.is_empty());
        let text = text.unwrap_or_else(|| status.reason().to_owned());
        let Invitation {
            client,
            room,
            id,
            invitee,
            ..
        } = invitation;
        self.room(if is_of_the_invitee(status) {
            RoomStanza::Declined {
                from: room,
                to: client,
                invitee,
                reason: text,
            }
        } else {
            RoomStanza::Refused {
                name: "message",
                from: room.clone().into(),
                to: client.into(),
                id,
                by: room,
                error: StanzaError {
                    text: Some(text),
                    ..StanzaError::new(condition_of(status))
                },
            }
        });
    }
}

/// He was reached, or his own side says that he is not there: the focus has done its part.
fn is_of_the_invitee(status: StatusCode) -> bool {
    matches!(status.0, 480 | 486 | 487 | 600 | 603)
}

/// The status line in a message/sipfrag (RFC 3420).
fn read_status(fragment: &[u8]) -> Option<(StatusCode, String)> {
    let line = fragment.split(|octet| *octet == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    let mut parts = line.trim().splitn(3, ' ');
    let version = parts.next()?;
    let status = parts.next()?.parse().ok()?;
    let phrase = parts.next().unwrap_or_default().to_owned();
    version
        .starts_with("SIP/")
        .then_some((StatusCode(status), phrase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3420_the_status_of_a_fragment() {
        let read = |text: &str| read_status(text.as_bytes()).map(|(status, phrase)| (status.0, phrase));
        assert_eq!(read("SIP/2.0 100 Trying\r\n"), Some((100, "Trying".to_owned())));
        assert_eq!(
            read("SIP/2.0 603 No, thanks"),
            Some((603, "No, thanks".to_owned()))
        );
        assert_eq!(read("SIP/2.0 200"), Some((200, String::new())));
        assert_eq!(read(""), None);
        assert_eq!(read("HTTP/1.1 200 OK"), None);
        assert_eq!(read("SIP/2.0 many\u{0}"), None);
    }
}
