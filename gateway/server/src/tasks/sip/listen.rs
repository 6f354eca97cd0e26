//! The receiving ends: datagrams and new streams.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use ::sip::{Flow, Transport};
use bytes::Bytes;
use tokio::{
    net::{TcpListener, TcpStream, UdpSocket},
    sync::mpsc,
    task::JoinSet,
};

use super::{super::pause_after, Notice, flows::Opened};
use crate::{admission::Admission, tls::Tls};

/// The largest UDP payload.
const DATAGRAM: usize = 65_535;

/// Reads datagrams until the SIP task is gone. What it has no room for is lost, as UDP may.
pub(super) async fn receive_datagrams(socket: Arc<UdpSocket>, notices: mpsc::Sender<Notice>) {
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let (length, peer) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                pause_after("SIP datagram not received", &error).await;
                continue;
            }
        };
        let octets = buffer.get(..length).unwrap_or_default();
        // Keep-alives of peers behind NAT: nothing to answer over UDP.
        if octets.iter().all(|octet| matches!(octet, b'\r' | b'\n' | 0)) {
            continue;
        }
        let flow = Flow {
            transport: Transport::Udp,
            peer,
            id: None,
        };
        match notices.try_send(Notice::Message(flow, Bytes::copy_from_slice(octets))) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                tracing::debug!(%peer, "SIP datagram lost: overloaded");
            }
            Err(mpsc::error::TrySendError::Closed(_)) => return,
        }
    }
}

/// Accepts streams until the SIP task is gone. With `tls` each begins with a handshake, which takes up its place and holds up nobody else.
pub(super) async fn accept_streams(
    listener: TcpListener,
    tls: Option<Tls>,
    admission: Admission,
    handshake: Duration,
    notices: mpsc::Sender<Notice>,
) {
    let mut handshakes = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = handshakes.join_next() => continue,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                pause_after("SIP stream not accepted", &error).await;
                continue;
            }
        };
        let seat = match admission.admit(peer.ip()) {
            Ok(seat) => seat,
            Err(why) => {
                tracing::warn!(%peer, %why, "SIP stream not admitted");
                continue;
            }
        };
        if let Some(tls) = tls.clone() {
            let notices = notices.clone();
            handshakes.spawn(async move {
                if let Some(opened) = secure(&tls, stream, peer, handshake).await {
                    let _task_gone = notices.send(Notice::Accepted(opened, seat)).await;
                }
            });
        } else if notices
            .send(Notice::Accepted(Opened::plain(stream, peer), seat))
            .await
            .is_err()
        {
            return;
        }
    }
}

async fn secure(tls: &Tls, stream: TcpStream, peer: SocketAddr, deadline: Duration) -> Option<Opened> {
    match tls.accept(stream, deadline).await {
        Ok(secured) => Some(Opened::secured(secured, peer, None)),
        Err(cause) => {
            tracing::info!(%peer, %cause, "TLS handshake failed");
            None
        }
    }
}
