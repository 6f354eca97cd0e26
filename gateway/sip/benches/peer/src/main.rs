//! Reads the INVITE of our benchmark with rsipstack, and its five headers typed.

use std::hint::black_box;

use rsipstack::sip::{self, HeadersExt as _, ToTypedHeader as _};
use rustix::time::{ClockId, clock_gettime};

const INVITE: &[u8] = include_bytes!("../../sip/invite.sip");
const MESSAGES: u32 = 100_000;
const ROUNDS: usize = 15;

fn main() {
    println!("  {:<36} {:>9} {:>19}", "", "median", "range");
    report("parse an INVITE", || {
        black_box(request());
    });
    report("parse an INVITE, five headers typed", || {
        let request = request();
        black_box(request.via_header().unwrap().typed().unwrap());
        black_box(request.from_header().unwrap().typed().unwrap());
        black_box(request.to_header().unwrap().typed().unwrap());
        black_box(request.cseq_header().unwrap().typed().unwrap());
        black_box(request.contact_header().unwrap().typed().unwrap());
    });
}

fn request() -> sip::Request {
    match sip::SipMessage::try_from(black_box(INVITE)) {
        Ok(sip::SipMessage::Request(request)) => request,
        other => panic!("no request: {other:?}"),
    }
}

fn report(name: &str, mut run: impl FnMut()) {
    let mut rates: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = processor_time();
            for _ in 0..MESSAGES {
                run();
            }
            f64::from(MESSAGES) / (processor_time() - start) / 1e6
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    let range = format!("{:.2} to {:.2}", rates[0], rates[ROUNDS - 1]);
    println!("  {name:<36} {:>9.2} {range:>19} M/s", rates[ROUNDS / 2]);
}

/// Seconds that this thread has spent on a processor, as our own benchmark counts.
fn processor_time() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
