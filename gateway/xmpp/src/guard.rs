//! The guard: a byte-level scanner that cuts the component's stream into stanzas within bounds, before any XML parser sees them.
