//! The real servers by themselves, with the files of `deploy/`: what the end-to-end tests stand on.

use gateway_tests::{
    Result,
    peers::{Prosody, ProsodySettings},
};

const ROOM: &str = "capulet@rooms.example.com";

#[test]
fn two_xmpp_users_talk_in_a_room_of_the_deployed_prosody() -> Result<()> {
    let prosody = Prosody::start(ProsodySettings::default())?;
    let mut juliet = prosody.connect_user("juliet")?;
    let mut nurse = prosody.connect_user("nurse")?;
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

#[test]
fn prosody_comes_back_after_a_crash_at_the_same_address_with_its_accounts() -> Result<()> {
    let mut prosody = Prosody::start(ProsodySettings::default())?;
    let mut juliet = prosody.connect_user("juliet")?;
    prosody.kill()?;
    assert!(juliet.wait("the end of the stream", |_| false).is_err());
    assert!(juliet.inbox().is_closed());
    prosody.restart()?;
    prosody.connect_user("juliet")?.enter(ROOM, "JuliC")?;
    Ok(())
}
