// The AVX-512 path for primes that 52-bit multiply-add alone is too narrow for: below 2^60.
#include "kernels/api.h"

#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512VL__) && defined(__AVX512IFMA__)

#include "kernels/vec512.h"
// After the registers that it uses.
#include "kernels/wide_kernels.h"

namespace hetorch::kernels {

const Kernels* avx512wide() {
  static constexpr Kernels table = wide_kernels("avx512wide");
  return avx512ifma() != nullptr ? &table : nullptr;  // the same instructions
}

}  // namespace hetorch::kernels

#else

namespace hetorch::kernels {

const Kernels* avx512wide() { return nullptr; }

}  // namespace hetorch::kernels

#endif
