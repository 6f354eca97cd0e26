//! RFC 7702 §5.1: an XMPP user enters a SIP conference.

use std::time::Duration;

use crate::hall::{CONFERENCE, Hall, JULIET};

#[test]
fn f1_to_f15_the_user_is_in_and_knows_who_else_is() {
    let mut hall = Hall::new();
    hall.enter(JULIET, "JuliC");
    assert_eq!(
        hall.heard(JULIET),
        [
            "Ben is in (participant)",
            "Romeo is in (participant)",
            "JuliC is in (participant) 110",
            "subject: Today in Verona",
        ]
    );
    // A7702-01, -04, -05: one INVITE, from the account, to the conference.
    assert_eq!(hall.invites.len(), 1);
    let invite = &hall.invites[0];
    assert_eq!(invite.uri.to_string(), CONFERENCE);
    assert_eq!(invite.to.uri.to_string(), CONFERENCE);
    assert_eq!(invite.from.uri.to_string(), "sip:juliet@example.com");
    // A7702-13, -18.
    assert_eq!(hall.nicknames, ["JuliC"]);
    assert_eq!(hall.subscribes.len(), 1);
    assert_eq!(hall.subscribes[0].headers.get("Event"), Some("conference"));
    assert_eq!(hall.legs[0].ended, None);
    assert_eq!(hall.gateway.census().0, 1);
    hall.pass(Duration::from_secs(120));
    assert_eq!(hall.heard(JULIET), [""; 0]);
}
