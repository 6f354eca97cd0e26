//! MSRP under the strict checker.

#[cfg(test)]
mod checker;
#[cfg(test)]
mod conversations;
