//! Keys: the right one, another, an older one; and that nobody ever gets to see one.

use age::secrecy::ExposeSecret;

use super::{KEY, OLD_KEYS, Whole, folder, home, id_of, made, mark, marks, place, restore, restored, snapshot};
use crate::harness::{BUCKET, Home, Moto};

const FERNET: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// A home with the same data and other keys.
fn with_keys(data: &std::path::Path, key: &str, old: &str) -> Home {
    let home = Home::copy_of(data).set("DMX_PROJECTS_ENABLED", "true").set("DMX_CLOUD_BACKUP_ENABLED", "true");
    let home = if key.is_empty() { home } else { home.set(KEY, key) };
    if old.is_empty() { home } else { home.set(OLD_KEYS, old) }
}

#[tokio::test]
async fn a_sealed_backup_opens_with_its_key_and_with_no_other_and_a_plain_one_always() {
    let (identity, other) =
        (age::x25519::Identity::generate().to_string(), age::x25519::Identity::generate().to_string());
    for (key, wrong) in [
        ("passphrase:correct horse", "passphrase:wrong horse"),
        (identity.expose_secret(), other.expose_secret()),
        (FERNET, "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="),
    ] {
        let appliance = home().set(KEY, key).start().await;
        let web = appliance.web();
        mark(&web, 1, 0).await;
        let version = made(&web, "default", "x").await;
        assert_eq!(version["encrypted"], true);
        let id = id_of(&version);
        mark(&web, 2, 0).await;
        let (_, left) = appliance.terminate().await;
        for (key, old) in [(wrong, ""), ("", ""), (wrong, wrong)] {
            let appliance = with_keys(&left.data(), key, old).start().await;
            let web = appliance.web();
            let before = Whole::of(&web).await;
            let problem = restore(&web, "default", &id).await.problem(422);
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains("backup.old_keys") && !detail.contains("horse"), "{problem}");
            assert_eq!(Whole::of(&web).await, before);
            let status = web.get("/projects/default/backups/status").await.json();
            assert_eq!(status["lastError"], detail);
        }
        let appliance = with_keys(&left.data(), wrong, &format!("{FERNET},{key}")).start().await;
        let web = appliance.web();
        restored(&web, &id).await;
        assert_eq!(marks(&web).await, [1; 3]);
        place(&folder(&appliance), &[("plain.bin", &snapshot(77))]);
        restored(&web, "plain").await;
    }
}

#[tokio::test]
async fn no_key_is_ever_shown() {
    let moto = Moto::start().await;
    let wrong_form = home().set(KEY, "geheim").run_to_its_end().await;
    assert_eq!(wrong_form.code, Some(2));
    assert!(!wrong_form.stderr.contains("geheim"), "{}", wrong_form.stderr);
    let secrets = |home: Home| {
        home.set("DMX_CLOUD_BACKUP_PROVIDER", "s3")
            .set("DMX_BACKUP_S3_ENDPOINT", format!("http://{}", moto.address))
            .set("DMX_CLOUD_BACKUP_S3_BUCKET", BUCKET)
            .set("DMX_CLOUD_BACKUP_S3_ACCESS_KEY", "access-geheim")
            .set("DMX_CLOUD_BACKUP_S3_SECRET_KEY", "secret-geheim")
            .set("DMX_CLOUD_BACKUP_S3_SESSION_TOKEN", "token-geheim")
            .set(OLD_KEYS, "passphrase:geheim")
            .set("DMX_LOG_LEVEL", "debug")
    };
    // plain bundles first, so that they can be inspected; then sealed ones
    for key in ["", "passphrase:noch geheim"] {
        let home = if key.is_empty() { secrets(home()) } else { secrets(home()).set(KEY, key) };
        let printed = home.run(&["--print-config"]).await;
        assert_eq!(printed.code, Some(0), "{}", printed.stderr);
        let mut shown = vec![printed.stdout, printed.stderr];
        let mut appliance = home.start().await;
        let web = appliance.web();
        mark(&web, 1, 0).await;
        let id = id_of(&made(&web, "default", "x").await);
        restored(&web, &id).await;
        place(&folder(&appliance), &[("odd.bin", b"age-encryption.org/v1\n-> scrypt x 10\n")]);
        for answer in [
            restore(&web, "default", "odd").await,
            web.get(&format!("/projects/default/backups/{id}")).await,
            web.post("/projects/default/restore", "{}").await,
        ] {
            shown.push(answer.text);
        }
        moto.put(&format!("/{BUCKET}/dmx-controller/backups/default/{id}.bin"), b"x".to_vec(), &[]).await;
        shown.push(restore(&web, "default", &id).await.problem(422).to_string());
        for path in ["/readyz", "/export", "/metrics", "/projects", "/projects/default/backups/status", "/openapi.json"]
        {
            shown.push(web.get(path).await.text);
        }
        appliance.signal(rustix::process::Signal::TERM);
        appliance.ended().await;
        shown.extend([appliance.log.all().join("\n"), appliance.stderr.all().join("\n")]);
        for text in &shown {
            assert!(!text.contains("geheim"), "{:.2000}", &text[text.find("geheim").unwrap().saturating_sub(200)..]);
        }
    }
}
