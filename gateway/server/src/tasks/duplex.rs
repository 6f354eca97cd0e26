//! A connection, secured or not, as its two halves.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Poll, ready},
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{TlsStream, client, server};

use super::send_without_delay;

/// The two halves of a connection, each waiting for itself alone.
pub(crate) struct Duplex {
    pub(crate) reader: Box<dyn AsyncRead + Send + Unpin>,
    pub(crate) writer: Box<dyn AsyncWrite + Send + Unpin>,
}

impl From<TcpStream> for Duplex {
    fn from(stream: TcpStream) -> Self {
        send_without_delay(&stream);
        let (reader, writer) = stream.into_split();
        Self {
            reader: Box::new(reader),
            writer: Box::new(writer),
        }
    }
}

impl From<TlsStream<TcpStream>> for Duplex {
    fn from(stream: TlsStream<TcpStream>) -> Self {
        send_without_delay(stream.get_ref().0);
        let (reader, writer) = tokio::io::split(stream);
        Self {
            reader: Box::new(reader),
            writer: Box::new(writer),
        }
    }
}

impl From<client::TlsStream<TcpStream>> for Duplex {
    fn from(stream: client::TlsStream<TcpStream>) -> Self {
        TlsStream::from(stream).into()
    }
}

impl From<server::TlsStream<TcpStream>> for Duplex {
    fn from(stream: server::TlsStream<TcpStream>) -> Self {
        TlsStream::from(stream).into()
    }
}

/// Writes once, if there is something to write, and then has the stream send what it has kept: TLS may have sealed octets that the
/// socket did not take. `true` when nothing is kept. May be cancelled without loss.
pub(super) async fn write_some(
    writer: &mut (impl AsyncWrite + Unpin + ?Sized),
    octets: &mut BytesMut,
) -> io::Result<bool> {
    poll_fn(|context| {
        let some = !octets.is_empty();
        if some {
            let written = ready!(Pin::new(&mut *writer).poll_write(context, octets))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            octets.advance(written);
        }
        match Pin::new(&mut *writer).poll_flush(context) {
            Poll::Ready(flushed) => Poll::Ready(flushed.map(|()| octets.is_empty())),
            Poll::Pending if some => Poll::Ready(Ok(false)),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
