//! SIP over TLS between Kamailio and the gateway, each with a certificate that the other verifies.

use std::net::SocketAddr;

use gateway_tests::{
    Context, PATIENCE, Result,
    authority::{Authority, Files, SanType, Says, dns},
    ensure,
    peers::{Gateway, GatewaySettings, Kamailio, XmppServer, XmppServerKind, XmppUser, sip_chat::field},
    ports::free_port,
    raw_msrp::offer,
    raw_sip::{RawSip, Request},
    world::{ROOM, ROOM_URI, World},
};

const PATH: &str = "msrp://127.0.0.1:9/x;tcp";

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn certificate_of_gateway(authority: &Authority) -> Result<Files> {
    let names = [
        dns("gateway.example.com")?,
        SanType::IpAddress([127, 0, 0, 1].into()),
    ];
    authority.issue("gateway", &Says::names(&names))
}

/// The three servers, TLS between proxy and gateway. The gateway trusts the proxy by the name in its certificate: everybody here has the same
/// address.
fn secured(authority: &Authority) -> Result<World> {
    let gateway_files = certificate_of_gateway(authority)?;
    let names = [
        dns("proxy.example.org")?,
        SanType::IpAddress([127, 0, 0, 1].into()),
    ];
    let proxy_files = authority.issue("proxy", &Says::names(&names))?;
    let xmpp = XmppServer::start(XmppServerKind::default())?;
    let (sip, tls, msrp) = (local(free_port()?), local(free_port()?), local(free_port()?));
    let kamailio = Kamailio::start_with_tls(tls, authority, &proxy_files)?;
    let proxy = kamailio.secured_address().context("no TLS")?;
    let file = |path: &std::path::Path| path.display().to_string();
    let settings = GatewaySettings {
        overrides: vec![
            (
                "GATEWAY__SIP__LISTEN",
                format!("[\"udp:{sip}\", \"tcp:{sip}\", \"tls:{tls}\"]"),
            ),
            ("GATEWAY__TLS__CERTIFICATE", file(&gateway_files.certificate)),
            ("GATEWAY__TLS__KEY", file(&gateway_files.key)),
            ("GATEWAY__TLS__TRUST_ANCHORS", file(&authority.file())),
            ("GATEWAY__TLS__CHECK", "100ms".to_owned()),
            ("GATEWAY__TLS__CLIENT_CERTIFICATES", "required".to_owned()),
            ("GATEWAY__SIP__TRUST__PEERS", "proxy.example.org".to_owned()),
            (
                "GATEWAY__SIP__OUTBOUND_PROXY",
                format!("sip:{proxy};transport=tls;lr"),
            ),
            ("GATEWAY__SIP__REGISTER__REGISTRAR", "sip:example.org".to_owned()),
            (
                "GATEWAY__SIP__REGISTER__ADDRESS",
                "sip:gateway@example.org".to_owned(),
            ),
        ],
        ..GatewaySettings::for_server(&xmpp)
    };
    let mut gateway = Gateway::start_on(sip, msrp, &settings)?;
    gateway.process().wait_for_log("link up", 0, PATIENCE)?;
    Ok(World {
        gateway,
        kamailio,
        xmpp,
    })
}

fn in_a_secured_world(test: impl FnOnce(&mut World, &Authority) -> Result<()>) -> Result<()> {
    let authority = Authority::new()?;
    let mut world = secured(&authority)?;
    let outcome = test(&mut world, &authority).and_then(|()| {
        let complaints = world.kamailio.complaints();
        ensure!(complaints.is_empty(), "{complaints:?}");
        world.gateway.check_msrp()
    });
    outcome.with_context(|| world.logs())
}

// Rows: G7702-07, C757X-20
#[test]
fn a_conversation_over_tls_goes_on_while_the_certificate_changes() -> Result<()> {
    in_a_secured_world(|world, authority| {
        // The gateway connects to the proxy, too, and each verifies the other.
        world.gateway.process().wait_for_log("registered", 0, PATIENCE)?;
        let mut juliet = world.xmpp_user("juliet")?;
        juliet.enter(ROOM, "JuliC")?;
        let mut romeo = world.sip_user("romeo", "Romeo")?;
        juliet.see(ROOM, "Romeo", None)?;
        // Who is there before the nickname changes.
        romeo.await_occupant("JuliC")?;
        romeo.say_and_wait("Is the day so young?")?;
        juliet.hear(ROOM, "Is the day so young?")?;

        certificate_of_gateway(authority)?;
        world
            .gateway
            .process()
            .wait_for_log("certificates reloaded", 0, PATIENCE)?;

        // In the dialog: NOTIFY by the gateway, then BYE by the caller; and a new call.
        juliet.rename(ROOM, "Juliet")?;
        romeo.wait_for("renamed", |event| field(event, "new") == "Juliet")?;
        juliet.say(ROOM, "But new struck nine")?;
        romeo.hear("But new struck nine")?;
        let mut nurse = world.sip_user("nurse", "Nurse")?;
        juliet.see(ROOM, "Nurse", None)?;
        nurse.quit()?;
        juliet.see(ROOM, "Nurse", Some("unavailable"))?;
        romeo.quit()?;
        juliet.see(ROOM, "Romeo", Some("unavailable"))?;
        Ok(())
    })
}

/// The address behind a nickname, as the room shows its owner.
fn address_of(owner: &mut XmppUser, nickname: &str) -> Result<String> {
    let presence = owner.see(ROOM, nickname, None)?;
    let item = presence.descendant("item").context("no item")?;
    Ok(item.attribute("jid").context("no address")?.to_owned())
}

/// An INVITE of Romeo who would rather be another.
fn invite(caller: &RawSip, header: &str, name: &str) -> Request {
    let mut invite = Request::invite(ROOM_URI, caller.contact(), &offer(PATH));
    invite.from = format!("\"{name}\" <sip:romeo@example.org>");
    invite.extra.push(header.to_owned());
    invite
}

#[test]
fn rfc3325_section_5_an_asserted_identity_counts_from_the_proxy_and_from_nobody_else() -> Result<()> {
    in_a_secured_world(|world, _| {
        let mut juliet = world.xmpp_user("juliet")?;
        juliet.enter(ROOM, "JuliC")?;

        let mut through_proxy = RawSip::connect(world.kamailio.address())?;
        let request = invite(
            &through_proxy,
            "P-Preferred-Identity: \"Mercutio\" <sip:mercutio@example.org>",
            "Romeo",
        );
        through_proxy.send(request.to_string())?;
        let address = address_of(&mut juliet, "Mercutio")?;
        ensure!(address.starts_with("mercutio@example.org/"), "{address}");

        let mut direct = RawSip::connect(world.gateway.sip_address())?;
        let request = invite(
            &direct,
            "P-Asserted-Identity: \"Tybalt\" <sip:tybalt@example.org>",
            "Pretender",
        );
        direct.send(request.to_string())?;
        let address = address_of(&mut juliet, "Pretender")?;
        ensure!(address.starts_with("romeo@example.org/"), "{address}");
        Ok(())
    })
}
