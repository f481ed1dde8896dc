#include "ring/sample.h"

#include <bit>
#include <iterator>
#include <stdexcept>
#include <string>

#include "ring/modulus.h"

namespace hetorch::ring {
namespace {

// Cumulative table of the discrete Gaussian X with sigma = 3.19: floor(2^63 * P(|X| <= k)) for k = 0, 1, …, where
// P(0) = 1/S, P(|X| = k) = 2 exp(-k^2 / (2 sigma^2)) / S, S the sum over all integers. P(|X| > 29) < 2^-63. A test
// computes the table anew with 60 digits.
constexpr u64 kCumulative[] = {
    0x1001f9a1b2ca9468, 0x2e7cf3ef07836cb5, 0x48ca7e85d834a579, 0x5d5d51778f760880, 0x6bf35598550421b0,
    0x7552dc90807bbed5, 0x7ac8820561a4c974, 0x7daa6596524b7ffd, 0x7f0b8114bba4ecb9, 0x7fa4a9fc5ea574e8,
    0x7fe0e1077aef3919, 0x7ff6563f810f15d0, 0x7ffd4490999bc594, 0x7fff4c0804cd386d, 0x7fffd5e18e7fda18,
    0x7ffff709c679c2ed, 0x7ffffe445c790f6b, 0x7fffffb20f7aa54a, 0x7ffffff3903d235d, 0x7ffffffe32b06d1d,
    0x7fffffffc35125cc, 0x7ffffffff8c11764, 0x7fffffffff36fe33, 0x7fffffffffec3bf7, 0x7ffffffffffe3c8b,
    0x7fffffffffffdb75, 0x7ffffffffffffd51, 0x7fffffffffffffd2, 0x7ffffffffffffffd,
};

u64 load_word(const std::uint8_t* bytes) {
  u64 word = 0;
  for (int i = 0; i < 8; ++i) word |= static_cast<u64>(bytes[i]) << (8 * i);
  return word;
}

// All ones if a = b, else zero; without a branch.
u64 equal_mask(u64 a, u64 b) {
  const u64 difference = a ^ b;
  return ((difference | (0 - difference)) >> 63) - 1;
}

void check_size(Bytes bytes, std::size_t expected) {
  if (bytes.size() != expected) {
    throw std::invalid_argument("sampling takes " + std::to_string(expected) + " random bytes, got " +
                                std::to_string(bytes.size()));
  }
}

// Copy bytes, as little-endian words, to memory that is aligned as the kernels need it.
Buffer load_words(Bytes bytes) {
  Buffer words(bytes.size() / 8);
  if constexpr (std::endian::native == std::endian::little) {
    std::memcpy(words.data(), bytes.data(), 8 * words.size());
  } else {
    for (std::size_t j = 0; j < words.size(); ++j) words.data()[j] = load_word(bytes.data() + 8 * j);
  }
  return words;
}

// The polynomial with these small signed coefficients, made without a branch on their sign. Wipes `values`.
CoefficientPoly small_polynomial(Limbs limbs, const RnsBasis& basis, Buffer& values) {
  CoefficientPoly poly(basis.n(), limbs);
  parallel_for(limbs.count(), [&](std::size_t r) {
    const std::size_t index = basis.index(limbs, r);
    basis.kernels(index).from_signed(poly.row(r), values.data(), basis.n(), basis.modulus(index));
  });
  values.wipe();
  return poly;
}

}  // namespace

NttPoly sample_uniform(Bytes bytes, Limbs limbs, const RnsBasis& basis) {
  check_size(bytes, basis.n() * limbs.count() * kUniformBytes);
  NttPoly poly(basis.n(), limbs);
  parallel_for(limbs.count(), [&](std::size_t r) {
    const kernels::ModulusConstants& m = basis.modulus(basis.index(limbs, r));
    const std::uint8_t* from = bytes.data() + r * basis.n() * kUniformBytes;
    for (std::size_t j = 0; j < basis.n(); ++j, from += kUniformBytes) {
      poly.row(r)[j] = reduce_wide(static_cast<u128>(load_word(from + 8)) << 64 | load_word(from), m);
    }
  });
  return poly;
}

CoefficientPoly sample_ternary(Bytes bytes, Limbs limbs, const RnsBasis& basis) {
  check_size(bytes, basis.n() * kTernaryBytes);
  Buffer values = load_words(bytes);
  u64* words = values.data();
  for (std::size_t j = 0; j < values.size(); ++j)
    words[j] = static_cast<u64>((static_cast<u128>(words[j]) * 3) >> 64) - 1;
  return small_polynomial(limbs, basis, values);
}

CoefficientPoly sample_sparse(Bytes bytes, std::size_t weight, std::size_t spacing, Limbs limbs,
                              const RnsBasis& basis) {
  if (spacing == 0 || basis.n() % spacing != 0 || weight == 0 || weight > basis.n() / spacing) {
    throw std::invalid_argument("a sparse polynomial has 1 to n / spacing nonzero coefficients, got " +
                                std::to_string(weight) + " with spacing " + std::to_string(spacing));
  }
  check_size(bytes, weight * kSparseBytes);
  const std::size_t count = basis.n() / spacing;
  Buffer words = load_words(bytes);
  Buffer places(weight);
  u64* place = places.data();
  // From the last place to the first, each is uniform in [i, count); one that is taken already becomes i, which is not.
  for (std::size_t i = weight; i-- > 0;) {
    const u64* word = words.data() + 3 * i;
    const u64 range = count - i;
    const u64 carry = static_cast<u64>(static_cast<u128>(word[0]) * range >> 64);
    const u64 drawn = i + static_cast<u64>((static_cast<u128>(word[1]) * range + carry) >> 64);
    u64 taken = 0;
    for (std::size_t j = i + 1; j < weight; ++j) taken |= equal_mask(drawn, place[j]);
    place[i] = (drawn & ~taken) | (i & taken);
  }
  Buffer values(basis.n());
  std::memset(values.data(), 0, 8 * values.size());
  for (std::size_t j = 0; j < count; ++j) {
    u64 value = 0;
    for (std::size_t i = 0; i < weight; ++i) {
      const u64 sign = 1 - 2 * (words.data()[3 * i + 2] & 1);  // 1 or -1 in two's complement
      value |= sign & equal_mask(j, place[i]);
    }
    values.data()[j * spacing] = value;
  }
  words.wipe();
  places.wipe();
  return small_polynomial(limbs, basis, values);
}

CoefficientPoly sample_gaussian(Bytes bytes, Limbs limbs, const RnsBasis& basis) {
  check_size(bytes, basis.n() * kGaussianBytes);
  Buffer values = load_words(bytes);
  basis.kernels(0).invert_cumulative(values.data(), values.data(), kCumulative, std::size(kCumulative), basis.n());
  return small_polynomial(limbs, basis, values);
}

}  // namespace hetorch::ring
