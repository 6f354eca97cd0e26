//! The focus of the hall: calls, subscriptions, documents, referrals.

use bytes::Bytes;
use sip::{
    Body, Contact, DialogId, Incoming, StatusCode, SubscriptionId, SubscriptionState,
    conference::{Document, User},
};

use super::{Hall, Leg, Script};

impl Hall {
    /// The focus tells all watchers of a change; the whole of it, or only this part.
    pub(crate) fn notify(&mut self, partial: Option<Document>) {
        for place in 0..self.watchers.len() {
            let document = partial.clone().unwrap_or_else(|| self.document.clone());
            self.notify_one(place, &document);
        }
        self.run();
    }

    pub(super) fn notify_one(&mut self, place: usize, document: &Document) {
        let (subscription, version) = &mut self.watchers[place];
        let body = Body {
            content_type: sip::conference::CONTENT_TYPE.to_owned(),
            bytes: document.render().with_version(*version),
        };
        *version += 1;
        let command = sip::Command::Notify {
            subscription: *subscription,
            state: SubscriptionState::Active,
            body: Some(body),
        };
        self.focus.handle_command(command, self.now);
    }

    /// Somebody enters, or is shown otherwise.
    pub(crate) fn list(&mut self, user: User) {
        self.document.users.retain(|known| known.entity != user.entity);
        self.document.users.push(user);
        self.notify(None);
    }

    pub(crate) fn unlist(&mut self, entity: &str) {
        self.document.users.retain(|known| known.entity != entity);
        self.notify(None);
    }

    pub(crate) fn bye(&mut self, leg: usize, reason: Option<sip::Reason>) {
        let dialog = self.legs[leg].dialog;
        self.focus
            .handle_command(sip::Command::Bye { dialog, reason }, self.now);
        self.run();
    }

    pub(super) fn focus_hears(&mut self, event: sip::Event) {
        use sip::Event;
        match event {
            Event::Invited { dialog, request, due } => {
                match self.script.invite {
                    _ if self.script.redirections > 0 => self.redirect(due),
                    None => self.focus_events.push(Event::Invited {
                        dialog,
                        request: request.clone(),
                        due,
                    }),
                    Some((200, _)) => self.take_call(dialog, &request, due),
                    Some((code, phrase)) => self.focus.handle_command(
                        sip::Command::Refuse {
                            due,
                            status: StatusCode(code),
                            phrase: Some(phrase.to_owned()),
                            headers: Vec::new(),
                        },
                        self.now,
                    ),
                }
                self.invites.push(*request);
            }
            Event::Subscribing {
                subscription,
                request,
                due,
                ..
            } => {
                self.subscribes.push(*request);
                match self.script.subscriptions.pop_front() {
                    Some(Some(code)) if code != 200 => self.focus.handle_command(
                        sip::Command::Refuse {
                            due,
                            status: StatusCode(code),
                            phrase: None,
                            headers: Vec::new(),
                        },
                        self.now,
                    ),
                    Some(None) => drop(due),
                    _ => self.take_watcher(subscription, due),
                }
            }
            Event::Answered {
                dialog,
                body: Some(body),
                ..
            } => {
                let answer = sip::sdp::Session::parse(&body.bytes).unwrap();
                let theirs = answer.media()[0].attribute("path").unwrap().parse().unwrap();
                self.legs
                    .iter_mut()
                    .find(|leg| leg.dialog == dialog)
                    .unwrap()
                    .theirs = theirs;
            }
            Event::Ended { dialog, cause } => {
                for leg in self.legs.iter_mut().filter(|leg| leg.dialog == dialog) {
                    leg.ended = Some(cause.clone());
                }
            }
            Event::SubscriptionEnded { subscription, .. } => {
                self.watchers.retain(|(watcher, _)| *watcher != subscription);
            }
            event => self.focus_events.push(event),
        }
    }

    pub(super) fn redirect(&mut self, due: sip::AnswerDue) {
        self.script.redirections -= 1;
        let refuse = sip::Command::Refuse {
            due,
            status: StatusCode(302),
            phrase: None,
            headers: vec![sip::Header {
                name: "Contact".into(),
                value: format!("<{}>", self.script.redirect.unwrap()),
            }],
        };
        self.focus.handle_command(refuse, self.now);
    }

