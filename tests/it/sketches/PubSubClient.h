// PubSubClient 2.8 as far as the sketches use it, written anew, with its traps: 256 bytes unless told otherwise, larger
// messages dropped without a word, QoS 0 only, a payload without an end mark, a wait of 15 s for the CONNACK.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "WiFi.h"

class PubSubClient {
 public:
  explicit PubSubClient(WiFiClient &net) : net(net), buffer(256) {}
  void setServer(const char *name, uint16_t number) { host = name, port = number; }
  void setCallback(std::function<void(char *, byte *, unsigned int)> function) { callback = function; }
  bool setBufferSize(uint16_t size) { return buffer.resize(size), true; }
  void setSocketTimeout(uint16_t seconds) { patience = seconds; }

  bool connect(const char *id, const char *user, const char *pass, const char *willTopic, uint8_t willQos, bool willRetain,
               const char *will) {
    if (!net.connected() && net.connect(host, port) != 1) return false;
    int flags = 2 | 4 | willQos << 3 | willRetain << 5 | (pass ? 64 : 0) | (user ? 128 : 0);
    std::string body = text("MQTT") + char(4) + char(flags) + number(keepAlive) + text(id) + text(willTopic) + text(will);
    send(0x10, body + (user ? text(user) : "") + (pass ? text(pass) : ""));
    while (!net.available()) {  // 2.8 waits on also when the broker has hung up
      if (millis() - lastOut < patience * 1000u) continue;
      fprintf(stderr, "no CONNACK in %u s\n", patience);
      net.stop();
      return false;
    }
    in = receive() == 4 && buffer[0] == 0x20 && buffer[3] == 0;
    if (!in) net.stop();
    return in;
  }

  bool connected() {
    if (in && !net.connected()) in = false, net.stop();
    return in;
  }

  bool publish(const char *topic, const char *payload, bool retained = false) {
    if (!connected() || buffer.size() < 5 + 2 + strlen(topic) + strlen(payload)) return false;
    memset(buffer.data(), '#', buffer.size());  // the real one builds its packet here: what a callback was given is gone
    return send(0x30 | retained, text(topic) + payload), true;
  }

  bool subscribe(const char *topic, uint8_t qos) {
    return connected() && (send(0x82, number(++packetId) + text(topic) + char(qos)), true);
  }

  bool loop() {
    if (!connected()) return false;
    if (millis() - lastOut > keepAlive * 1000u) send(0xC0, "");
    while (net.available()) {
      size_t length = receive();
      if (length && (buffer[0] & 0xF0) == 0x30) deliver(length);
    }
    return true;
  }

 private:
  static constexpr unsigned keepAlive = 15;
  WiFiClient &net;
  std::vector<uint8_t> buffer;
  std::function<void(char *, byte *, unsigned int)> callback;
  const char *host = nullptr;
  uint16_t port = 0, packetId = 0;
  unsigned patience = 15;
  uint32_t lastOut = 0;
  bool in = false;
  size_t head = 0;  // bytes before the body of the packet in the buffer

  static std::string number(size_t n) { return {char(n >> 8), char(n)}; }
  static std::string text(const char *t) { return number(strlen(t)) + t; }

  void send(int first, const std::string &body) {
    std::string packet(1, char(first));
    size_t left = body.size();
    do packet += char(left % 128 | (left > 127 ? 128 : 0)); while (left /= 128);
    packet += body;
    net.write(reinterpret_cast<const uint8_t *>(packet.data()), packet.size());
    lastOut = millis();
  }

  int next() {
    while (!net.available() && net.connected()) continue;
    return net.available() ? net.read() : 0;
  }

  // One packet into the buffer; its length, or 0 when it does not fit.
  size_t receive() {
    memset(buffer.data(), '#', buffer.size());
    size_t length = 0, left = 0;
    auto keep = [&](int value) { return length < buffer.size() ? buffer[length] = value : 0, length++, value; };
    keep(next());
    for (int shift = 0, digit = 128; digit & 128; shift += 7) left |= ((digit = keep(next())) & 127) << shift;
    head = length;
    while (left--) keep(next());
    return length > buffer.size() ? 0 : length;
  }

  void deliver(size_t length) {
    size_t size = buffer[head] << 8 | buffer[head + 1], at = head + 2 + size;
    std::string topic(buffer.begin() + head + 2, buffer.begin() + at);
    bool qos1 = buffer[0] & 2;
    std::string id(buffer.begin() + at, buffer.begin() + at + 2);
    if (qos1) at += 2;
    callback(topic.data(), buffer.data() + at, length - at);
    if (qos1) send(0x40, id);
  }
};
