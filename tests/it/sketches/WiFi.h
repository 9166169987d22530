// Wi-Fi that is always there, and its TCP socket, which leads to the broker at BROKER_PORT here, whatever host is asked for.
#pragma once
#include "Arduino.h"

enum { WL_CONNECTED, WIFI_STA, WIFI_NONE_SLEEP };

struct Network {
  void persistent(bool) {}
  void mode(int) {}
#ifdef ESP32
  void setSleep(bool) {}
#else
  void setSleepMode(int) {}
#endif
  void begin(const char *, const char *) {}
  int status() { return WL_CONNECTED; }
};
inline Network WiFi;

class WiFiClient {
 public:
  int connect(const char *host, uint16_t port);
#ifdef ESP32
  int connect(const char *host, uint16_t port, int32_t) { return connect(host, port); }
#else
  void setTimeout(unsigned long) {}
#endif
  bool connected();
  int available();
  int read();
  void write(const uint8_t *bytes, size_t count);
  void stop();

 private:
  int socket_ = -1;
};
