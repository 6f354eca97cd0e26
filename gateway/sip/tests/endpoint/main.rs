//! The endpoint under virtual time: each test is named by the rule it holds.

mod invite_server;
mod notifier;
mod requests;
mod scene;
