//! The receiving ends: datagrams and new streams.

use std::sync::Arc;

use ::sip::{Flow, Transport};
use bytes::Bytes;
use tokio::{
    net::{TcpListener, UdpSocket},
    sync::mpsc,
};

use super::{super::msrp::pause_accepting, Notice};
use crate::admission::Admission;

/// The largest UDP payload.
const DATAGRAM: usize = 65_535;

/// Reads datagrams until the SIP task is gone. What it has no room for is lost, as UDP may.
pub(super) async fn receive_datagrams(socket: Arc<UdpSocket>, notices: mpsc::Sender<Notice>) {
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let (length, peer) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                tracing::debug!(%error, "UDP receive failed");
                tokio::task::yield_now().await;
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
                tracing::debug!(%peer, "SIP datagram lost: overloaded")
            }
            Err(mpsc::error::TrySendError::Closed(_)) => return,
        }
    }
}

/// Accepts streams until the SIP task is gone.
pub(super) async fn accept_streams(
    listener: TcpListener,
    admission: Admission,
    notices: mpsc::Sender<Notice>,
) {
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                pause_accepting("SIP", &error).await;
                continue;
            }
        };
        match admission.admit(peer.ip()) {
            Ok(seat) => {
                if notices.send(Notice::Accepted(stream, peer, seat)).await.is_err() {
                    return;
                }
            }
            Err(why) => tracing::warn!(%peer, %why, "SIP stream not admitted"),
        }
    }
}
