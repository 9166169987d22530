// A ULID, the id that every command carries: 10 characters of time (Unix ms) and 16 of chance, in Crockford's base 32.
#pragma once
#include <stdint.h>

// Writes 26 characters and an end mark. `chance` must come from hardware: two devices must never draw the same 80 bits.
// A wrong time does no harm: it only sorts the ids.
inline void ulid(char id[27], uint64_t ms, uint32_t (*chance)()) {
  const char *digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  ms &= (1ULL << 48) - 1;  // so that the first character is 0..7
  for (int i = 9; i >= 0; i--, ms >>= 5) id[i] = digits[ms & 31];
  for (int i = 10; i < 26; i++) id[i] = digits[chance() & 31];
  id[26] = 0;
}
