// The choice of a kernel path, and the constants of a prime.
#include <stdlib.h>

#include <stdexcept>
#include <string_view>

#include "check.h"
#include "residues.h"

namespace {

using namespace residues;
using hetorch::kernels::select;

constexpr u64 kNarrow = u64{1} << 50;
constexpr u64 kWide = u64{1} << 60;

bool refuses(u64 bound) {
  try {
    select(bound);
  } catch (const std::runtime_error&) {
    return true;
  }
  return false;
}

void selection() {
  unsetenv("HETORCH_ISA");
  const Kernels* fastest = hetorch::kernels::avx512ifma();
  if (fastest == nullptr) fastest = hetorch::kernels::avx2();
  if (fastest == nullptr) fastest = &hetorch::kernels::portable();
  CHECK(&select(kNarrow) == fastest, "the fastest path for narrow primes");
  const Kernels* wide = hetorch::kernels::avx512wide();
  if (wide == nullptr) wide = &hetorch::kernels::portable();
  CHECK(&select(kNarrow + 1) == wide, "the fastest path for wide primes");
  CHECK(&select(kWide) == wide, "the widest primes");
  CHECK((hetorch::kernels::avx512wide() == nullptr) == (hetorch::kernels::avx512ifma() == nullptr),
        "one instruction set");
  CHECK(refuses(kWide + 1), "too wide");

  setenv("HETORCH_ISA", "portable", 1);
  CHECK(&select(kNarrow) == &hetorch::kernels::portable(), "restricted to portable");
  CHECK(&select(kWide) == &hetorch::kernels::portable(), "wide primes restricted to portable");
  setenv("HETORCH_ISA", "avx2", 1);
  if (hetorch::kernels::avx2() == nullptr) {
    CHECK(refuses(kNarrow), "avx2 is not here");
  } else {
    CHECK(&select(kNarrow) == hetorch::kernels::avx2(), "restricted to avx2");
    CHECK(&select(kWide) == &hetorch::kernels::portable(), "avx2 gives way for wide primes");
  }
  setenv("HETORCH_ISA", "avx512ifma", 1);
  if (hetorch::kernels::avx512ifma() == nullptr) {
    CHECK(refuses(kNarrow), "avx512ifma is not here");
  } else {
    CHECK(&select(kNarrow) == hetorch::kernels::avx512ifma(), "restricted to avx512ifma");
    CHECK(&select(kWide) == hetorch::kernels::avx512wide(), "avx512ifma has a path for wide primes");
  }
  setenv("HETORCH_ISA", "emulated", 1);
  CHECK(refuses(kNarrow), "an unknown name");
  unsetenv("HETORCH_ISA");
}

void constants() {
  const u64 mask52 = (u64{1} << 52) - 1;
  for (int bits = 3; bits <= 60; ++bits) {
    const u64 q = (u64{1} << bits) - 1;  // the constants need an odd number, not a prime
    const ModulusConstants m = hetorch::kernels::make_modulus_constants(q);
    CHECK(((m.montgomery52 * q) & mask52) == mask52 && m.montgomery52 <= mask52, "montgomery52 q = -1 mod 2^52");
    CHECK(m.radix52 == (u64{1} << 52) % q && m.radix104 == multiply(m.radix52, m.radix52, q), "radix52, radix104");
    // 2^128 - q < ratio q <= 2^128 - 1: in 128 bits, -(ratio q) is below q and not zero.
    const u128 rest = u128{0} - ((u128{m.barrett_high} << 64) + m.barrett_low) * q;
    CHECK(rest > 0 && rest < q, "floor(2^128 / q)");
    CHECK(m.q_double == static_cast<double>(q) && m.q_inverse == 1.0 / m.q_double, "doubles");
  }
  for (u64 q : {u64{0}, u64{1}, u64{2}, u64{4096}, kWide, kWide + 1, ~u64{0}}) {
    bool refused = false;
    try {
      hetorch::kernels::make_modulus_constants(q);
    } catch (const std::invalid_argument&) {
      refused = true;
    }
    CHECK(refused, "an unusable modulus");
  }
}

}  // namespace

int main() {
  selection();
  constants();
  return check::status();
}
