//! What the two faces of the program have in common: lines in, lines out.

use std::io::{BufRead, Read, Write};

use tokio::sync::mpsc;

use crate::client::{Command, Event};

/// Octets of one line of input; a longer one is refused.
pub(crate) const LINE: u64 = 256 * 1024;
/// Lines read ahead.
const LINES: usize = 64;

/// How the program talks with who runs it.
pub(crate) trait Face {
    /// What a line of input means.
    fn read(&mut self, line: &str) -> Typed;
    /// What to print for an event, with its line ends; nothing for one that this face does not show.
    fn show(&mut self, event: &Event) -> String;
    /// What to print when there is something to type into.
    fn prompt(&self) -> &'static str {
        ""
    }
    /// What to print once a line was typed.
    fn typed(&self) -> &'static str {
        ""
    }
}

/// What a line of input means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    /// Something for the room.
    Command(Command),
    /// Something to be told at once.
    Answer(Event),
    /// Something to be printed as it is.
    Print(String),
    /// Nothing.
    Nothing,
}

/// A line of input, or why there is none.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// The line without its end.
    Text(String),
    /// A line over [`LINE`] octets, or one that is not UTF-8: skipped.
    Unreadable(&'static str),
}

/// Reads standard input on a thread of its own, since it cannot be read without blocking. The end of the queue is the end of the input.
pub(crate) fn read_input() -> mpsc::Receiver<Line> {
    let (sender, receiver) = mpsc::channel(LINES);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        while let Some(line) = next_line(&mut input) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Prints and flushes.
///
/// # Errors
/// Nobody reads the output any more.
pub(crate) fn print(text: &str) -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}

/// The next line; `None` at the end of the input. Never holds more than [`LINE`] octets.
fn next_line(input: &mut impl BufRead) -> Option<Line> {
    let mut line = Vec::new();
    let read = input.by_ref().take(LINE + 1).read_until(b'\n', &mut line).ok()?;
    if read == 0 {
        return None;
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    } else if line.len() as u64 > LINE {
        skip_line(input)?;
        return Some(Line::Unreadable("the line is too long"));
    }
    Some(String::from_utf8(line).map_or(Line::Unreadable("the line is not UTF-8"), Line::Text))
}

/// Skips the rest of a line without holding it.
fn skip_line(input: &mut impl BufRead) -> Option<()> {
    loop {
        let buffer = input.fill_buf().ok()?;
        if buffer.is_empty() {
            return Some(());
        }
        let (length, done) = match buffer.iter().position(|octet| *octet == b'\n') {
            Some(end) => (end + 1, true),
            None => (buffer.len(), false),
        };
        input.consume(length);
        if done {
            return Some(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8]) -> Vec<Line> {
        let mut input = input;
        std::iter::from_fn(|| next_line(&mut input)).collect()
    }

    fn text(text: &str) -> Line {
        Line::Text(text.to_owned())
    }

    #[test]
    fn lines_end_with_lf_crlf_or_the_input() {
        assert_eq!(lines(b"a\nb\r\n\nc"), [text("a"), text("b"), text(""), text("c")]);
        assert_eq!(lines(b""), []);
    }

    #[test]
    fn a_line_that_is_not_utf8_is_skipped() {
        assert_eq!(
            lines(b"\xff\nb\n"),
            [Line::Unreadable("the line is not UTF-8"), text("b")]
        );
    }

    #[test]
    fn a_line_over_the_limit_is_skipped_and_the_next_one_read() {
        let limit = usize::try_from(LINE).unwrap();
        for (length, fits) in [
            (limit - 1, true),
            (limit, true),
            (limit + 1, false),
            (3 * limit, false),
        ] {
            let mut input = vec![b'x'; length];
            input.extend_from_slice(b"\nnext\n");
            let lines = lines(&input);
            assert_eq!(
                lines[0] == Line::Unreadable("the line is too long"),
                !fits,
                "{length}"
            );
            assert_eq!(lines[1..], [text("next")], "{length}");
        }
    }
}
