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

#[cfg(test)]
mod tests {
    use std::task::Context;

    use super::*;

    /// Takes three octets at a time, and keeps them until the second flush.
    #[derive(Default)]
    struct Keeping {
        sent: usize,
        kept: usize,
        flushes: usize,
    }

    impl AsyncWrite for Keeping {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            octets: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.kept += octets.len().min(3);
            Poll::Ready(Ok(octets.len().min(3)))
        }
        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.flushes += 1;
            if self.flushes % 2 == 1 {
                return Poll::Pending;
            }
            self.sent += std::mem::take(&mut self.kept);
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn what_a_stream_keeps_is_not_taken_for_sent() {
        let mut stream = Keeping::default();
        let mut octets = BytesMut::from(&b"four"[..]);
        assert!(!write_some(&mut stream, &mut octets).await.unwrap());
        assert_eq!((octets.len(), stream.sent), (1, 0));
        // The last octet is taken, and all goes out.
        assert!(write_some(&mut stream, &mut octets).await.unwrap());
        assert_eq!((octets.len(), stream.sent), (0, 4));
        octets.extend_from_slice(b"two");
        assert!(!write_some(&mut stream, &mut octets).await.unwrap());
        assert_eq!((octets.len(), stream.sent), (0, 4));
        assert!(write_some(&mut stream, &mut octets).await.unwrap());
        assert_eq!(stream.sent, 7);
    }
}
