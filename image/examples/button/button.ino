// Button: each press asks the appliance for the next colour. ESP8266 or ESP32, PubSubClient 2.8.
// Parts, wiring and how to load it: ../README.md
#ifdef ESP32
#include <WiFi.h>
#else
#include <ESP8266WiFi.h>
#endif
#include <PubSubClient.h>

#include "ulid.h"

// Edit these.
const char WIFI_NAME[] = "stage";
const char WIFI_KEY[] = "change me";
const char BROKER[] = "192.168.1.50";  // the appliance's address; why not dmx.local: README
const char *USER = nullptr;            // only if the appliance requires a login (mqtt.username)
const char *PASSWORD = nullptr;
#define ID "button-1"   // a different one for every device: two with the same name disconnect each other
const uint8_t PIN = 4;  // D2 of a D1 mini; the button connects it to GND
const uint8_t COLOURS[][3] = {{255, 140, 40}, {255, 0, 0}, {0, 0, 255}, {0, 0, 0}};

const char CMD[] = "v1/demo/rgb/cmd", STATE[] = "v1/demo/rgb/state";
const char PRESENCE[] = "v1/devices/" ID "/state";
const char ONLINE[] = "{\"online\":true}", OFFLINE[] = "{\"online\":false}";
const uint32_t DEBOUNCE_MS = 30, GIVE_UP_MS = 10000;  // light long after the press would only surprise

WiFiClient net;
PubSubClient mqtt(net);

// The content of the newest state.
bool known = false;  // one has come on this connection
uint64_t seq = 0;    // grows with every change of the light
uint64_t clockMs = 0;
uint32_t clockAt = 0;  // millis() at that time

// The press under way. PubSubClient publishes at QoS 0 only, which may lose it. So it is sent again, under the same
// id, until a state shows that the appliance has taken it; the appliance acts on an id only once.
struct {
  bool underWay, sent, again;  // again: one more press came meanwhile
  char id[27];
  uint8_t colour;
  uint64_t seqBefore;
  uint32_t since, lastSend, pause;
} press;

uint32_t chance() {
  return random(32);  // both cores draw from hardware as long as nobody calls randomSeed()
}

// True once per press: a level counts once it has been stable for a while.
bool pressed() {
  static bool down = false, last = false;
  static uint32_t since = 0;
  bool now = digitalRead(PIN) == LOW;
  if (now != last) {
    last = now;
    since = millis();
  }
  if (now == down || millis() - since < DEBOUNCE_MS) return false;
  down = now;
  return down;
}

void begin() {
  static uint8_t next = 0;
  press = {};
  press.underWay = true;
  press.colour = next++ % (sizeof COLOURS / sizeof *COLOURS);
  press.since = millis();
  press.pause = 300;
}

void end(const char *how) {
  Serial.printf("%s %s\n", press.id, how);
  press.underWay = false;
  if (press.again) begin();
}

void carryOn() {
  if (!press.underWay) return;
  if (millis() - press.since >= GIVE_UP_MS) return end("given up");
  if (!known || !mqtt.connected()) return;
  if (!press.sent) {
    press.seqBefore = seq;
    // No clock, no internet: the time is the appliance's in the newest state, plus what has gone by since.
    ulid(press.id, clockMs + (millis() - clockAt), chance);
  } else if (millis() - press.lastSend < press.pause) {
    return;
  } else {
    press.pause *= 2;
  }
  const uint8_t *rgb = COLOURS[press.colour];
  char body[192];
  snprintf(body, sizeof body, "{\"schema\":\"demo.rgb.cmd.v1\",\"cmdId\":\"%s\",\"src\":\"" ID "\",\"r\":%d,\"g\":%d,\"b\":%d}",
           press.id, rgb[0], rgb[1], rgb[2]);
  mqtt.publish(CMD, body);
  press.sent = true;
  press.lastSend = millis();
}

void onMessage(char *, byte *payload, unsigned int length) {
  static char json[1024];
  if (length >= sizeof json) return;
  memcpy(json, payload, length);
  json[length] = 0;  // the payload has no end mark of its own

  // Quotes inside a JSON string are escaped, so these keys are never found inside somebody's name.
  const char *newSeq = strstr(json, "\"seq\":"), *ts = strstr(json, "\"ts\":");
  if (!newSeq || !ts) return;
  seq = strtoull(newSeq + 6, nullptr, 10);
  clockMs = strtoull(ts + 5, nullptr, 10);
  clockAt = millis();
  known = true;
  bool ours = strstr(json, "\"updatedBy\":\"" ID "\"");
  if (press.underWay && press.sent && ours && seq != press.seqBefore) end("done");
}

// Tries at most once per pause, and doubles the pause after every failure, up to half a minute. Its random part keeps
// twenty devices from coming back at the same moment.
void stayConnected() {
  static uint32_t lastTry = 0, pause = 500, wait = 0;
  if (mqtt.connected() || WiFi.status() != WL_CONNECTED || millis() - lastTry < wait) return;

  // PubSubClient uses a socket that is open already. On its own it would wait much longer for a broker that is gone.
#ifdef ESP32
  bool up = net.connect(BROKER, 1883, 1000);
#else
  net.setTimeout(1000);
  bool up = net.connect(BROKER, 1883);
#endif
  known = false;
  up = up && mqtt.connect(ID, USER, PASSWORD, PRESENCE, 1, true, OFFLINE) && mqtt.publish(PRESENCE, ONLINE, true) &&
       mqtt.subscribe(STATE, 1);
  if (up) {
    pause = 500;
  } else {
    net.stop();
    pause = pause < 16000 ? pause * 2 : 16000;
  }
  Serial.println(up ? "connected" : "no connection");
  lastTry = millis();
  wait = random(pause / 2, pause);
}

void setup() {
  Serial.begin(115200);
  pinMode(PIN, INPUT_PULLUP);

  WiFi.persistent(false);  // the name and key are in the sketch: do not write them to flash at each start
  WiFi.mode(WIFI_STA);
  WiFi.begin(WIFI_NAME, WIFI_KEY);  // comes back by itself after the network was away

  mqtt.setServer(BROKER, 1883);
  mqtt.setCallback(onMessage);
  mqtt.setBufferSize(1024);  // larger messages are dropped without a word; 256 is too small for a state with a long name
  mqtt.setSocketTimeout(2);  // seconds that it may wait for an answer to its CONNECT; 15 by default
}

void loop() {
  stayConnected();
  mqtt.loop();
  if (pressed()) {
    if (press.underWay) press.again = true;
    else begin();
  }
  carryOn();
}
