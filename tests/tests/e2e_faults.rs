//! The XMPP side fails under traffic: every message is taken and heard once, or refused; everybody is back; nobody is left behind.
//! `cargo xtask soak` runs the same with more users, more traffic and many times.

use std::time::Duration;

use gateway_tests::{
    Result, ensure, on_each_xmpp_server,
    peers::XmppServerKind,
    soak::{self, Fault, Load},
};

on_each_xmpp_server! {
    under_a_clean_restart_nothing_is_lost_or_doubled,
    under_a_crash_nothing_is_lost_or_doubled,
    when_the_stream_is_cut_nothing_is_lost_or_doubled,
    when_the_server_stands_still_nothing_is_lost_or_doubled,
}

fn under_a_clean_restart_nothing_is_lost_or_doubled(server: XmppServerKind) -> Result<()> {
    must_be_clean(Fault::Restart, server)
}

fn under_a_crash_nothing_is_lost_or_doubled(server: XmppServerKind) -> Result<()> {
    must_be_clean(Fault::Kill, server)
}

fn when_the_stream_is_cut_nothing_is_lost_or_doubled(server: XmppServerKind) -> Result<()> {
    must_be_clean(Fault::Cut, server)
}

fn when_the_server_stands_still_nothing_is_lost_or_doubled(server: XmppServerKind) -> Result<()> {
    must_be_clean(Fault::Freeze, server)
}

/// ejabberd takes several connections for one domain.
#[test]
fn another_component_for_the_domain_that_the_server_refuses_disturbs_nobody() -> Result<()> {
    must_be_clean(Fault::Conflict, XmppServerKind::default())
}

fn must_be_clean(fault: Fault, server: XmppServerKind) -> Result<()> {
    let load = Load {
        rooms: 2,
        users: 3,
        rate: 20,
        freeze: Duration::from_secs(6),
        program: None,
        settings: vec![
            ("GATEWAY__XMPP__IDLE", "2s".to_owned()),
            ("GATEWAY__XMPP__PING", "1s".to_owned()),
            ("GATEWAY__XMPP__HANDSHAKE", "2s".to_owned()),
        ],
    };
    let report = soak::run(fault, server, &load)?;
    println!("{fault}: {report:?}");
    ensure!(report.is_clean(), "{fault}: {report:?}");
    Ok(())
}
