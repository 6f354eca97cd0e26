//! The MSRP connection to the room's switch.

use std::sync::Arc;

use bytes::Bytes;
use msrp::sdp::Fingerprints;
use rustls::RootCertStore;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    task::JoinSet,
    time::timeout,
};

use super::{CONNECT, Input, WRITE, tls};

/// The certificates that the switch may show, if it has said so, and what others must lead to.
pub(super) type Tls = (Fingerprints, Arc<RootCertStore>);

/// One write on its way, and one with the last words.
const QUEUE: usize = 2;

/// The connection as the shell holds it; dropping it sends what is queued and closes.
pub(super) struct Handle {
    queue: mpsc::Sender<Bytes>,
    /// Whether it is connected and the last write is done.
    pub(super) writable: bool,
}

impl Handle {
    /// Writes; `Input::SwitchWritten` tells when the next write may follow.
    pub(super) fn write(&mut self, bytes: Bytes) {
        self.writable = false;
        // Full or closed, the connection is at its end, and its task says so.
        let _ = self.queue.try_send(bytes);
    }
}

/// Connects to the first address of a host that answers (RFC 4975 §6.2).
pub(super) fn connect(
    (host, port): (String, u16),
    tls: Option<Tls>,
    inputs: mpsc::Sender<Input>,
    tasks: &mut JoinSet<()>,
) -> Handle {
    let (queue, mut waiting) = mpsc::channel(QUEUE);
    tasks.spawn(async move {
        let reason = match opened(&host, port, tls).await {
            Err(reason) => reason,
            Ok((reader, writer)) => {
                if inputs.send(Input::SwitchConnected).await.is_err() {
                    return;
                }
                tokio::select! {
                    reason = receive(reader, &inputs) => reason,
                    reason = transmit(writer, &mut waiting, &inputs) => reason,
                }
            }
        };
        // A closed queue means that the stay is over; here and below.
        let _ = inputs.send(Input::SwitchLost(reason)).await;
    });
    Handle {
        queue,
        writable: false,
    }
}

type Halves = (
    Box<dyn AsyncRead + Send + Unpin>,
    Box<dyn AsyncWrite + Send + Unpin>,
);

async fn opened(host: &str, port: u16, tls: Option<Tls>) -> Result<Halves, String> {
    let stream = first_answering(host, port).await?;
    // Without it the connection still works, only slower.
    let _ = stream.set_nodelay(true);
    let Some((certificates, anchors)) = tls else {
        let (reader, writer) = stream.into_split();
        return Ok((Box::new(reader), Box::new(writer)));
    };
    match timeout(CONNECT, tls::secure(stream, host, certificates, anchors)).await {
        Ok(Ok(stream)) => {
            let (reader, writer) = tokio::io::split(stream);
            Ok((Box::new(reader), Box::new(writer)))
        }
        Ok(Err(fault)) => Err(format!("the switch {host} is not trusted: {fault}")),
        Err(_) => Err(format!("the switch {host} does not speak TLS")),
    }
}

async fn first_answering(host: &str, port: u16) -> Result<TcpStream, String> {
    let addresses = tokio::net::lookup_host((host, port))
        .await
        .map_err(|fault| format!("the switch {host} cannot be found: {fault}"))?;
    let mut last = "it has no address".to_owned();
    for address in addresses {
        match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(fault)) => last = fault.to_string(),
            Err(_) => last = "it does not answer".to_owned(),
        }
    }
    Err(format!("the switch {host}:{port} cannot be reached: {last}"))
}

async fn receive(mut reader: impl AsyncRead + Unpin, inputs: &mpsc::Sender<Input>) -> String {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        match reader.read(&mut buffer).await {
            Ok(0) => return "the connection to the switch has ended".to_owned(),
            Ok(length) => {
                let bytes = Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default());
                if inputs.send(Input::SwitchBytes(bytes)).await.is_err() {
                    return String::new();
                }
            }
            Err(fault) => return format!("the connection to the switch was lost: {fault}"),
        }
    }
}

async fn transmit(
    mut writer: impl AsyncWrite + Unpin,
    waiting: &mut mpsc::Receiver<Bytes>,
    inputs: &mpsc::Sender<Input>,
) -> String {
    while let Some(bytes) = waiting.recv().await {
        let written = async {
            writer.write_all(&bytes).await?;
            writer.flush().await
        };
        match timeout(WRITE, written).await {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => return format!("the connection to the switch was lost: {fault}"),
            Err(_) => return "the switch no longer takes anything".to_owned(),
        }
        let _ = inputs.send(Input::SwitchWritten).await;
    }
    // TLS says goodbye.
    let _ = timeout(WRITE, writer.shutdown()).await;
    "we closed the connection to the switch".to_owned()
}
