//! sipp's scenarios against the gateway with a real room behind it, over UDP and TCP. No MSRP session is opened: the calls end before that is due.

use gateway_tests::{
    Context, Result,
    peers::{XmppServerKind, XmppUser},
    sipp::{Sipp, SippTransport},
    world::{ROOM, World, in_a_world},
};

const TRANSPORTS: [SippTransport; 2] = [SippTransport::Udp, SippTransport::Tcp];

#[test]
fn a_call_enters_and_leaves_the_room() -> Result<()> {
    in_a_world(|world| {
        let mut juliet = watcher(world)?;
        for transport in TRANSPORTS {
            run(world, "call", transport)?;
            saw_somebody_come_and_go(&mut juliet)?;
        }
        Ok(())
    })
}

#[test]
fn a_call_cancelled_before_the_room_admits_it_is_487() -> Result<()> {
    in_a_world(|world| {
        for transport in TRANSPORTS {
            let room = world.xmpp.process().context("the XMPP server runs")?;
            room.pause();
            let outcome = run(world, "cancel", transport);
            room.resume();
            outcome?;
        }
        let mut juliet = watcher(world)?;
        run(world, "call", SippTransport::Udp)?;
        saw_somebody_come_and_go(&mut juliet)
    })
}

/// With a T1 of 50 ms, so that 64·T1 is 3.2 s.
#[test]
fn a_200_without_ack_is_sent_seven_times_and_then_the_call_is_ended() -> Result<()> {
    let world = World::start_with(
        XmppServerKind::default(),
        vec![("GATEWAY__SIP__T1", String::from("50ms"))],
    )?;
    let mut juliet = watcher(&world)?;
    for transport in TRANSPORTS {
        let lost_ack = Sipp {
            retransmit: false,
            ..Sipp::once("lost_ack", world.gateway.sip_address(), transport)
        };
        lost_ack
            .run()
            .with_context(|| format!("{transport:?}"))
            .with_context(|| world.logs())?;
        saw_somebody_come_and_go(&mut juliet)?;
    }
    Ok(())
}

#[test]
fn a_reinvite_moves_the_msrp_session() -> Result<()> {
    in_a_world(|world| {
        TRANSPORTS
            .iter()
            .try_for_each(|transport| run(world, "reinvite", *transport))
    })
}

#[test]
fn a_subscription_to_the_room_is_notified_until_it_is_taken_back() -> Result<()> {
    in_a_world(|world| {
        TRANSPORTS
            .iter()
            .try_for_each(|transport| run(world, "subscribe", *transport))
    })
}

#[test]
fn a_refer_invites_an_xmpp_user() -> Result<()> {
    in_a_world(|world| {
        let mut juliet = world.xmpp_user("juliet")?;
        for transport in TRANSPORTS {
            run(world, "refer", transport)?;
            juliet.wait("the invitation", |stanza| stanza.descendant("invite").is_some())?;
        }
        Ok(())
    })
}

fn run(world: &World, scenario: &'static str, transport: SippTransport) -> Result<()> {
    Sipp::once(scenario, world.gateway.sip_address(), transport)
        .run()
        .with_context(|| format!("over {transport:?}"))
}

fn watcher(world: &World) -> Result<XmppUser> {
    let mut juliet = world.xmpp_user("juliet")?;
    juliet.enter(ROOM, "Juliet")?;
    Ok(juliet)
}

fn saw_somebody_come_and_go(juliet: &mut XmppUser) -> Result<()> {
    for kind in [None, Some("unavailable")] {
        juliet.wait(&format!("presence {kind:?} of sipp's user"), |stanza| {
            stanza.name == "presence"
                && stanza.attribute("type") == kind
                && stanza
                    .from_resource()
                    .is_some_and(|nickname| nickname.starts_with("sipp-"))
        })?;
    }
    Ok(())
}
