//! The heart: one task that owns the state, a bounded queue before it, one feed after it.
//!
//! Doors submit commands and get an outcome; everybody else reads the feed. Nobody sees a change before the store has
//! written it.

mod actor;
mod dedupe;
mod feed;
mod inbox;
mod memory;
mod queue;

use std::time::Duration;

pub use actor::{Engine, start};
pub use feed::{Feed, Latest, Update};
pub use inbox::{Control, Handle, Reply, Submission};
pub use memory::{active, forget, hidden, is_foreign, keep, keep_active, projects, remember, state};

/// How long a door that cannot hold its client back waits for room in the queue (CONTRACT, section 1).
pub const PATIENCE: Duration = Duration::from_secs(1);

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It changed light; survives kill -9.
    Applied {
        /// The `seq` of its change.
        seq: u64,
    },
    /// Its id was seen before; nothing happened.
    Duplicate,
    /// It was a UI drag, and was dropped to make room in a full queue.
    Dropped,
    /// The queue stayed full for as long as the door would wait.
    Full,
    /// A newer command of the same client had arrived before it.
    Overtaken,
    /// It waited its turn, and a newer command has taken all its channels.
    Replaced,
    /// Its scene belongs to another project than the active one; nothing happened.
    OtherProject,
    /// The appliance is stopping.
    Stopping,
}
