//! A pure SIP endpoint (RFC 3261): messages, transactions, dialogs, the INVITE and event usages, SDP, conference documents, the
//! choice of servers, digest authentication and the registration of a trunk.
//!
//! No socket, no clock, no task: [`Endpoint`] takes messages, commands and the time, and gives messages, events and the next
//! deadline. Stream bytes are cut into messages by [`message::StreamDecoder`], one per connection.

pub mod conference;
pub mod digest;
pub mod locate;
pub mod message;
pub mod resource_lists;
pub mod sdp;

mod endpoint;
mod fingerprint;
mod xml;

pub use endpoint::{
    AnswerDue, Body, Command, Config, Contact, Credentials, DialogId, EndCause, Endpoint, Event, Flow,
    FlowId, Incoming, InviteParameters, Limits, LocalAddress, Network, NoNetwork, Rate, Rates, Readiness,
    Reason, ReferParameters, RegisterParameters, RegistrationEvent, Resolve, ResolveId, SubscribeParameters,
    SubscriptionEnd, SubscriptionId, SubscriptionState, Target, Transmit, TransmitId, Transport, Trust,
    Unlisted, Users,
};
pub use message::{Header, Headers, Method, NameAddr, StatusCode, Uri};
