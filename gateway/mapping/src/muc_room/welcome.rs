//! RFC 7701 §11: a client that knows nothing of chat rooms shows its user a chat with one. He is told that it is a room, and who is in it.

use std::time::Instant;

use crate::{Gateway, session::SessionKey};

/// Occupants named; of the others, how many there are.
const NAMED: usize = 5;

impl Gateway {
    /// The user is in. Held until his MSRP session is open, as all that is said by then.
    pub(super) fn welcome(&mut self, key: SessionKey, now: Instant) {
        let Some(session) = self.sessions.get(key).filter(|session| !session.knows_rooms) else {
            return;
        };
        let Some(room) = self.rooms.get(&session.room) else {
            return;
        };
        let others = room.roster.nicknames();
        let others: Vec<&str> = others.filter(|other| *other != session.nickname).collect();
        let text = format!(
            "(You are in the chat room {}, with {}. All who are there read what you write.)",
            session.room,
            listed(&others)
        );
        self.tell_of_room(key, &text, now);
    }
}

fn listed(names: &[&str]) -> String {
    let (named, unnamed) = names.split_at(names.len().min(NAMED));
    match (named, unnamed.len()) {
        ([], _) => "nobody else so far".to_owned(),
        ([one], _) => (*one).to_owned(),
        ([first @ .., last], 0) => format!("{} and {last}", first.join(", ")),
        (named, others) => format!("{} and {others} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::listed;

    #[test]
    fn a_few_are_named_and_many_are_counted() {
        for (names, text) in [
            (&[][..], "nobody else so far"),
            (&["A"], "A"),
            (&["A", "B"], "A and B"),
            (&["A", "B", "C", "D", "E"], "A, B, C, D and E"),
            (&["A", "B", "C", "D", "E", "F", "G"], "A, B, C, D, E and 2 more"),
        ] {
            assert_eq!(listed(names), text);
        }
    }
}
