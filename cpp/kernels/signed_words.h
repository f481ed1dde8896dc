// Kernels on small signed numbers, on the registers of the vec512 header that was included before; they do not depend
// on the width of the prime.
#pragma once

#include "kernels/api.h"

namespace hetorch::kernels {
namespace {

// The residue is the smaller one of a and a + q modulo 2^64, as unsigned words: a itself if it is not negative.
void from_signed(u64* out, const u64* a, std::size_t n, const ModulusConstants& m) {
  const Vec q = broadcast(m.q);
  for (std::size_t j = 0; j < n; j += kLanes) {
    const Vec x = load(a + j);
    store(out + j, minimum(x, add(x, q)));
  }
}

void invert_cumulative(u64* out, const u64* words, const u64* bounds, std::size_t count, std::size_t n) {
  const Vec mask = broadcast(~u64{0} >> 1);
  for (std::size_t j = 0; j < n; j += kLanes) {
    const Vec word = load(words + j);
    const Vec uniform = bit_and(word, mask);
    Vec magnitude = broadcast(count);  // minus the number of bounds above, whose difference has the sign bit set
    for (std::size_t i = 0; i < count; ++i) {
      magnitude = subtract(magnitude, shift_right<63>(subtract(uniform, broadcast(bounds[i]))));
    }
    const Vec negative = shift_right<63>(word);
    // To negate, twice the magnitude is subtracted under the mask of the sign.
    const Vec sign = subtract(broadcast(0), negative);
    store(out + j, subtract(magnitude, bit_and(add(magnitude, magnitude), sign)));
  }
}

}  // namespace
}  // namespace hetorch::kernels
