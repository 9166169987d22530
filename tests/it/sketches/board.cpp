// The board: pins, clock, radio, and the loop. Ends like a board that is switched off: when stdin does.
#include <arpa/inet.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <map>
#include <string>

#include "PubSubClient.h"

static std::map<int, int> inputs, outputs;
static bool tried;  // to connect, in this turn of the loop

uint32_t millis() {
  using namespace std::chrono;
  static const auto start = steady_clock::now();
  static const uint32_t speed = getenv("SPEED") ? atoi(getenv("SPEED")) : 1;
  auto passed = duration_cast<microseconds>(steady_clock::now() - start).count() * speed / 1000;
  return uint32_t(passed) - 500;  // wraps after half a second
}

long random(long below) {
  uint32_t drawn;
  if (getrandom(&drawn, sizeof drawn, 0) != sizeof drawn) abort();
  return drawn % below;
}
long random(long from, long below) { return from + random(below - from); }

void pinMode(uint8_t pin, int mode) {
  if (mode == INPUT_PULLUP) inputs[pin] = HIGH;
}
int digitalRead(uint8_t pin) { return inputs.at(pin); }

void analogWrite(uint8_t pin, int level) {
  if (outputs.count(pin) && outputs[pin] == level) return;
  outputs[pin] = level;
  printf("pwm %d %d\n", pin, level);
}
#ifdef ESP8266
void analogWriteRange(uint32_t range) { printf("range %u\n", range); }
#endif

int WiFiClient::connect(const char *, uint16_t) {
  if (!tried) fprintf(stderr, "try %u\n", millis());
  tried = true;
  stop();
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(atoi(getenv("BROKER_PORT")));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socket_ = socket(AF_INET, SOCK_STREAM, 0);
  if (::connect(socket_, reinterpret_cast<sockaddr *>(&address), sizeof address) == 0) return 1;
  stop();
  return 0;
}
int WiFiClient::available() {
  int count = 0;
  if (socket_ >= 0) ioctl(socket_, FIONREAD, &count);
  return count;
}
bool WiFiClient::connected() {
  char peeked;
  errno = 0;  // the end of the connection sets none
  return socket_ >= 0 && (recv(socket_, &peeked, 1, MSG_PEEK | MSG_DONTWAIT) == 1 || errno == EAGAIN);
}
int WiFiClient::read() {
  uint8_t value;
  return recv(socket_, &value, 1, MSG_DONTWAIT) == 1 ? value : -1;
}
void WiFiClient::write(const uint8_t *bytes, size_t count) {
  if (send(socket_, bytes, count, MSG_NOSIGNAL) != ssize_t(count)) stop();
}
void WiFiClient::stop() {
  if (socket_ >= 0) close(socket_);
  socket_ = -1;
}

// One line a turn, so that the sketch sees a contact bounce; "-1 MS" lets time go by before the next.
static void input() {
  static std::string lines;
  static uint32_t since, rest = 0;
  pollfd in{0, POLLIN, 0};
  if (poll(&in, 1, 1) > 0) {
    char bytes[256];
    ssize_t count = read(0, bytes, sizeof bytes);
    if (count <= 0) exit(0);
    lines.append(bytes, count);
  }
  size_t end = lines.find('\n');
  if (end == std::string::npos || millis() - since < rest) return;
  int pin, level;
  if (sscanf(lines.c_str(), "%d %d", &pin, &level) != 2) abort();
  lines.erase(0, end + 1);
  since = millis();
  rest = pin < 0 ? level : 0;
  if (pin >= 0) inputs.at(pin) = level;
}

int main() {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  for (setup();; loop()) tried = false, input();
}
