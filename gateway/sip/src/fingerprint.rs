//! A hash that is the same on every run and every node.

/// FNV-1a, 64 bits, over texts and their ends.
pub(crate) fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    texts
        .into_iter()
        .flat_map(|text| text.bytes().chain(std::iter::once(0)))
        .fold(BASIS, |hash, octet| (hash ^ u64::from(octet)).wrapping_mul(PRIME))
}
