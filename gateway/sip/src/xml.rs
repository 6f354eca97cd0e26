//! What the readers of XML bodies share.

use quick_xml::events::BytesRef;

/// What a reference stands for: a character, or one of the five entities that XML itself has.
///
/// # Errors
/// Any other entity: bodies with declarations of their own are not read.
pub(crate) fn resolve(reference: &BytesRef<'_>) -> Result<String, String> {
    if let Some(character) = reference.resolve_char_ref().map_err(|error| error.to_string())? {
        return Ok(character.to_string());
    }
    quick_xml::escape::resolve_predefined_entity(&reference.xml10_content())
        .map(str::to_owned)
        .ok_or_else(|| "unknown entity".to_owned())
}
