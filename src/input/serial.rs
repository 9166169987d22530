//! The input's task: opens the line, reads it, submits what the console has changed, and comes back after an unplug.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::board::Board;
use super::error::InputError;
use super::gatherer::Gatherer;
use super::parser::{ParsedLine, Parser};
use crate::access::Identity;
use crate::dmx::{Frame, Patch, Source, UniverseId};
use crate::engine::Feed;
use crate::intake::{Client, IncomingCommand, Intake, Sender};
use crate::kit::backoff::Backoff;
use crate::kit::deadline::until;
use crate::kit::stop::Stop;
use crate::kit::tty::{Line, OpenError};
use crate::kit::usb::{self, Named};

/// Pauses between attempts to open, as for outputs (CONTRACT, section 8).
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A port that was open this long starts with the first pause again.
const HEALTHY: Duration = Duration::from_secs(1);

/// The open port is no longer the right one.
struct WrongPort;

/// The input at work.
pub(super) struct Serial {
    pub(super) port: Named,
    /// The port that the settings name for the USB output; empty if they name none.
    pub(super) usb_port: String,
    pub(super) baud: u32,
    pub(super) channels: u16,
    pub(super) dead_band: u8,
    pub(super) universe: UniverseId,
    pub(super) source: Source,
    pub(super) intake: Intake,
    pub(super) feed: Feed,
    pub(super) board: Board,
}

impl Serial {
    /// Runs until the stop.
    pub(super) async fn run(mut self, mut stop: Stop) {
        let work = async {
            let mut pause = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
            loop {
                let begun = Instant::now();
                let Err(fault) = self.listen().await else { continue };
                self.board.failed(&fault);
                if begun.elapsed() >= HEALTHY {
                    pause.reset();
                }
                sleep(pause.pause()).await;
            }
        };
        tokio::select! {
            biased;
            () = stop.requested() => {}
            () = work => {}
        }
    }

    /// Opens the port, and reads it as long as it works and is the right one.
    async fn listen(&mut self) -> Result<WrongPort, InputError> {
        let devices = usb::devices().await;
        let port = self.port.whereabouts(&devices);
        // Otherwise whichever came first would have it, a different one after each start: light goes before its input.
        if !self.usb_port.is_empty() && usb::same_file(&port, &self.usb_port) {
            return Err(OpenError::Ours { path: port, other: "usb.port" }.into());
        }
        let mut line = Line::open(&port, self.baud).await?;
        self.port.opened(&port, &devices);
        self.board.opened(&port);
        let (mut parser, mut gatherer, mut buffer) =
            (Parser::default(), Gatherer::new(self.channels, self.dead_band), [0; 1024]);
        let mut look = Instant::now() + usb::LOOK;
        loop {
            tokio::select! {
                biased; // what has arrived is read before timers count; after each read they get their turn below
                read = line.read(&mut buffer) => {
                    let read = read.map_err(|source| InputError::Read { port: port.clone(), source })?;
                    self.board.heard(Instant::now());
                    let mut said = Vec::new();
                    parser.take(buffer.get(..read).unwrap_or_default(), |heard| said.push(heard));
                    for heard in said {
                        self.hear(heard, &mut gatherer).await;
                    }
                }
                () = until(gatherer.due()) => {}
                () = until(self.board.second_over()) => {}
                () = until(self.board.noise_over()) => {}
                () = sleep_until(look) => {}
            }
            if look <= Instant::now() {
                look = Instant::now() + usb::LOOK;
                if self.port.has_strayed(&port).await {
                    tracing::info!(left = port, to = self.port.path(), "input_moves");
                    line.close().await;
                    return Ok(WrongPort);
                }
            }
            if gatherer.due().is_some_and(|due| due <= Instant::now()) {
                self.tell(&mut gatherer).await;
            }
            self.board.tell_rate();
            self.board.hush(Instant::now());
        }
    }

    /// Takes the meaning of a line.
    async fn hear(&mut self, heard: ParsedLine, gatherer: &mut Gatherer) {
        let ParsedLine::Reading(channel, level) = heard else { return self.board.metrics.ignored.inc() };
        self.board.reading();
        if gatherer.ends_before(channel) {
            self.tell(gatherer).await;
        }
        if gatherer.read(channel, level, Instant::now()) {
            self.tell(gatherer).await;
        }
    }

    /// Submits what the console has changed. Nothing is read meanwhile, which slows this door down.
    async fn tell(&mut self, gatherer: &mut Gatherer) {
        let state = self.feed.state();
        let now = state.frame(self.universe).unwrap_or(&Frame::DARK);
        let Some(levels) = gatherer.tell(now, Instant::now()) else { return };
        let patch = Patch { universe: self.universe, levels: levels.clone() };
        let taken = self
            .intake
            .take(
                IncomingCommand::Levels(self.source.clone(), patch),
                &Sender::new(Client::Serial, Identity::house("console")),
            )
            .await;
        let done = match taken {
            Ok(mut taken) => taken.done().await,
            Err(refusal) => Err(refusal),
        };
        match done {
            Ok(_) => {
                gatherer.taken(&levels);
                self.board.commanded();
            }
            // it had to make room (with a `src` of `ui`), or the appliance is stopping
            Err(_) => gatherer.refused(Instant::now()),
        }
    }
}
