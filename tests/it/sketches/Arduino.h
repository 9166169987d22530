// Just enough of Arduino to run the sketches of image/examples on this machine. Pins are lines of text: "PIN LEVEL" on stdin
// sets an input, "pwm PIN LEVEL" on stdout tells of an output. Time may run faster (SPEED) and wraps soon after the start.
#pragma once
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

typedef uint8_t byte;
enum { LOW, HIGH, INPUT, OUTPUT, INPUT_PULLUP };

template <class T> T constrain(T value, T low, T high) { return value < low ? low : value > high ? high : value; }

uint32_t millis();
long random(long below);
long random(long from, long below);
void pinMode(uint8_t pin, int mode);
int digitalRead(uint8_t pin);
void analogWrite(uint8_t pin, int level);
#ifdef ESP8266
void analogWriteRange(uint32_t range);
#endif

struct Console {
  void begin(long) {}
  void println(const char *text) { puts(text); }
  __attribute__((format(printf, 2, 3))) void printf(const char *format, ...) {
    va_list words;
    va_start(words, format);
    vprintf(format, words);
    va_end(words);
  }
};
inline Console Serial;

void setup();
void loop();
