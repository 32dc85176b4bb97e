//! The recipe on made-up facts.
