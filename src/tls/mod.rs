//! TLS: certificates of this appliance's own authority or of the user's, renewed while it runs, and the handshake that both
//! doors use. It never ends a connection: those that are open keep the certificate that they began with.
//!
//! Decisions (whom a certificate is for, how long, when to renew) are pure; `keeper` looks at the machine and acts.

mod acceptor;
mod authority;
mod keeper;
mod kept;
mod leaf;
mod names;
mod own;
mod resolver;
mod shape;
mod trust;
mod window;

pub use acceptor::{Acceptor, Secured};
pub use authority::{Authority, Fault};
pub use keeper::{Clock, Naming, Tls, TlsDeps, start};
pub use kept::KeptAuthority;
pub use names::{Machine, host_name};
pub use trust::{Trust, TrustSource};
