//! `GET` and `POST /rgb`: what is accepted.

use serde_json::json;

use crate::harness::{Appliance, Home, colour, command, command_with, fresh_id, raw_http, rgb_of};

#[tokio::test]
async fn a_posted_command_is_accepted_with_its_seq_and_seen() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let first = web.state().await;
    assert_eq!((&first["seq"], &first["updatedBy"], rgb_of(&first)), (&json!(0), &json!("init"), [0, 0, 0]));
    let id = fresh_id();

    let answer = web.post("/rgb", command_with(&id, [64, 32, 128]).to_string()).await;

    assert_eq!(answer.status, 202);
    assert!(answer.header("content-type").starts_with("application/json"), "{answer:?}");
    assert_eq!(answer.json(), json!({"status": "accepted", "cmdId": id, "seq": 1}));
    let state = web.state().await;
    let ts = state["ts"].as_u64().expect("an integer");
    let expected =
        json!({"schema": "demo.rgb.state.v1", "r": 64, "g": 32, "b": 128, "seq": 1, "updatedBy": "test", "ts": ts});
    assert_eq!(state, expected);
}

#[tokio::test]
async fn the_same_id_again_is_a_duplicate_in_any_case() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let id = fresh_id();
    web.accepted(&command_with(&id, [1, 2, 3])).await;
    for again in [id.clone(), id.to_lowercase()] {
        let answer = web.post("/rgb", command_with(&again, [9, 9, 9]).to_string()).await;
        assert_eq!(answer.status, 202);
        let body = answer.json();
        assert_eq!(body["status"], "duplicate");
        assert!(body["cmdId"].as_str().is_some_and(|text| text.eq_ignore_ascii_case(&id)), "{body}");
        assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
    }
    let state = web.state().await;
    assert_eq!((state["seq"].as_u64(), rgb_of(&state)), (Some(1), [1, 2, 3]));
    assert_eq!(web.metric("dmx_engine_deduped_total").await, 2.0);
    assert_eq!(web.metric("dmx_engine_processed_total").await, 1.0);
}

#[tokio::test]
async fn the_same_colour_again_is_a_change() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    for seq in 1..=3 {
        assert_eq!(web.accepted(&command([7, 7, 7])).await, seq);
    }
}

#[tokio::test]
async fn integers_of_64_bits_are_clamped() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    for (r, g, b, rgb) in [
        (json!(300), json!(-5), json!(7), [255, 0, 7]),
        (json!(256), json!(-1), json!(255), [255, 0, 255]),
        (json!(u64::MAX), json!(i64::MIN), json!(i64::MAX), [255, 0, 255]),
    ] {
        web.accepted(&json!({"cmdId": fresh_id(), "src": "test", "r": r, "g": g, "b": b})).await;
        assert_eq!(rgb_of(&web.state().await), rgb);
    }
}

#[tokio::test]
async fn optional_fields_are_optional() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let mut body = command([1, 2, 3]);
    body["schema"] = json!("demo.rgb.cmd.v1");
    body["ts"] = json!(1);
    body["src"] = json!("é".repeat(64));
    web.accepted(&body).await;
    assert_eq!(web.state().await["updatedBy"], "é".repeat(64), "64 characters, not bytes");
}

#[tokio::test]
async fn a_chunked_body_is_a_body() {
    let appliance = Appliance::start().await;
    let body = command([4, 5, 6]).to_string();
    let (head, tail) = body.split_at(10);
    let request = format!(
        "POST /rgb HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n{:x}\r\n{head}\r\n{:x}\r\n{tail}\r\n0\r\n\r\n",
        head.len(),
        tail.len()
    );
    assert_eq!(raw_http(appliance.http, request.as_bytes()).await.0, 202);
    assert_eq!(rgb_of(&appliance.web().state().await), [4, 5, 6]);
}

#[tokio::test]
async fn with_a_queue_of_one_every_answer_is_honest() {
    let appliance = Home::new().set("DMX_QUEUE_SIZE", "1").start().await;
    let web = appliance.web();
    let mut posts = tokio::task::JoinSet::new();
    for n in 0..200_u32 {
        let web = web.clone();
        posts.spawn(async move {
            let mut body = command(colour(n));
            body["src"] = json!(if n % 2 == 0 { "ui-tablet" } else { "script" });
            web.post("/rgb", body.to_string()).await
        });
    }
    let mut seqs = Vec::new();
    let mut refused = 0;
    for answer in posts.join_all().await {
        if answer.status == 202 {
            seqs.push(answer.json()["seq"].as_u64().unwrap());
        } else {
            answer.problem(503);
            assert!(answer.header("retry-after").parse::<u64>().is_ok(), "{answer:?}");
            refused += 1;
        }
    }
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "what was accepted has happened, once");
    assert_eq!(seqs.len() + refused, 200);
    assert!(!seqs.is_empty());
    assert_eq!(web.seq().await, seqs.len() as u64, "what was refused has not");
}
