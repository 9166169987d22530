//! Whole projects, with their light: written for a backup, and put in the place of what is there.

use tokio::task::spawn_blocking;

use super::documents::{self, Documents, json};
use super::error::EditError;
use super::librarian::Librarian;
use super::view::Document;
use crate::dmx::ProjectId;
use crate::kit::clock;
use crate::store::Batch;
use crate::wire::Snapshot;

impl Librarian {
    pub(super) async fn adopt(&self, project: &ProjectId, snapshot: Snapshot, edition: u64) -> Result<(), EditError> {
        self.whole()?;
        let mut after = (*self.view()).clone();
        if *project != after.catalogue.active {
            return Err(EditError::NotActive(project.clone()));
        }
        if edition != after.edition {
            return Err(EditError::Changed);
        }
        let Snapshot { levels, scenes, show } = snapshot;
        let stored = spawn_blocking(move || Documents::of(&scenes, &show)).await?;
        let pending = self.write_ahead(project, Some(&stored.scenes), Some(&stored.show)).await?;
        let mut batch = Batch::default();
        documents::replace(&self.deps.store, &mut batch, project, pending);
        self.touch(&mut after.catalogue, &mut batch);
        let frames = levels.into_iter().collect();
        after.take(stored, &self.deps.reading).await;
        let rig = after.rig().clone();
        let (_, publish) = self.to_publish(after);
        self.deps.engine.replace(project.clone(), frames, rig, batch, publish).await.ok_or(EditError::Stopping)?;
        self.deps.store.sync().await;
        Ok(())
    }

    pub(super) async fn snapshot(&self, id: &ProjectId) -> Result<Document, EditError> {
        self.whole()?;
        let project = self.known(id)?;
        let (state, mut view) = (self.state_of(id), (*self.view()).clone());
        if *id != view.catalogue.active {
            view.take(documents::read(&self.deps.store, id).await?, &self.deps.reading).await;
        }
        let edition = view.edition;
        let work =
            move || Ok::<_, EditError>(json(&Snapshot::document(&project, &state, &view.file()?, clock::now_ms())));
        Ok(Document { project: id.clone(), bytes: spawn_blocking(work).await??, edition })
    }
}
