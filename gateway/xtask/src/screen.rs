//! What the user sees: headings, colours.

use std::{
    io::{IsTerminal, stdout},
    sync::OnceLock,
    time::Duration,
};

use gateway_tests::conversation::Voice;

/// A heading between parts of the output.
pub(crate) fn heading(text: &str) {
    println!("\n{}", paint("1", &format!("━━ {text}")));
}

/// A line of the conversation, led by the name of who sees or does it.
pub(crate) fn tell(voice: Voice, line: &str) {
    let (label, colour) = match voice {
        Voice::Juliet => ("Juliet (XMPP)", "35"),
        Voice::Romeo => ("Romeo  (SIP) ", "36"),
        Voice::Nurse => ("Nurse  (SIP) ", "33"),
        Voice::Stage => {
            println!("\n  {}", paint("1", line));
            return;
        }
    };
    println!("  {} │ {line}", paint(colour, label));
}

/// In the colour of success.
pub(crate) fn good(text: &str) -> String {
    paint("1;32", text)
}

/// In the colour of failure.
pub(crate) fn bad(text: &str) -> String {
    paint("1;31", text)
}

/// A duration to a tenth of a second.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

fn paint(codes: &str, text: &str) -> String {
    static COLOURED: OnceLock<bool> = OnceLock::new();
    if *COLOURED.get_or_init(|| stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()) {
        format!("\x1b[{codes}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}
