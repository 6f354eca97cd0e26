//! What an INVITE, its answer or a REFER carries: a session description, recipients, or both (RFC 5366 §4, RFC 5621).

use bytes::Bytes;
use sip::{
    Body,
    message::multipart,
    resource_lists::{self, Entry},
};

use crate::{offer::media_type, refusal::Refusal};

/// The parts that mean something here.
#[derive(Debug, Default)]
pub(crate) struct Bodies {
    /// `application/sdp`.
    pub(crate) description: Option<Bytes>,
    /// Who else is to be invited.
    pub(crate) recipients: Vec<Entry>,
}

impl Bodies {
    /// Takes a body apart. A part that is neither must be one that its sender lets us leave aside (RFC 5621 §7).
    pub(crate) fn read(body: Option<&Body>) -> Result<Self, Refusal> {
        let mut bodies = Self::default();
        let Some(body) = body else {
            return Ok(bodies);
        };
        if !media_type(&body.content_type)
            .to_ascii_lowercase()
            .starts_with("multipart/")
        {
            bodies.take(&body.content_type, &body.bytes, false)?;
            return Ok(bodies);
        }
        let parts = multipart::read(&body.content_type, &body.bytes).map_err(|_| Refusal::OfferType)?;
        for part in parts {
            bodies.take(&part.content_type, &part.bytes, part.optional)?;
        }
        Ok(bodies)
    }

    fn take(&mut self, content_type: &str, bytes: &Bytes, optional: bool) -> Result<(), Refusal> {
        match media_type(content_type).to_ascii_lowercase().as_str() {
            "application/sdp" if self.description.is_none() => self.description = Some(bytes.clone()),
            resource_lists::CONTENT_TYPE => {
                let entries = resource_lists::read(bytes)
                    .map_err(|_| Refusal::Recipients("Unreadable List Of Recipients"))?;
                self.recipients.extend(entries);
            }
            _ if optional => {}
            _ => return Err(Refusal::OfferType),
        }
        Ok(())
    }
}
