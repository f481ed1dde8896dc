#include <bit>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>

#include "kernels/api.h"

namespace hetorch::kernels {

namespace {

bool fits(const Kernels& path, u64 modulus_bound) { return modulus_bound <= (u64{1} << path.modulus_bits); }

const Kernels* named_path(std::string_view name) {
  if (name == "portable") return &portable();
  if (name == "avx2") return avx2();
  if (name == "avx512ifma") return avx512ifma();
  throw std::runtime_error("HETORCH_ISA=" + std::string(name) + " is unknown: use portable, avx2 or avx512ifma");
}

}  // namespace

const Kernels& select(u64 modulus_bound) {
  if (!fits(portable(), modulus_bound)) {
    throw std::runtime_error("no kernels for primes of " + std::to_string(std::bit_width(modulus_bound - 1)) +
                             " bits: use primes below 2^60");
  }
  // A named path too narrow for these primes gives way to the portable one, which computes the same bits.
  if (const char* name = std::getenv("HETORCH_ISA"); name != nullptr && *name != '\0') {
    const Kernels* path = named_path(name);
    if (path == nullptr) {
      throw std::runtime_error("HETORCH_ISA=" + std::string(name) +
                               " is not available on this machine or in this build");
    }
    return fits(*path, modulus_bound) ? *path : portable();
  }
  for (const Kernels* path : {avx512ifma(), avx2()}) {
    if (path != nullptr && fits(*path, modulus_bound)) return *path;
  }
  return portable();
}

}  // namespace hetorch::kernels
