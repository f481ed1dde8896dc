// The AVX-512 path for primes below 2^60, which 52-bit multiply-add alone is too narrow for.
#include "kernels/api.h"

#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512VL__) && defined(__AVX512IFMA__)

#include "kernels/vec512.h"
// Must come after the registers that it uses.
#include "kernels/wide_kernels.h"

namespace hetorch::kernels {

const Kernels* avx512wide() {
  static constexpr Kernels table = wide_kernels("avx512wide");
  return avx512ifma() != nullptr ? &table : nullptr;  // needs the same instructions
}

}  // namespace hetorch::kernels

#else

namespace hetorch::kernels {

const Kernels* avx512wide() { return nullptr; }

}  // namespace hetorch::kernels

#endif
