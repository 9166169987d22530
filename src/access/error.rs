//! Why an edit was not made.

use super::login::LoginError;

/// Why an edit was not made.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// Nobody, or no panel, has this id.
    #[error("there is no {0} {1}")]
    NotFound(&'static str, String),
    /// Two would have one name.
    #[error("there is a user called {0} already")]
    Taken(String),
    /// Nobody could change users any more.
    #[error("this is the last admin; make another one first")]
    LastAdmin,
    /// There are as many as there may be.
    #[error("there is room for {0} {1}, and no more")]
    TooMany(usize, &'static str),
    /// The settings say so.
    #[error("auth.mode = \"required\" locks this appliance; change it there")]
    LockedBySettings,
    /// The first admin needs the code, or the machine itself.
    #[error(
        "the first admin is made with the code that is in dmxd-status.txt on the card and in the log (or on the machine itself)"
    )]
    CodeNeeded,
    /// An admin is needed, and there is one.
    #[error("an admin must do that")]
    AdminNeeded,
    /// As for a login.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The kernel gives no random bytes.
    #[error("making a key: {0}")]
    Random(#[from] getrandom::Error),
}
