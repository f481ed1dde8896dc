#include "federated/ring.h"

#include <stdexcept>

#include "ring/buffer.h"

namespace hetorch::federated {

const Ring& selected_ring() {
  static const Ring ring(kernels::select(kPrime));
  return ring;
}

void uniform_block(u64* out, const std::uint8_t* random, const Ring& ring) {
  if (codec::unpack_block(out, random, kDegree, ring.path())) return;
  u64 spares[codec::kGroup];
  codec::unpack_block(spares, random + kBlockBytes, codec::kGroup, ring.path());
  std::size_t next = 0;
  for (std::size_t i = 0; i < kDegree; ++i) {
    while (out[i] >= kPrime) {
      if (next == codec::kGroup) throw std::invalid_argument("these random bytes give no uniform block");
      out[i] = spares[next++];
    }
  }
  ring::wipe(spares, sizeof spares);
}

}  // namespace hetorch::federated
