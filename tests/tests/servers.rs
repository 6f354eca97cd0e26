//! The real servers by themselves, with the files of `deploy/`: what the end-to-end tests stand on.

use gateway_tests::{
    Result, on_each_xmpp_server,
    peers::{XmppServer, XmppServerKind},
};

const ROOM: &str = "capulet@rooms.example.com";

on_each_xmpp_server! {
    two_xmpp_users_talk_in_a_room_of_the_deployed_server,
    the_server_comes_back_after_a_crash_at_the_same_address,
}

fn two_xmpp_users_talk_in_a_room_of_the_deployed_server(server: XmppServerKind) -> Result<()> {
    let server = XmppServer::start(server)?;
    let mut juliet = server.connect_user("juliet")?;
    let mut nurse = server.connect_user("nurse")?;
    assert_eq!(juliet.enter(ROOM, "JuliC")?, Vec::<String>::new());
    assert_eq!(nurse.enter(ROOM, "Nurse")?, ["JuliC"]);
    juliet.see(ROOM, "Nurse", None)?;
    nurse.say(ROOM, "Madam & <Lady>")?;
    assert_eq!(juliet.hear(ROOM, "Madam & <Lady>")?, "Nurse");
    assert_eq!(nurse.hear(ROOM, "Madam & <Lady>")?, "Nurse");
    juliet.kick(ROOM, "Nurse", "enough")?;
    assert!(nurse.see(ROOM, "Nurse", Some("unavailable"))?.has_status("307"));
    Ok(())
}

fn the_server_comes_back_after_a_crash_at_the_same_address(server: XmppServerKind) -> Result<()> {
    let mut server = XmppServer::start(server)?;
    let mut juliet = server.connect_user("juliet")?;
    server.kill()?;
    assert!(juliet.wait("the end of the stream", |_| false).is_err());
    assert!(juliet.inbox().is_closed());
    server.restart()?;
    server.connect_user("juliet")?.enter(ROOM, "JuliC")?;
    Ok(())
}
