//! Who a caller is: from its client certificate, a JWT, or an opaque token. Decides nothing about what a caller may do, and
//! keeps no token.

mod authenticator;
mod bearer;
mod certificate;
mod jwks;
mod jwt;
mod keys;
mod new_token;
mod prefixes;
mod refused;
mod signatures;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tokens;
mod verified;
mod watched;

pub use self::authenticator::Authenticator;
pub use self::certificate::PeerCertificate;
pub use self::new_token::NewToken;
pub use self::refused::{Expected, Refused, SetupError};
