// The AVX-512 path: 52-bit multiply-add, for primes below 2^50.
#include "kernels/api.h"

#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512VL__) && defined(__AVX512IFMA__) && \
    defined(__AVX512VBMI__)

#include "kernels/vec512.h"
// Must come after the registers that it uses.
#include "kernels/ifma_kernels.h"

namespace hetorch::kernels {

const Kernels* avx512ifma() {
  static constexpr Kernels table = ifma_kernels("avx512ifma");
  __builtin_cpu_init();  // reads cpuid, and xgetbv: the operating system must save the registers
  const bool usable = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512ifma") &&
                      __builtin_cpu_supports("avx512vbmi");
  return usable ? &table : nullptr;
}

}  // namespace hetorch::kernels

#else

namespace hetorch::kernels {

const Kernels* avx512ifma() { return nullptr; }

}  // namespace hetorch::kernels

#endif
