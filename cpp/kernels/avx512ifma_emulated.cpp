// The IFMA kernels on emulated registers, for tests on any machine.
#include "kernels/vec512_emulated.h"
// Must come after the registers that it uses.
#include "kernels/ifma_kernels.h"

namespace hetorch::kernels {

const Kernels* avx512ifma_emulated() {
  static constexpr Kernels table = ifma_kernels("avx512ifma_emulated");
  return &table;
}

}  // namespace hetorch::kernels
