//! Certificates as seen from outside, trust, mix-ups, and the plain doors beside the encrypted ones.

use std::os::unix::fs::PermissionsExt;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Secure, describe, home, run, text, under};
use crate::harness::{Home, command, eventually, patiently};

#[tokio::test]
async fn the_certificate_is_for_this_machine_and_its_authority_for_this_network_only() {
    let secure = Secure::start(home()).await;
    let ca = describe(&std::fs::read_to_string(&secure.ca).unwrap());
    assert_eq!(under(&ca, "Basic Constraints: critical"), "CA:TRUE, pathlen:0");
    assert_eq!(under(&ca, "Key Usage: critical"), "Certificate Sign, CRL Sign");
    let (_, limits) = ca.split_once("X509v3 Name Constraints: critical").expect("critical name constraints");
    let limits: Vec<_> = limits.lines().skip(2).map(str::trim).take_while(|line| !line.starts_with("X509v3")).collect();
    for limit in ["DNS:local", "IP:10.0.0.0/255.0.0.0", "IP:192.168.0.0/255.255.0.0", "IP:169.254.0.0/255.255.0.0"] {
        assert!(limits.contains(&limit), "{limit} in {limits:?}");
    }
    assert!(!limits.contains(&"Excluded:") && !limits.iter().any(|limit| limit.contains("IP:0.0.0.0/")), "{limits:?}");

    let leaf = secure.leaf().await;
    let names = under(&leaf, "Subject Alternative Name");
    let host = text(&run("uname", &["-n"]).await.stdout).trim().to_lowercase();
    for name in
        [format!("DNS:{host}.local"), format!("DNS:{host}"), "DNS:localhost".into(), "IP Address:127.0.0.1".into()]
    {
        assert!(names.split(", ").any(|listed| listed == name), "{name} in {names}");
    }
    assert_eq!(under(&leaf, "Extended Key Usage"), "TLS Web Server Authentication");
    let dates =
        ["notBefore=", "notAfter="].map(|which| leaf.split_once(which).unwrap().1.get(..10).unwrap().to_owned());
    let days = text(
        &run("sh", &["-c", &format!("echo $((($(date -d {} +%s) - $(date -d {} +%s)) / 86400))", dates[1], dates[0])])
            .await
            .stdout,
    );
    assert!((800..=825).contains(&days.trim().parse::<u32>().unwrap()), "{days} days");
    for checks in ["-verify_hostname localhost", "-verify_ip 127.0.0.1", &format!("-verify_hostname {host}.local")] {
        let said = secure.handshake(&format!("-verify_return_error {checks}")).await;
        assert!(said.contains("Verify return code: 0 (ok)"), "{checks}: {said}");
    }
    assert!(secure.handshake("-verify_hostname example.com").await.contains("hostname mismatch"));
}

#[tokio::test]
async fn whoever_steals_the_authoritys_key_is_no_bank() {
    let secure = Secure::start(home()).await;
    let folder = tempfile::tempdir().unwrap();
    let stolen = secure.appliance.data().join("tls/authority.pem");
    let script = format!(
        "set -e; cd {}; openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out csr.pem -subj /CN=$1
         printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth\n' \"$2\" >ext
         openssl x509 -req -in csr.pem -CA {stolen:?} -CAkey {stolen:?} -CAcreateserial -CAserial serial -days 30 -extfile ext -out leaf.pem
         openssl verify -CAfile {stolen:?} leaf.pem",
        folder.path().display()
    );
    let verified = async |names: &str| {
        let output = run("sh", &["-c", &script, "sh", "x", names]).await;
        (output.status.success(), text(&output.stderr))
    };
    assert!(verified("DNS:other.local").await.0, "the theft itself works");
    for names in ["DNS:bank.example", "IP:203.0.113.5", "DNS:other.local,DNS:bank.example", "IP:100.64.0.1"] {
        let (good, said) = verified(names).await;
        assert!(!good && said.contains("permitted subtree violation"), "{names}: {said}");
    }
    let below = format!(
        "set -e; cd {}; printf 'basicConstraints=critical,CA:true\n' >ext
         openssl x509 -req -in csr.pem -CA {stolen:?} -CAkey {stolen:?} -CAserial serial -days 30 -extfile ext -out below.pem
         openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k2.pem -out csr2.pem -subj /CN=y
         printf 'subjectAltName=DNS:other.local\n' >ext
         openssl x509 -req -in csr2.pem -CA below.pem -CAkey key.pem -CAcreateserial -days 30 -extfile ext -out leaf2.pem
         openssl verify -CAfile {stolen:?} -untrusted below.pem leaf2.pem",
        folder.path().display()
    );
    let output = run("sh", &["-c", &below]).await;
    assert!(text(&output.stderr).contains("path length constraint exceeded"), "{output:?}");
}

