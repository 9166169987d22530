// RGB lamp: three PWM channels show the light of the appliance. ESP8266 or ESP32, PubSubClient 2.8.
// Parts, wiring and how to load it: ../README.md
#ifdef ESP32
#include <WiFi.h>
const uint8_t PINS[] = {25, 26, 27};  // red, green, blue
#else
#include <ESP8266WiFi.h>
const uint8_t PINS[] = {14, 12, 13};  // red, green, blue: D5, D6, D7
#endif
#include <PubSubClient.h>

// Edit these.
const char WIFI_NAME[] = "stage";
const char WIFI_KEY[] = "change me";
const char BROKER[] = "192.168.1.50";  // the appliance's address; why not dmx.local: README
const char *USER = nullptr;            // only if the appliance requires a login (mqtt.username)
const char *PASSWORD = nullptr;
#define ID "lamp-1"  // a different one for every device: two with the same name disconnect each other

// #define OWN_COLOUR  // once it is patched in the app as "RGB lamp on MQTT" with this ID as its topic
#ifdef OWN_COLOUR
const char STATE[] = "v1/demo/lamps/" ID "/state";
#else
const char STATE[] = "v1/demo/rgb/state";  // the light of all lamps that have none of their own
#endif
const char PRESENCE[] = "v1/devices/" ID "/state";
const char ONLINE[] = "{\"online\":true}", OFFLINE[] = "{\"online\":false}";

WiFiClient net;
PubSubClient mqtt(net);

void onMessage(char *, byte *payload, unsigned int length) {
  static char json[1024];
  if (length >= sizeof json) return;
  memcpy(json, payload, length);
  json[length] = 0;  // the payload has no end mark of its own

  // Quotes inside a JSON string are escaped, so these keys are never found inside somebody's name.
  const char *r = strstr(json, "\"r\":"), *g = strstr(json, "\"g\":"), *b = strstr(json, "\"b\":");
  if (!r || !g || !b) return;
  const int levels[] = {atoi(r + 4), atoi(g + 4), atoi(b + 4)};
  for (int i = 0; i < 3; i++) analogWrite(PINS[i], constrain(levels[i], 0, 255));
}

// Tries at most once per pause, and doubles the pause after every failure, up to half a minute. Its random part keeps
// twenty lamps from coming back at the same moment. PWM goes on by itself meanwhile: the lamp keeps its light.
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
#ifdef ESP8266
  analogWriteRange(255);  // some versions of the core count to 1023
#endif
  for (uint8_t pin : PINS) {
    pinMode(pin, OUTPUT);
    analogWrite(pin, 0);
  }

  WiFi.persistent(false);  // the name and key are in the sketch: do not write them to flash at each start
  WiFi.mode(WIFI_STA);
#ifdef ESP32
  WiFi.setSleep(false);  // a sleeping radio shows a colour up to 0.3 s late
#else
  WiFi.setSleepMode(WIFI_NONE_SLEEP);
#endif
  WiFi.begin(WIFI_NAME, WIFI_KEY);  // comes back by itself after the network was away

  mqtt.setServer(BROKER, 1883);
  mqtt.setCallback(onMessage);
  mqtt.setBufferSize(1024);  // larger messages are dropped without a word; 256 is too small for a state with a long name
  mqtt.setSocketTimeout(2);  // seconds that it may wait for an answer to its CONNECT; 15 by default
}

void loop() {
  stayConnected();
  mqtt.loop();
}
