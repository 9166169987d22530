//! Foreign things in the backup folder: no link is followed, nothing hangs, and no answer names a path.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::{Whole, folder, home, id_of, made, mark, marks, restore, restored, versions};

#[tokio::test]
async fn a_link_a_pipe_or_a_folder_in_the_place_of_a_version_is_refused_and_holds_nothing_up() {
    let appliance = home().start().await;
    let web = appliance.web();
    mark(&web, 1, 0).await;
    let id = id_of(&made(&web, "default", "x").await);
    let (folder, elsewhere) = (folder(&appliance), appliance.data().join("elsewhere.bin"));
    let file = folder.join(format!("{id}.bin"));
    for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
    }
    fs::rename(&file, &elsewhere).unwrap();
    mark(&web, 2, 0).await;
    let before = Whole::of(&web).await;
    let link = || symlink(&elsewhere, &file).unwrap();
    let pipe = || assert!(std::process::Command::new("mkfifo").arg(&file).status().unwrap().success());
    let directory = || fs::create_dir(&file).unwrap();
    for (what, put) in [("link", &link as &dyn Fn()), ("pipe", &pipe), ("folder", &directory)] {
        put();
        let problem = restore(&web, "default", &id).await.problem(422);
        let said = problem["detail"].as_str().unwrap();
        assert!(said.contains("no plain file") && !said.contains('/'), "{what}: {said}");
        web.get(&format!("/projects/default/backups/{id}")).await.problem(422);
        assert!(!versions(&web, "default").await.iter().any(|version| id_of(version) == id), "{what}");
        made(&web, "default", what).await;
        assert_eq!(Whole::of(&web).await, before);
        if what == "folder" { fs::remove_dir(&file) } else { fs::remove_file(&file) }.unwrap();
    }
    fs::rename(&elsewhere, &file).unwrap();
    restored(&web, &id).await;
    assert_eq!(marks(&web).await, [1; 3]);
}

#[tokio::test]
async fn no_answer_names_a_path_of_the_box() {
    let appliance = home().start().await;
    let web = appliance.web();
    let here = appliance.data().parent().unwrap().to_str().unwrap().to_owned();
    let root = appliance.data().join("backups");
    fs::write(&root, b"no folder").unwrap();
    let said = [
        web.post("/projects/default/backups", "{}").await.text,
        web.get("/projects/default/backups").await.text,
        web.get("/projects/default/backups/status").await.text,
        web.get("/readyz").await.text,
    ];
    assert!(said[0].contains("backup.local_path") && said[3].contains("BACKUP_FAILING"), "{said:?}");
    assert!(said.iter().all(|said| !said.contains(&here)), "{here} in {said:?}");
    fs::remove_file(&root).unwrap();
    made(&web, "default", "x").await;
    assert!(!web.get("/readyz").await.text.contains("BACKUP_FAILING"));
}
