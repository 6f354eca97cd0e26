//! What users of the stage say, and what they have heard.

use bytes::Bytes;
use msrp::{
    MessageTag, OutgoingMessage, Status,
    cpim::{Address, Cpim},
};

use super::{Stage, session_id};

impl Stage {
    /// A SEND of the user with these CPIM addresses. Returns its tag.
    pub(crate) fn send(&mut self, user: usize, from: &str, to: &[&str], text: &str) -> MessageTag {
        let address = |uri: &str| Address {
            display_name: None,
            uri: uri.to_owned(),
        };
        let cpim = Cpim {
            from: Some(address(from)),
            to: to.iter().map(|to| address(to)).collect(),
            date_time: None,
            other: Vec::new(),
            content_type: "text/plain;charset=utf-8".to_owned(),
            content_headers: Vec::new(),
            content: Bytes::copy_from_slice(text.as_bytes()),
        };
        self.send_raw(user, "message/cpim", cpim.to_bytes())
    }

    pub(crate) fn send_raw(&mut self, user: usize, content_type: &'static str, body: Bytes) -> MessageTag {
        self.messages += 1;
        let tag = MessageTag(self.messages + 5000);
        let sender = &mut self.users[user];
        let session = session_id(&sender.path);
        let message = OutgoingMessage {
            tag,
            id: format!("m{}", tag.0).parse().unwrap(),
            content_type,
            body,
            success_report: false,
            failure_report: msrp::FailureReport::Yes,
            lane: msrp::Lane::default(),
        };
        sender
            .msrp
            .handle_command(msrp::Command::Send { session, message }, self.now);
        self.run();
        tag
    }

    /// Says something to everybody, as an ordinary client does.
    pub(crate) fn say(&mut self, user: usize, text: &str) -> MessageTag {
        let from = self.users[user].aor.to_string();
        self.send(user, &from, &["sip:capulet@rooms.example.com"], text)
    }

    pub(crate) fn nickname(&mut self, user: usize, nickname: &str) -> MessageTag {
        let tag = MessageTag(77);
        let asker = &mut self.users[user];
        let command = msrp::Command::Nickname {
            session: session_id(&asker.path),
            tag,
            nickname: nickname.to_owned(),
        };
        asker.msrp.handle_command(command, self.now);
        self.run();
        tag
    }

    /// What the client heard for a SEND: `Ok` once the room has it.
    pub(crate) fn outcome(&self, user: usize, tag: MessageTag) -> Option<Result<(), Status>> {
        self.users[user].msrp_events.iter().find_map(|event| match event {
            msrp::Event::Delivered { tag: t, .. } if *t == tag => Some(Ok(())),
            msrp::Event::Failed { tag: t, status, .. } if *t == tag => Some(Err(*status)),
            _ => None,
        })
    }

    /// What the client heard for its last NICKNAME.
    pub(crate) fn nickname_outcome(&self, user: usize) -> Option<Status> {
        self.users[user]
            .msrp_events
            .iter()
            .rev()
            .find_map(|event| match event {
                msrp::Event::NicknameAnswered { status, .. } => Some(*status),
                _ => None,
            })
    }

    /// Messages that the client has received: sender, recipient, text.
    pub(crate) fn heard(&self, user: usize) -> Vec<(String, String, String)> {
        let received = self.users[user]
            .received
            .iter()
            .map(|(_, message)| Cpim::parse(&message.body).unwrap());
        received
            .map(|cpim| {
                let text = cpim.text().unwrap().to_owned();
                (cpim.from.unwrap().uri, cpim.to[0].uri.clone(), text)
            })
            .collect()
    }

    /// What the client was told later of messages that were answered 200.
    pub(crate) fn reported(&self, user: usize) -> Vec<u16> {
        let events = self.users[user].msrp_events.iter();
        events
            .filter_map(|event| match event {
                msrp::Event::Reported { status, .. } => Some(status.code()),
                _ => None,
            })
            .collect()
    }

    /// The final response to the user's last INVITE, if it was a refusal.
    pub(crate) fn refusal(&self, user: usize) -> Option<(u16, String)> {
        self.users[user]
            .sip_events
            .iter()
            .rev()
            .find_map(|event| match event {
                sip::Event::Refused { status, phrase, .. } => Some((status.0, phrase.clone())),
                _ => None,
            })
    }

    pub(crate) fn answered(&self, user: usize) -> bool {
        self.users[user]
            .sip_events
            .iter()
            .any(|event| matches!(event, sip::Event::Answered { .. }))
    }

    /// The Reason of the BYE that ended the user's call.
    pub(crate) fn bye(&self, user: usize) -> Option<(u16, String)> {
        self.users[user].sip_events.iter().find_map(|event| match event {
            sip::Event::Ended {
                cause: sip::EndCause::Bye(Some(reason)),
                ..
            } => Some((reason.cause.0, reason.text.clone())),
            _ => None,
        })
    }

    /// The room as the user's conference documents, applied in order, show it; and their versions.
    pub(crate) fn roster(&self, user: usize) -> (Vec<u32>, Option<sip::conference::Document>) {
        let mut versions = Vec::new();
        let mut room: Option<sip::conference::Document> = None;
        for event in &self.users[user].sip_events {
            let sip::Event::Notified { body: Some(body), .. } = event else {
                continue;
            };
            let (version, document) = sip::conference::Document::parse(&body.bytes).unwrap();
            versions.push(version);
            match &mut room {
                Some(room) => room.apply(document),
                None => room = Some(document),
            }
        }
        (versions, room)
    }

    /// The nicknames in the user's roster.
    pub(crate) fn nicknames(&self, user: usize) -> Vec<String> {
        let users = self.roster(user).1.map(|room| room.users).unwrap_or_default();
        let mut names: Vec<_> = users.into_iter().filter_map(|user| user.nickname).collect();
        names.sort();
        names
    }
}
