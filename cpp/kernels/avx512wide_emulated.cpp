// The wide kernels on emulated registers, for tests on any machine.
#include "kernels/vec512_emulated.h"
// Must come after the registers that it uses.
#include "kernels/wide_kernels.h"

namespace hetorch::kernels {

const Kernels* avx512wide_emulated() {
  static constexpr Kernels table = wide_kernels("avx512wide_emulated");
  return &table;
}

}  // namespace hetorch::kernels
