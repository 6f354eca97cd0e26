//! What Failure-Report and Success-Report oblige the two ends to, as one table.

use super::FailureReport;
use crate::Status;

/// What a SEND with some Failure-Report obliges to (RFC 4975 §7.1.1, §7.1.4, §7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Duties {
    /// The receiver answers a request that it takes.
    pub(super) answers_success: bool,
    /// The receiver answers a request that it refuses.
    pub(super) answers_failure: bool,
    /// The receiver sends a REPORT about a failure after its 200.
    pub(super) reports_failure: bool,
    /// The sender waits for the answer, and takes silence for a failure.
    pub(super) silence_is_failure: bool,
}

/// The table.
pub(super) const fn duties(report: FailureReport) -> Duties {
    match report {
        FailureReport::Yes => Duties {
            answers_success: true,
            answers_failure: true,
            reports_failure: true,
            silence_is_failure: true,
        },
        // No 200 may go out, so that no failure can come after it.
        FailureReport::Partial => Duties {
            answers_success: false,
            answers_failure: true,
            reports_failure: false,
            silence_is_failure: false,
        },
        FailureReport::No => Duties {
            answers_success: false,
            answers_failure: false,
            reports_failure: false,
            silence_is_failure: false,
        },
    }
}

/// Whether the receiver answers a SEND at all.
pub(super) const fn is_answered(report: FailureReport, status: Status) -> bool {
    let duties = duties(report);
    if status.is_success() {
        duties.answers_success
    } else {
        duties.answers_failure
    }
}

/// Whether a success REPORT goes out about a message that got this answer (RFC 4975 §7.1.3).
pub(super) const fn is_success_reported(success_report: bool, status: Status) -> bool {
    success_report && status.is_success()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every row: the answer to a message taken, to one refused, the REPORT of a late failure, the deadline of the sender.
    // Rows: C4975-24
    #[test]
    fn rfc4975_7_1_4_failure_report() {
        for (report, row) in [
            (FailureReport::Yes, [true, true, true, true]),
            (FailureReport::Partial, [false, true, false, false]),
            (FailureReport::No, [false; 4]),
        ] {
            let taken = is_answered(report, Status::OK);
            let refused = is_answered(report, Status::UNSUPPORTED_MEDIA);
            let duties = duties(report);
            assert_eq!(
                [taken, refused, duties.reports_failure, duties.silence_is_failure],
                row,
                "{report:?}"
            );
        }
    }

    // Rows: C4975-22
    #[test]
    fn rfc4975_7_1_3_success_report() {
        for (asked, status, reported) in [
            (true, Status::OK, true),
            (true, Status::STOP_SENDING, false),
            (false, Status::OK, false),
        ] {
            assert_eq!(is_success_reported(asked, status), reported, "{asked} {status}");
        }
    }
}
