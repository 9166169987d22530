//! kill -9 in the middle of edits: afterwards everything is as before the one under way or as after it, and every one that
//! was answered has happened.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{asking, ids, list, mark, marked, project, select, several};
use crate::harness::{Answer, Home, Random, Web, colour, command, index_of, rgb_of};

/// Kills in a normal run; tests/long makes hundreds.
const KILLS: usize = 15;

/// Most projects; beyond that, one is deleted.
const PROJECTS: usize = 5;

/// Longest life of an appliance among edits, in milliseconds.
const LIFE: u64 = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_among_edits_leaves_each_of_them_done_or_not_done() {
    crash_rounds(KILLS).await;
}

/// What a project has.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Content {
    name: String,
    notes: Option<String>,
    /// Number of the command that made its light.
    light: u32,
    /// Mark of scenes and show.
    mark: Option<u64>,
}

/// What the box should hold.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shelf {
    seq: u64,
    active: String,
    projects: BTreeMap<String, Content>,
}

/// Id of a project whose creation was not answered.
const UNANSWERED: &str = "?";

/// The possible edits.
#[derive(Clone, Debug)]
enum Edit {
    Create { name: String, template: Option<String> },
    Select(String),
    Import(u64),
    Delete(String),
    Notes { id: String, notes: String },
    Command { number: u32, body: Value },
}

impl Edit {
    fn kind(&self) -> &'static str {
        match self {
            Self::Create { template: None, .. } => "create",
            Self::Create { template: Some(_), .. } => "create from template",
            Self::Select(_) => "select",
            Self::Import(_) => "import",
            Self::Delete(_) => "delete",
            Self::Notes { .. } => "edit",
            Self::Command { .. } => "command",
        }
    }

    fn request(&self, web: &Web) -> reqwest::RequestBuilder {
        let (method, path, body) = match self {
            Self::Create { name, template } => {
                (Method::POST, "/projects".to_owned(), json!({"name": name, "templateId": template}))
            }
            Self::Select(id) => (Method::POST, format!("/projects/{id}/select"), Value::Null),
            Self::Import(mark) => (Method::POST, "/import".to_owned(), marked(*mark)),
            Self::Delete(id) => (Method::DELETE, format!("/projects/{id}"), Value::Null),
            Self::Notes { id, notes } => (Method::PUT, format!("/projects/{id}"), json!({"notes": notes})),
            Self::Command { body, .. } => (Method::POST, "/rgb".to_owned(), body.clone()),
        };
        asking(web, method, &path, &body)
    }

    /// What the box holds after it. `made`: the id of a new project.
    fn done(&self, before: &Shelf, made: &str) -> Shelf {
        let mut shelf = before.clone();
        match self {
            Self::Create { name, template } => {
                let empty = Content { name: String::new(), notes: None, light: 0, mark: None };
                let like = template.as_ref().map_or(empty, |id| before.projects[id].clone());
                shelf.projects.insert(made.to_owned(), Content { name: name.clone(), notes: None, ..like });
            }
            Self::Select(id) => {
                shelf.active.clone_from(id);
                shelf.seq += 1;
            }
            Self::Import(mark) => shelf.active_one().mark = Some(*mark),
            Self::Delete(id) => drop(shelf.projects.remove(id)),
            Self::Notes { id, notes } => {
                shelf.projects.get_mut(id).expect("a known one").notes = Some(notes.clone());
            }
            Self::Command { number, .. } => {
                shelf.active_one().light = *number;
                shelf.seq += 1;
            }
        }
        shelf
    }

    /// The edit is answered; gives the id of a new project.
    fn made(&self, before: &Shelf, answer: &Answer) -> String {
        let expected = match self {
            Self::Create { .. } => 201,
            Self::Command { .. } => 202,
            _ => 200,
        };
        assert_eq!(answer.status, expected, "{self:?}: {answer:?}");
        let Self::Create { .. } = self else { return UNANSWERED.to_owned() };
        let mut new = ids(&answer.json());
        new.retain(|id| !before.projects.contains_key(id));
        assert_eq!(new.len(), 1, "{answer:?}");
        new.remove(0)
    }
}

impl Shelf {
    fn active_one(&mut self) -> &mut Content {
        self.projects.get_mut(&self.active).expect("the active one is there")
    }

    /// Any edit that makes sense now. `n` has never been used here.
    fn any_edit(&self, random: &mut Random, n: u32) -> Edit {
        let mut any = |ids: Vec<&String>| ids[usize::try_from(random.below(ids.len() as u64)).unwrap()].clone();
        let other = any(self.projects.keys().collect());
        let idle: Vec<_> = self.projects.keys().filter(|id| **id != self.active).collect();
        if self.projects.len() >= PROJECTS {
            return Edit::Delete(any(idle));
        }
        let deleted = (idle.len() > 1).then(|| any(idle));
        match (random.below(12), deleted) {
            (0..3, _) => Edit::Create { name: format!("Show {n}"), template: Some(other) },
            (3, _) => Edit::Create { name: format!("Show {n}"), template: None },
            (4..6, _) => Edit::Select(other),
            (6, Some(id)) => Edit::Delete(id),
            (7, _) => Edit::Notes { id: other, notes: format!("notes {n}") },
            (8, _) => Edit::Command { number: n, body: command(colour(n)) },
            _ => Edit::Import(n.into()),
        }
    }

