//! `room-server`: plays the XMPP server of one component (XEP-0114), with a multi-user chat service at `rooms.example.com`.
//!
//! `cargo xtask bench sip` puts it behind the gateway: a real server takes milliseconds for each room that is made and given up, this one
//! microseconds. It is the simulated world's server with a socket. It belongs on loopback.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
};

use clap::Parser;
use gateway_sim::Rooms;

/// What is read at once.
const BUFFER: usize = 64 * 1024;

/// Plays the XMPP server of one component
#[derive(Debug, Parser)]
#[command(name = "room-server")]
struct Arguments {
    /// Where to listen for the component
    #[arg(default_value = "127.0.0.1:5347")]
    listen: SocketAddr,
    /// The component's domain
    #[arg(long, default_value = "example.org")]
    component: String,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let listener = TcpListener::bind(arguments.listen)?;
    eprintln!(
        "listening on {}, secret {}",
        listener.local_addr()?,
        Rooms::SECRET
    );
    let mut rooms = Rooms::new(&arguments.component);
    for stream in listener.incoming() {
        rooms.connected();
        match stream.and_then(|stream| serve(&mut rooms, stream)) {
            Ok(()) => eprintln!("the component is gone"),
            Err(cause) => eprintln!("the component is gone: {cause}"),
        }
    }
    Ok(())
}

/// Serves one connection to its end.
fn serve(rooms: &mut Rooms, mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = stream.read(&mut buffer)?;
        let Some(octets) = buffer.get(..length).filter(|octets| !octets.is_empty()) else {
            return Ok(());
        };
        let (answer, over) = rooms.handle_bytes(octets);
        for rule in rooms.take_broken() {
            eprintln!("the component broke a rule: {rule}");
        }
        stream.write_all(&answer)?;
        if over {
            return Ok(());
        }
    }
}
