//! The endpoint under virtual time: each test is named by the rule it holds.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail as tests do"
)]

mod authentication;
mod dialog;
mod failures;
mod hostile;
mod invite_client;
mod invite_server;
mod notifier;
mod pair;
mod referral;
mod registration;
mod reinvite;
mod reliable;
mod requests;
mod scene;
mod session_timer;
mod subscriber;
mod timers;
mod trust;
mod users;
