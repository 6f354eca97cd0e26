//! RFC 7702 §5.8: an XMPP user leaves a SIP conference, or is made to.

use sip::{EndCause, Reason, StatusCode};

use crate::hall::{Hall, JULIET, JULIET_TOO};

#[test]
fn f31_to_f34_the_call_ends_with_the_words_of_the_user() {
    let mut hall = Hall::new();
    hall.enter(JULIET, "JuliC");
    hall.told.clear();
    hall.leave(JULIET, "JuliC", Some("Good night!"));
    // A7702-52, -54.
    let reason = Reason {
        cause: StatusCode(200),
        text: "Good night!".to_owned(),
    };
    assert_eq!(hall.legs[0].ended, Some(EndCause::Bye(Some(reason))));
    assert_eq!(hall.watchers, []);
    // A7702-53.
    assert_eq!(hall.heard(JULIET), ["JuliC is out (none) 110"]);
    assert_eq!(hall.gateway.census(), (0, 0, 0, 0));
}

#[test]
fn the_account_is_in_as_long_as_one_of_its_clients_is() {
    let mut hall = Hall::new();
    hall.enter(JULIET, "JuliC");
    hall.enter(JULIET_TOO, "JuliC");
    assert_eq!(hall.invites.len(), 1);
    hall.told.clear();
    hall.leave(JULIET, "JuliC", None);
    assert_eq!(hall.heard(JULIET), ["JuliC is out (none) 110"]);
    assert_eq!(hall.heard(JULIET_TOO), [""; 0]);
    assert_eq!(hall.legs[0].ended, None);
    hall.leave(JULIET_TOO, "JuliC", None);
    assert!(hall.legs[0].ended.is_some());
}

#[test]
fn a7702_55_who_is_removed_by_the_focus_hears_so() {
    let mut hall = Hall::new();
    hall.enter(JULIET, "JuliC");
    hall.told.clear();
    let reason = Reason {
        cause: StatusCode(200),
        text: "Too loud".to_owned(),
    };
    hall.bye(0, Some(reason));
    assert_eq!(
        hall.heard(JULIET),
        ["JuliC is out (none) 110 307 because Too loud"]
    );
    assert_eq!(hall.gateway.census(), (0, 0, 0, 0));
}
