//! Many changes, one after the other, over MQTT: as fast as possible, or as fast as a finger.

use std::time::{Duration, Instant};

use super::{Appliance, CMD, Connect, Link, Packet, colour, command, fresh_id};

/// This many commands without waiting for answers; gives the colour of the last, when all are acknowledged.
pub async fn burst(appliance: &Appliance, commands: u32) -> [u8; 3] {
    let mut link = Link::join(appliance.mqtt, &Connect::new(&format!("burst-{}", fresh_id()))).await;
    let start = Instant::now();
    for n in 1..=commands {
        link.send_publish(CMD, command(colour(n)).to_string().as_bytes(), false).await;
    }
    for _ in 0..commands {
        assert!(matches!(link.answer().await, Packet::PubAck(_)));
    }
    println!("{commands} commands in {:?}", start.elapsed());
    link.leave().await;
    colour(commands)
}

/// 200 commands a second for this long; gives the colour of the last.
pub async fn drag(appliance: &Appliance, length: Duration) -> [u8; 3] {
    let mut link = Link::join(appliance.mqtt, &Connect::new(&format!("drag-{}", fresh_id()))).await;
    let mut tick = tokio::time::interval(Duration::from_millis(5)); // the finger's own pace, which is the test's input
    let (start, mut n) = (Instant::now(), 0);
    while start.elapsed() < length {
        tick.tick().await;
        n += 1;
        link.publish(CMD, command(colour(n)).to_string().as_bytes()).await;
    }
    println!("{n} commands in {:?}", start.elapsed());
    link.leave().await;
    colour(n)
}
