//! Clients in other languages over TLS.

use std::time::Duration;

use super::{Secure, home, run, text};
use crate::harness::{mqtt_js_trusting, python};

#[tokio::test]
async fn paho_speaks_to_the_broker_over_tls() {
    let secure = Secure::start(home()).await;
    python("paho_tls.py", secure.mqtts, &[secure.ca()]).holds(3, Duration::from_secs(60)).await;
}

#[tokio::test]
async fn mqtt_js_speaks_to_the_broker_over_tls_and_over_wss() {
    let secure = Secure::start(home()).await;
    let (https, mqtts) = (secure.https.port(), secure.mqtts.port());
    for url in [format!("mqtts://localhost:{mqtts}"), format!("wss://localhost:{https}/mqtt")] {
        for version in [4, 5] {
            let lines = mqtt_js_trusting(&url, version, &secure.ca).succeed_within(Duration::from_secs(90)).await;
            assert!(lines.len() >= 5 && lines.iter().all(|line| line.starts_with("holds: ")), "{url}: {lines:#?}");
        }
    }
}

#[tokio::test]
async fn the_websocket_works_over_wss() {
    let secure = Secure::start(home()).await;
    let script = "import asyncio,json,ssl,sys,websockets\n\
        async def main():\n\
        \x20 context=ssl.create_default_context(cafile=sys.argv[2])\n\
        \x20 async with websockets.connect(sys.argv[1],ssl=context) as ws:\n\
        \x20  await ws.send(json.dumps({'type':'dmx.set','id':'a','universe':0,'channel':1,'value':9}))\n\
        \x20  while True:\n\
        \x20   said=json.loads(await asyncio.wait_for(ws.recv(),20))\n\
        \x20   if said.get('ack')=='a': return print(said['accepted'])\n\
        asyncio.run(main())";
    let python = format!("{}/target/strangers/venv/bin/python", env!("CARGO_MANIFEST_DIR"));
    let said = run(&python, &["-c", script, &format!("wss://localhost:{}/ws", secure.https.port()), secure.ca()]).await;
    assert_eq!(text(&said.stdout), "True\n", "{said:?}");
}
