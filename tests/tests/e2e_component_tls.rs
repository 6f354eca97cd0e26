//! TLS between the gateway and ejabberd's component listener: the certificate has to be for the server and of a known authority.

use gateway_tests::{
    Context, PATIENCE, Result,
    authority::{Authority, Says, dns},
    ensure,
    peers::{Ejabberd, Gateway, GatewaySettings, Kamailio, XmppServer},
    world::{ROOM, World},
};

const NAME: &str = "xmpp.example.com";

/// ejabberd under a certificate for [`NAME`].
fn server(authority: &Authority) -> Result<XmppServer> {
    let files = authority.issue("xmpp", &Says::names(&[dns(NAME)?]))?;
    Ok(XmppServer::Ejabberd(Ejabberd::start_secured(authority, &files)?))
}

/// A gateway that expects a server of that name and trusts that authority.
fn gateway(xmpp: &XmppServer, name: &str, authority: &Authority) -> Result<Gateway> {
    let overrides = vec![
        ("GATEWAY__XMPP__TLS", "true".to_owned()),
        ("GATEWAY__XMPP__TLS_NAME", name.to_owned()),
        (
            "GATEWAY__XMPP__TLS_ANCHORS",
            authority.file().display().to_string(),
        ),
    ];
    Gateway::start(&GatewaySettings {
        overrides,
        ..GatewaySettings::for_server(xmpp)
    })
}

#[test]
fn a_conversation_goes_over_tls_to_the_server_that_the_certificate_names() -> Result<()> {
    let authority = Authority::new()?;
    let xmpp = server(&authority)?;
    let mut gateway = gateway(&xmpp, NAME, &authority)?;
    let attached = gateway.process().wait_for_log("link up", 0, PATIENCE);
    attached.with_context(|| xmpp.log_tail())?;
    let kamailio = Kamailio::start(gateway.sip_address())?;
    let mut world = World {
        gateway,
        kamailio,
        xmpp,
    };
    let mut juliet = world.xmpp_user("juliet")?;
    juliet.enter(ROOM, "JuliC")?;
    let mut romeo = world.sip_user("romeo", "Romeo")?;
    romeo.say_and_wait("by yonder blessed moon")?;
    assert_eq!(juliet.hear(ROOM, "by yonder blessed moon")?, "Romeo");
    // More than one record, both ways.
    let long = "O swear not by the moon. ".repeat(1000);
    juliet.say(ROOM, &long)?;
    assert_eq!(romeo.hear(&long)?, "JuliC");
    romeo.say_and_wait(&long)?;
    juliet.hear(ROOM, &long)?;
    world.xmpp.restart()?;
    let up = world.gateway.log().len();
    world.gateway.process().wait_for_log("link up", up, PATIENCE)
}

#[test]
fn a_server_whose_certificate_is_for_another_name_gets_no_secret() -> Result<()> {
    let authority = Authority::new()?;
    must_be_refused(
        &authority,
        "elsewhere.example.com",
        &authority,
        "not valid for name",
    )
}

#[test]
fn a_server_whose_certificate_is_of_an_unknown_authority_gets_no_secret() -> Result<()> {
    must_be_refused(&Authority::new()?, NAME, &Authority::new()?, "UnknownIssuer")
}

fn must_be_refused(authority: &Authority, name: &str, trusted: &Authority, cause: &str) -> Result<()> {
    let xmpp = server(authority)?;
    let mut gateway = gateway(&xmpp, name, trusted)?;
    gateway.process().wait_for_log(cause, 0, PATIENCE)?;
    ensure!(gateway.is_running(), "the gateway has ended");
    ensure!(!gateway.log().contains("link up"), "it is attached all the same");
    Ok(())
}
