#include <array>
#include <bit>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>

#include "kernels/api.h"

namespace hetorch::kernels {

namespace {

// The paths of one instruction set, the fastest first; a path is nullptr if this machine lacks it.
using Paths = std::array<const Kernels*, 2>;

Paths paths_of(std::string_view isa) {
  if (isa == "portable") return {&portable(), nullptr};
  if (isa == "avx2") return {avx2(), nullptr};
  if (isa == "avx512ifma") return {avx512ifma(), avx512wide()};
  throw std::runtime_error("HETORCH_ISA=" + std::string(isa) + " is unknown: use portable, avx2 or avx512ifma");
}

// Return the first path that takes primes below `modulus_bound`, or nullptr.
const Kernels* first_fitting(const Paths& paths, u64 modulus_bound) {
  for (const Kernels* path : paths) {
    if (path != nullptr && modulus_bound <= (u64{1} << path->modulus_bits)) return path;
  }
  return nullptr;
}

}  // namespace

const Kernels& select(u64 modulus_bound) {
  if (modulus_bound > (u64{1} << portable().modulus_bits)) {
    throw std::runtime_error("no kernels for primes of " + std::to_string(std::bit_width(modulus_bound - 1)) +
                             " bits: use primes below 2^60");
  }
  // If the named instruction set has no path for these primes, the portable path computes the same bits.
  if (const char* name = std::getenv("HETORCH_ISA"); name != nullptr && *name != '\0') {
    const Paths paths = paths_of(name);
    if (paths[0] == nullptr) {
      throw std::runtime_error("HETORCH_ISA=" + std::string(name) +
                               " is not available on this machine or in this build");
    }
    const Kernels* path = first_fitting(paths, modulus_bound);
    return path != nullptr ? *path : portable();
  }
  for (const char* name : {"avx512ifma", "avx2"}) {
    if (const Kernels* path = first_fitting(paths_of(name), modulus_bound)) return *path;
  }
  return portable();
}

}  // namespace hetorch::kernels