#[tokio::test]
async fn who_trusts_the_authority_gets_in_and_others_are_named_in_the_log() {
    let secure = Secure::start(home()).await;
    let answer = secure.curl("localhost", "/healthz", &["-w", " %{http_version}"]).await;
    assert_eq!(text(&answer.stdout), "{\"status\":\"ok\"} 1.1");
    let port = secure.mqtts.port().to_string();
    let state = run(
        "mosquitto_sub",
        &["-h", "localhost", "-p", &port, "--cafile", secure.ca(), "-t", "v1/demo/rgb/state", "-C", "1", "-W", "20"],
    )
    .await;
    assert!(text(&state.stdout).contains("demo.rgb.state.v1"), "{state:?}");

    let url = format!("https://localhost:{}/healthz", secure.https.port());
    assert_eq!(run("curl", &["-sS", &url]).await.status.code(), Some(60), "curl's own list does not have it");
    let log = &secure.appliance.log;
    let why = |line: &serde_json::Value| {
        line["why"].as_str().is_some_and(|why| why.contains("does not trust our certificate"))
    };
    log.wait("the refusal", |line| line["message"] == "http_refused" && why(line)).await;
    assert!(secure.appliance.web().metric("dmx_tls_handshakes_failed_total").await >= 1.0);
    assert!(secure.appliance.web().metric("dmx_tls_handshakes_total").await >= 2.0);
}

#[tokio::test]
async fn who_speaks_the_wrong_language_is_named_and_a_browser_is_sent_on() {
    let secure = Secure::start(home()).await;
    let url = format!("http://127.0.0.1:{}/rgb?x=1", secure.https.port());
    let sent_on = run("curl", &["-sS", "-w", "%{http_code} %{redirect_url}", &url]).await;
    assert_eq!(text(&sent_on.stdout), format!("308 https://127.0.0.1:{}/rgb?x=1", secure.https.port()));
    let log = &secure.appliance.log;
    let says = |line: &serde_json::Value, part: &str| line["why"].as_str().is_some_and(|why| why.contains(part));
    log.wait("plain at https", |line| says(line, "plain HTTP at the port of https")).await;
    let sub = ["-h", "127.0.0.1", "-p", &secure.mqtts.port().to_string(), "-t", "x", "-W", "20"].map(str::to_owned);
    let sub: Vec<_> = sub.iter().map(String::as_str).collect();
    assert!(!run("mosquitto_sub", &sub).await.status.success());
    log.wait("plain at mqtts", |line| line["message"] == "mqtt_refused" && says(line, "plain port")).await;
    // at most one line a second and door, so the last one is asked for again
    let wrong = format!("https://127.0.0.1:{}/", secure.appliance.http.port());
    eventually("TLS at http", async || {
        assert_eq!(run("curl", &["-sSk", &wrong]).await.status.code(), Some(35));
        log.find(|line| line["message"] == "http_refused" && says(line, "tls.port"))
    })
    .await;
}

#[tokio::test]
async fn silent_and_half_handshakes_hold_nobody_up() {
    let secure = Secure::start(home()).await;
    let mut silent = Vec::new();
    for n in 0..400 {
        let door = if n % 4 == 0 { secure.https } else { secure.mqtts };
        let mut socket = TcpStream::connect(door).await.unwrap();
        if n % 2 == 0 {
            socket.write_all(b"\x16\x03\x01\x02\x00\x01\x00").await.unwrap();
        }
        silent.push(socket);
    }
    let answer = secure.curl("localhost", "/healthz", &["--max-time", "5"]).await;
    assert!(answer.status.success(), "{answer:?}");
    let port = secure.mqtts.port().to_string();
    let state = run(
        "mosquitto_sub",
        &["-h", "localhost", "-p", &port, "--cafile", secure.ca(), "-t", "v1/demo/rgb/state", "-C", "1", "-W", "5"],
    )
    .await;
    assert!(state.status.success(), "{state:?}");
    secure.appliance.assert_serves().await;
    // and they do not stay
    let mut ended = 0;
    for socket in &mut silent {
        let mut rest = Vec::new();
        let _ = patiently("the end of a silent socket", socket.read_to_end(&mut rest)).await;
        ended += 1;
    }
    assert_eq!(ended, 400);
}

