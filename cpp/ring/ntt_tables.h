// The tables of the negacyclic transform modulo one prime, prepared for one kernel path.
#pragma once

#include "kernels/api.h"
#include "ring/buffer.h"

namespace hetorch::ring {

class NttTables {
 public:
  // n: a power of two, at least 16. q: a prime, 1 modulo 2n. The tables can be used with `kernels` alone.
  NttTables(std::size_t n, std::uint64_t q, const kernels::Kernels& kernels);

  const kernels::NttView& view() const { return view_; }
  const kernels::ModulusConstants& modulus() const { return view_.modulus; }

 private:
  Buffer storage_;
  kernels::NttView view_;
};

// The lowest `bits` bits of `value` in reverse order.
std::uint32_t reverse_bits(std::uint32_t value, int bits);

}  // namespace hetorch::ring