    /// Reads what the box holds, project by project; afterwards the same one is active.
    async fn read(web: &Web) -> Self {
        let listed = list(web).await;
        let active = listed["activeId"].as_str().unwrap().to_owned();
        let state = web.state().await;
        let mut projects = BTreeMap::new();
        // The active one first, as it was found.
        let mut order = ids(&listed);
        order.sort_by_key(|id| *id != active);
        for id in order {
            if id != active {
                select(web, &id).await;
            }
            let known = project(&listed, &id);
            let text = |field: &str| known[field].as_str().map(str::to_owned);
            let content = Content {
                name: text("name").unwrap(),
                notes: text("notes"),
                light: index_of(rgb_of(&web.state().await)),
                mark: mark(web).await, // which checks that all parts carry the same
            };
            projects.insert(id, content);
        }
        select(web, &active).await;
        Self { seq: state["seq"].as_u64().unwrap(), active, projects }
    }

    /// With the id of a project whose creation was not answered.
    fn renamed(mut self, found: &Self) -> Self {
        if let Some(content) = self.projects.remove(UNANSWERED) {
            let id = found.projects.iter().find(|(_, other)| other.name == content.name).map(|(id, _)| id.clone());
            self.projects.insert(id.unwrap_or_else(|| UNANSWERED.to_owned()), content);
        }
        self
    }
}

/// One life of the appliance: edits until it is killed.
struct Life {
    shelf: Shelf,
    /// Not answered.
    last: Edit,
    random: Random,
    next: u32,
    edits: usize,
}

/// Edits one after the other until there are no answers any more.
async fn edit(web: Web, mut shelf: Shelf, mut random: Random, mut next: u32) -> Life {
    for edits in 0.. {
        let edit = shelf.any_edit(&mut random, next);
        next += 1;
        let Some(answer) = web.offer(edit.request(&web)).await else {
            return Life { shelf, last: edit, random, next, edits };
        };
        let made = edit.made(&shelf, &answer);
        shelf = edit.done(&shelf, &made);
    }
    unreachable!("a life ends")
}

/// Kills the appliance at random moments among edits, again and again on the same data.
pub async fn crash_rounds(rounds: usize) {
    let mut random = Random::new();
    let mut home = several(Home::new());
    let mut next = 1;
    let mut tally = BTreeMap::<&str, [usize; 2]>::new();
    let mut edits = 0;
    for round in 0..rounds {
        let appliance = home.start().await;
        let web = appliance.web();
        let shelf = Shelf::read(&web).await;
        let shelf = Shelf { seq: web.seq().await, ..shelf };
        let life = random.below(LIFE);
        let editing = tokio::spawn(edit(Web::new(appliance.http), shelf, random, next));
        // the moment of the kill is the test's input, not something to wait for
        let _ = tokio::time::timeout(Duration::from_millis(life), std::future::pending::<()>()).await;
        let healthy = appliance.log.find(|line| line["message"] == "storage_in_ram").is_none();
        let left = appliance.kill9().await;
        let ended = editing.await.unwrap();
        assert!(healthy, "round {round}: the card was given up, which nobody asked for");

        let appliance = left.start().await;
        let found = Shelf::read(&appliance.web()).await;
        let before = ended.shelf.clone();
        let after = ended.last.done(&before, UNANSWERED).renamed(&found);
        let done = found == after;
        let place = format!("round {round}, killed after {life} ms and {} edits in {:?}", ended.edits, ended.last);
        assert!(done || found == before, "{place}:\nbefore {before:#?}\nafter {after:#?}\nfound {found:#?}");
        assert_eq!(appliance.web().problems().await, Vec::<String>::new(), "{place}");
        if let Edit::Command { body, .. } = &ended.last {
            assert_eq!(appliance.web().is_duplicate(body).await, done, "{place}: no effect without its id");
        }
        tally.entry(ended.last.kind()).or_default()[usize::from(done)] += 1;
        edits += ended.edits;
        (random, next) = (ended.random, ended.next);
        home = appliance.kill9().await;
    }
    println!("{rounds} kills, {edits} answered edits; under way at the kill [not done, done]: {tally:?}");
    let files = crate::harness::data_files(&home.data());
    let bytes: u64 = files.iter().map(|file| home.data().join(file).metadata().unwrap().len()).sum();
    println!("{bytes} bytes in the data folder");
}