#[tokio::test]
async fn the_authority_stays_over_a_restart_and_is_in_no_backup() {
    let home = home().set("DMX_CLOUD_BACKUP_ENABLED", "true").set("DMX_PROJECTS_ENABLED", "true");
    let secure = Secure::start(home).await;
    let before = std::fs::read_to_string(&secure.ca).unwrap();
    let web = secure.appliance.web();
    web.accepted(&command([1, 2, 3])).await;
    assert_eq!(web.post("/projects/default/backups", "{}").await.status, 201);
    let file = secure.appliance.data().join("tls/authority.pem");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let kept = std::fs::read_to_string(&file).unwrap();
    let secret = kept.lines().nth(1).unwrap().to_owned();
    assert!(secret.len() == 64 && kept.contains("PRIVATE KEY"), "{kept}");
    for path in ["/export", "/readyz", "/trust", "/about", "/trust/ca.mobileconfig"] {
        assert!(!web.get(path).await.text.contains(&secret), "{path}");
    }
    let found = run("grep", &["-rl", &secret, secure.appliance.data().to_str().unwrap()]).await;
    assert_eq!(text(&found.stdout).trim(), file.to_str().unwrap(), "nowhere else in the data folder");
    assert!(!secure.appliance.log.tail(10_000).contains(&secret));
    let again = Secure::of(secure.appliance.restart().await).await;
    assert_eq!(std::fs::read_to_string(&again.ca).unwrap(), before);
    let described = describe(&before);
    let fingerprint =
        described.lines().find(|line| line.contains("Fingerprint=")).unwrap().split_once('=').unwrap().1.to_owned();
    assert!(again.appliance.web().get("/trust").await.text.contains(&fingerprint));
}

#[tokio::test]
async fn without_tls_the_page_says_so_and_there_is_no_authority() {
    let appliance = Home::new().start().await;
    let page = appliance.web().get("/trust").await;
    assert!(page.status == 200 && page.text.contains("data-source=\"off\""), "{page:?}");
    for file in ["/trust/ca.crt", "/trust/ca.mobileconfig"] {
        appliance.web().get(file).await.problem(404);
    }
    assert!(!appliance.data().join("tls").exists());
}

#[tokio::test]
async fn both_languages_and_a_profile_that_holds_the_certificate() {
    let secure = Secure::start(home()).await;
    let web = secure.appliance.web();
    let czech = web.request(reqwest::Method::GET, "/trust").header("accept-language", "cs-CZ,cs;q=0.9");
    assert!(web.send(czech).await.text.contains("Důvěřovat jednotce"));
    assert!(web.get("/trust?lang=en").await.text.contains("Trust this box"));
    let profile = web.get("/trust/ca.mobileconfig").await;
    assert_eq!(profile.header("content-type"), "application/x-apple-aspen-config");
    let script = "import plistlib,ssl,sys\np=plistlib.loads(sys.argv[1].encode())\nc=p['PayloadContent'][0]\n\
                  assert c['PayloadType']=='com.apple.security.root'\n\
                  assert c['PayloadContent']==ssl.PEM_cert_to_DER_cert(open(sys.argv[2]).read())\nprint('same')";
    let read = run("python3", &["-c", script, &profile.text, secure.ca()]).await;
    assert_eq!(text(&read.stdout), "same\n", "{read:?}");
    let certificate = web.get("/trust/ca.crt").await;
    assert_eq!(certificate.header("content-type"), "application/x-x509-ca-cert");
}

#[tokio::test]
async fn encrypted_only_means_that_nothing_else_is_answered_plainly() {
    let secure = Secure::start(home().set("DMX_TLS_ONLY", "true")).await;
    assert!(secure.appliance.log.find(|line| line["door"] == "mqtt").is_none(), "plain MQTT is closed");
    let plain = |path: &str| format!("http://{}{path}", secure.appliance.http);
    let asked = async |arguments: &[&str]| text(&run("curl", arguments).await.stdout);
    let code = "%{http_code} %{redirect_url}";
    let to = format!("308 https://{}:{}/", secure.appliance.http.ip(), secure.https.port());
    assert_eq!(asked(&["-sS", "-w", code, &plain("/")]).await, to);
    assert!(asked(&["-sS", "-w", code, "-d", "{}", &plain("/rgb")]).await.ends_with("403 "), "a body is not repeated");
    assert!(asked(&["-sS", "-H", "upgrade: websocket", "-w", code, &plain("/ws")]).await.starts_with("308"));
    for path in ["/healthz", "/readyz", "/trust", "/trust/page.js", "/trust/qr.js", "/trust/page.css"] {
        assert!(asked(&["-sS", "-w", " %{http_code}", &plain(path)]).await.ends_with(" 200"), "{path}");
    }
    assert!(secure.curl("localhost", "/rgb", &[]).await.status.success());
    let about: serde_json::Value =
        serde_json::from_slice(&secure.curl("localhost", "/about", &[]).await.stdout).unwrap();
    let all = [&about["addresses"], &about["mqtt"]].map(|list| list.as_array().unwrap().clone()).concat();
    assert!(
        all.iter()
            .all(|url| url.as_str().unwrap().starts_with("https:") || url.as_str().unwrap().starts_with("mqtts:")),
        "{about}"
    );
}
