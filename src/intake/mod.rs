//! The intake: every door hands in what it read and who sent it, and gets one outcome. Rights, limits, age and rate live here
//! and nowhere else; what an outcome is called on the wire stands in one table (`outcome`).
//!
//! Levels go to the engine as they are; a scene becomes levels here, or is kept by the library.

mod age;
mod outcome;
mod pace;
mod scheduler;
mod sender;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

pub use age::Clock;
pub use outcome::{Done, PendingOutcome, ack, stopping};
pub use sender::{Client, Sender};

use crate::access::{Access, Deed};
use crate::config;
use crate::dmx::{Act, Command, CommandId, FixtureId, Look, Patch, SceneId, Source, Unmet};
use crate::engine::{Control, Handle};
use crate::kit::tasks::Tasks;
use crate::library::{Library, View};
use crate::wire::{
    BlackoutOrder, FieldError, MasterOrder, Object, Order, Reason, Refusal, SceneEdit, Unified, lamp_command,
    set_message,
};
use outcome::{Wait, of_name};
use pace::{Budget, too_fast};
use scheduler::Scheduler;

/// What a door read.
#[derive(Clone, Debug)]
pub enum IncomingCommand<'a> {
    /// `demo.rgb.cmd.v1` (REST, MQTT).
    Lamp(&'a [u8]),
    /// A WebSocket's `set`.
    Set(&'a [u8]),
    /// A unified command (CONTRACT, section 5).
    Unified(&'a [u8]),
    /// `{"on","fadeMs"?}`.
    Blackout(&'a [u8]),
    /// `{"level"}`.
    Master(&'a [u8]),
    /// All fades end where they are.
    StopFades,
    /// The scene with this id becomes light; with its own time if none is given.
    Recall(SceneId, Option<Duration>),
    /// The fixture with this id is shown to somebody who looks for it.
    Flash(FixtureId),
    /// What a console has moved.
    Levels(Source, Patch),
}

/// Where commands are handed in. Clones share one intake.
#[derive(Clone)]
pub struct Intake(Arc<Inner>);

struct Inner {
    engine: Handle,
    library: Library,
    access: Access,
    /// Universes from 0 on that may be commanded.
    universes: u8,
    /// Older commands are too late; zero: none is.
    max_age: Duration,
    started: Instant,
    scheduler: Arc<Scheduler>,
}

/// What the intake needs of the house.
pub struct IntakeDeps<'a> {
    /// `[engine]`
    pub settings: &'a config::Engine,
    /// Where commands go.
    pub engine: Handle,
    /// Where scenes are.
    pub library: Library,
    /// Who may do what.
    pub access: Access,
}

impl Intake {
    /// Its task, which sends commands that came too fast when their turn comes, ends when the intake is closed.
    #[must_use]
    pub fn new(deps: IntakeDeps<'_>, tasks: &mut Tasks) -> Self {
        let IntakeDeps { settings, engine, library, access } = deps;
        let scheduler = Arc::new(Scheduler::new(engine.clone()));
        tasks.spawn("intake", scheduler.clone().give());
        let (universes, max_age) = (settings.universes, Duration::from_millis(settings.max_age_ms));
        Self(Arc::new(Inner { engine, library, access, universes, max_age, started: Instant::now(), scheduler }))
    }

    /// Ends all waiting: what waits its turn goes to the engine at once.
    pub fn close(&self) {
        self.0.scheduler.close();
    }

    /// The clock that a sender's is compared with, in milliseconds: it only goes forward.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.0.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Takes what a door has read, and waits for room in the queue as long as it takes.
    ///
    /// # Errors
    /// Why it was not taken; nothing else happened.
    pub async fn take(&self, command: IncomingCommand<'_>, sender: &Sender) -> Result<PendingOutcome, Refusal> {
        match command {
            IncomingCommand::Lamp(body) => {
                self.may(&Deed::Light, sender)?;
                self.lamp(lamp_command(body)?, sender).await
            }
            IncomingCommand::Set(body) => {
                self.may(&Deed::Light, sender)?;
                self.lamp(set_message(body)?, sender).await
            }
            IncomingCommand::Unified(body) => self.unified(body, sender).await,
            IncomingCommand::Blackout(body) => {
                let order = BlackoutOrder::from_json(body)?;
                self.may(&Deed::Blackout(order.on), sender)?;
                if !order.on {
                    self.in_time(order.ts, sender)?; // a late blackout is better than none
                }
                self.note(if order.on { "blackout on" } else { "blackout off" }, sender);
                Ok(self.control(Control::Blackout { on: order.on, over: order.over() }).await)
            }
            IncomingCommand::Master(body) => {
                let order = MasterOrder::from_json(body)?;
                self.may(&Deed::Master, sender)?;
                self.in_time(order.ts, sender)?;
                Ok(self.control(Control::Master(order.level)).await)
            }
            IncomingCommand::StopFades => {
                self.may(&Deed::StopFades, sender)?;
                Ok(self.control(Control::StopFades).await)
            }
            IncomingCommand::Recall(scene, over) => self.recall(&scene, over, sender).await,
            IncomingCommand::Flash(fixture) => {
                self.may(&Deed::Light, sender)?;
                Ok(self.control(Control::Flash(fixture)).await)
            }
            IncomingCommand::Levels(source, patch) => {
                self.may(&Deed::Light, sender)?;
                self.lamp((Command::set(ulid::Ulid::generate().into(), source, patch), None), sender).await
            }
        }
    }

    /// The same for a door that waits for room only until a moment (REST, WebSocket).
    ///
    /// # Errors
    /// As above, and `QUEUE_FULL`.
    pub async fn take_until(
        &self,
        command: IncomingCommand<'_>,
        sender: &Sender,
        patience: Instant,
    ) -> Result<PendingOutcome, Refusal> {
        let id = match &command {
            IncomingCommand::Lamp(body) | IncomingCommand::Set(body) => written_id(body, "cmdId"),
            IncomingCommand::Unified(body) => written_id(body, "id"),
            _ => None,
        };
        let taken = timeout_at(patience, self.take(command, sender)).await;
        taken.unwrap_or_else(|_| Err(Refusal { cmd_id: id, ..outcome::full() }))
    }

    /// A colour, or what a console has moved: never limited.
    async fn lamp(&self, (command, ts): (Command, Option<u64>), sender: &Sender) -> Result<PendingOutcome, Refusal> {
        let id = command.id.to_string();
        self.in_time(ts, sender).map_err(of(&id))?;
        let command = Command { by: sender.who.known_as(), ..command };
        let submission = self.0.scheduler.take(command, ts, &sender.client, None).await?;
        Ok(PendingOutcome::new(id, Wait::Engine(submission)))
    }

    async fn unified(&self, body: &[u8], sender: &Sender) -> Result<PendingOutcome, Refusal> {
        let door = sender.client.source().parse();
        let door: Source = door.map_err(|e| Refusal::whole(Reason::Internal, format!("{e}")))?;
        let unified = Unified::from_json(body, &door, self.0.universes)?;
        let Unified { written_id, id, source, ts, order } = unified;
        let wait = self.ordered(id, source, ts, order, sender).await.map_err(of(&written_id))?;
        Ok(PendingOutcome::new(written_id, wait))
    }

    async fn ordered(
        &self,
        id: CommandId,
        source: Source,
        ts: Option<u64>,
        order: Order,
        sender: &Sender,
    ) -> Result<Wait, Refusal> {
        self.in_time(ts, sender)?;
        match order {
            Order::Levels { patch, over, easing } => {
                self.may(&Deed::Light, sender)?;
                let budget = Budget::Universe(patch.universe);
                self.paced(Command { id, source, by: None, act: Act::levels(patch, over, easing) }, ts, budget, sender)
                    .await
            }
            Order::Fixtures { targets, wanted, over, easing } => {
                self.may(&Deed::Light, sender)?;
                let view = self.0.library.view();
                let to = view.rig().levels(&targets, &wanted).map_err(|unmet| of_fixtures(&targets, unmet))?;
                let (project, rig) = (view.catalogue.active.clone(), view.rig().clone());
                let act = Act::Fixtures { project, rig, to, over, easing };
                self.paced(Command { id, source, by: None, act }, ts, Budget::Fixtures, sender).await
            }
            Order::Recall { name, over } => {
                let view = self.0.library.view();
                let look = view.look(&name).ok_or_else(|| of_name("is no scene of this project"));
                // whoever recalls nothing at all is not told which scenes there are
                self.may(&look.as_ref().map_or(Deed::Light, |look| Deed::Recall(&look.id)), sender)?;
                let look = look?;
                if look.is_empty() {
                    return Err(of_name("is a scene without channels"));
                }
                let act = recall(&view, look, over);
                self.paced(Command { id, source, by: None, act }, ts, Budget::Scenes, sender).await
            }
            Order::Save { name, levels } => {
                self.may(&Deed::SaveScene, sender)?;
                self.note("scene.save", sender);
                if !self.0.scheduler.may(&sender.client) {
                    return Err(too_fast());
                }
                let edit = SceneEdit::Save { name, levels, id: ulid::Ulid::generate().into() };
                Ok(Wait::Library(self.0.library.order_scene(edit, Some((id, source))).await))
            }
        }
    }

    async fn recall(
        &self,
        scene: &SceneId,
        over: Option<Duration>,
        sender: &Sender,
    ) -> Result<PendingOutcome, Refusal> {
        self.may(&Deed::Recall(scene), sender)?;
        let door = sender.client.source().parse();
        let source = door.map_err(|e| Refusal::whole(Reason::Internal, format!("{e}")))?;
        let view = self.0.library.view();
        let look = view.looks().iter().find(|look| look.id == *scene);
        let look = look.ok_or_else(|| Refusal::whole(Reason::NoScene, format!("there is no scene {scene}")))?;
        if look.is_empty() {
            return Err(Refusal::whole(Reason::ValidationFailed, "this scene has no channels"));
        }
        let id: CommandId = ulid::Ulid::generate().into();
        let written = id.to_string();
        let act = recall(&view, look, over);
        let wait = self.paced(Command { id, source, by: None, act }, None, Budget::Scenes, sender).await?;
        Ok(PendingOutcome::new(written, wait))
    }

    async fn control(&self, control: Control) -> PendingOutcome {
        PendingOutcome::new(String::new(), Wait::Desk(self.0.engine.order(control).await))
    }

    /// Hands on a command that has a budget.
    async fn paced(&self, command: Command, ts: Option<u64>, of: Budget, sender: &Sender) -> Result<Wait, Refusal> {
        let command = Command { by: sender.who.known_as(), ..command };
        Ok(Wait::Engine(self.0.scheduler.take(command, ts, &sender.client, Some(of)).await?))
    }

    /// Refuses what the sender has no right to.
    fn may(&self, deed: &Deed<'_>, sender: &Sender) -> Result<(), Refusal> {
        sender.who.rights().may(deed).map_err(|role| {
            self.0.access.refused(sender.who.name(), &format!("{deed:?}"), sender.from);
            Refusal::whole(Reason::Forbidden(role), format!("that needs the role {role}"))
        })
    }

    fn note(&self, what: &str, sender: &Sender) {
        self.0.access.did(&sender.who, what, sender.from);
    }

    /// Refuses a command that was held up: the sender has seen it fail, and may have changed their mind.
    fn in_time(&self, ts: Option<u64>, sender: &Sender) -> Result<(), Refusal> {
        let (Some(ts), Some(behind), longest) = (ts, sender.behind_ms, self.0.max_age) else { return Ok(()) };
        let age = age::since(ts, behind, self.now_ms());
        if longest.is_zero() || age <= longest {
            return Ok(());
        }
        let fault = format!("{:.1} s old when it arrived (engine.max_age_ms)", age.as_secs_f64());
        Err(Refusal::whole(Reason::Late, fault))
    }
}

/// Adds the id to a refusal.
fn of(id: &str) -> impl Fn(Refusal) -> Refusal {
    move |refusal| Refusal { cmd_id: Some(id.to_owned()), ..refusal }
}

/// What of fixtures cannot be met, with its place in the body.
fn of_fixtures(targets: &[String], unmet: Vec<Unmet>) -> Refusal {
    let error = |unmet| match unmet {
        Unmet::NoTarget(n) => {
            let target = targets.get(n).map(String::as_str).unwrap_or_default();
            (format!("/targets/{n}"), format!("{target:.80} is neither a fixture nor a group with fixtures"))
        }
        Unmet::NoKind(kind) => (format!("/values/{}", kind.word()), "is what none of these fixtures has".to_owned()),
        Unmet::Nothing => ("/values".to_owned(), "must have at least one kind, or a color".to_owned()),
        Unmet::NoColour => ("/values/color".to_owned(), "is what none of these fixtures has".to_owned()),
    };
    let errors = unmet.into_iter().map(error).map(|(path, msg)| FieldError { path, msg }).collect();
    Refusal { reason: Reason::ValidationFailed, cmd_id: None, errors }
}

fn written_id(body: &[u8], name: &str) -> Option<String> {
    Object::parse(body).ok().and_then(|object| object.string(name))
}

/// What recalls a scene of the active project.
fn recall(view: &View, look: &Look, over: Option<Duration>) -> Act {
    Act::Recall {
        scene: look.id.clone(),
        project: view.catalogue.active.clone(),
        rig: view.rig().clone(),
        levels: look.patches(),
        whole: true,
        over: over.unwrap_or(look.over),
    }
}