    /// The focus calls an XMPP user, as a conference of this URI.
    pub(crate) fn dial_out(
        &mut self,
        conference: &str,
        user: &str,
        parameters: Vec<(&'static str, Option<String>)>,
    ) {
        let path: msrp::Path = format!("msrp://127.0.0.4:2855/switch{};tcp", self.legs.len())
            .parse()
            .unwrap();
        let setup = match self.script.setup {
            "active" => "active",
            _ => "actpass",
        };
        let offer = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.4\r\ns=-\r\nc=IN IP4 127.0.0.4\r\nt=0 0\r\nm=message 2855 TCP/MSRP *\r\n\
             a=accept-types:message/cpim\r\na=accept-wrapped-types:*\r\na=path:{path}\r\na=setup:{setup}\r\n\
             a=chatroom:nickname private-messages\r\n"
        );
        let header = |name: &'static str, value: &str| sip::Header {
            name: name.into(),
            value: value.to_owned(),
        };
        let dialog = DialogId(1000 + 2 * self.legs.len() as u64);
        let invite = sip::InviteParameters {
            uri: user.parse().unwrap(),
            from: sip::NameAddr::new(conference.parse().unwrap()),
            to: sip::NameAddr::new(user.parse().unwrap()),
            contact: Contact {
                user: None,
                parameters,
            },
            body: Body {
                content_type: "application/sdp".to_owned(),
                bytes: Bytes::from(offer),
            },
            headers: vec![
                header("Referred-By", "<sip:romeo@example.org>"),
                header("Subject", "Come!"),
            ],
        };
        let theirs = path.clone();
        self.legs.push(Leg {
            dialog,
            path,
            theirs,
            ended: None,
        });
        let parameters = Box::new(invite);
        self.focus
            .handle_command(sip::Command::Invite { dialog, parameters }, self.now);
        self.run();
    }

    /// Takes a REFER, and says with a fragment what became of it.
    pub(crate) fn follow_refer(&mut self, due: sip::AnswerDue, fragment: &str) {
        self.sent += 1;
        let subscription = SubscriptionId(self.sent * 2);
        let follow = sip::Command::FollowRefer {
            due,
            contact: Contact::default(),
            subscription,
        };
        let notify = sip::Command::Notify {
            subscription,
            state: SubscriptionState::Terminated("noresource".to_owned()),
            body: Some(Body {
                content_type: "message/sipfrag".to_owned(),
                bytes: Bytes::copy_from_slice(fragment.as_bytes()),
            }),
        };
        for command in [follow, notify] {
            self.focus.handle_command(command, self.now);
        }
        self.run();
    }

    pub(crate) fn take_call(&mut self, dialog: DialogId, request: &Incoming, due: sip::AnswerDue) {
        let offer = sip::sdp::Session::parse(&request.body.as_ref().unwrap().bytes).unwrap();
        let theirs: msrp::Path = offer.media()[0].attribute("path").unwrap().parse().unwrap();
        let path: msrp::Path = format!("msrp://127.0.0.4:2855/switch{};tcp", self.legs.len())
            .parse()
            .unwrap();
        let Script {
            setup,
            accepts,
            chatroom,
            attributes,
            is_focus,
            ..
        } = self.script;
        let chatroom = chatroom.map_or_else(String::new, |tokens| format!("a=chatroom:{tokens}\r\n"));
        let answer = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.4\r\ns=-\r\nc=IN IP4 127.0.0.4\r\nt=0 0\r\nm=message 2855 TCP/MSRP *\r\n\
             a=accept-types:{accepts}\r\na=accept-wrapped-types:*\r\na=path:{path}\r\na=setup:{setup}\r\n\
             {chatroom}{attributes}"
        );
        let parameters = if is_focus {
            vec![("isfocus", None)]
        } else {
            Vec::new()
        };
        let accept = sip::Command::Accept {
            due,
            contact: Contact {
                user: None,
                parameters,
            },
            body: Body {
                content_type: "application/sdp".to_owned(),
                bytes: Bytes::from(answer),
            },
        };
        self.focus.handle_command(accept, self.now);
        self.legs.push(Leg {
            dialog,
            path,
            theirs,
            ended: None,
        });
    }

    pub(super) fn take_watcher(&mut self, subscription: SubscriptionId, due: sip::AnswerDue) {
        let contact = Contact::default();
        let accept = sip::Command::AcceptSubscription { due, contact };
        self.focus.handle_command(accept, self.now);
        // Versions may begin anywhere.
        self.watchers.push((subscription, 17));
        let place = self.watchers.len() - 1;
        if self.script.notifies {
            let document = self.document.clone();
            self.notify_one(place, &document);
        } else {
            let pending = sip::Command::Notify {
                subscription,
                state: SubscriptionState::Pending,
                body: None,
            };
            self.focus.handle_command(pending, self.now);
        }
    }
}
