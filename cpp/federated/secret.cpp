#include "federated/secret.h"

#include <atomic>
#include <bit>
#include <cstring>
#include <iterator>
#include <stdexcept>

#include "codec/bits.h"
#include "ring/parallel.h"

namespace hetorch::federated {
namespace {

// Cumulative table of the discrete Gaussian X with sigma = 4.53: floor(2^63 * P(|X| <= k)) for k = 0, 1, …, where P(0)
// = 1/S, P(|X| = k) = 2 exp(-k^2 / (2 sigma^2)) / S, S the sum over all integers. P(|X| > 42) < 2^-63. A test computes
// the table anew with 60 digits.
constexpr u64 kCumulative[] = {
    0x0b45c54386f21de9, 0x214662980fe36ba5, 0x35b9f6ee9618ed5f, 0x47d507e99619f80a, 0x57194ae6077796d8,
    0x635bfa5e9142341f, 0x6cbcbc7b7be37220, 0x7391b81718f4b4ca, 0x784f45f1a8bdd427, 0x7b7143834f67370b,
    0x7d6a0f40bf136a90, 0x7e98ae2f9fd9378a, 0x7f45786624da0d7a, 0x7fa36fe4eb562621, 0x7fd41b9231eaebdc,
    0x7fec1e2ea3098078, 0x7ff766356b35a1cc, 0x7ffc72a07f0d764a, 0x7ffe997cbc9b47b7, 0x7fff791c35e57533,
    0x7fffcf929b5e0e8b, 0x7fffef69b1974480, 0x7ffffa949974af1e, 0x7ffffe4fa32bc0ce, 0x7fffff7f801d1ffc,
    0x7fffffdb94f037a0, 0x7ffffff628963211, 0x7ffffffd76e004b3, 0x7fffffff608decec, 0x7fffffffdaaa19c2,
    0x7ffffffff7aa9b49, 0x7ffffffffe3a1b78, 0x7fffffffffa3f53a, 0x7fffffffffee3608, 0x7ffffffffffcb930,
    0x7fffffffffff6cc2, 0x7fffffffffffe75e, 0x7ffffffffffffc12, 0x7fffffffffffff67, 0x7fffffffffffffe9,
    0x7ffffffffffffffc, 0x7fffffffffffffff,
};

// Rows that the kernel takes at a time.
constexpr std::size_t kRows = 64;

void gaussian_block(u64* out, const std::uint8_t* random, const Ring& ring) {
  std::memcpy(out, random, kGaussianBytes);
  if constexpr (std::endian::native == std::endian::big) {
    for (std::size_t j = 0; j < kDegree; ++j) out[j] = __builtin_bswap64(out[j]);
  }
  ring.path().invert_cumulative(out, out, kCumulative, std::size(kCumulative), kDegree);
}

// out = a s, the mask of block `block` of a run.
void mask_block(u64* out, const Run& run, std::size_t block, const Secret& secret, const Ring& ring) {
  uniform_block(out, run.uniform.data() + block * kUniformBytes, ring);
  ring.path().multiply(out, out, secret.transform(), kDegree, ring.modulus());
  ring.path().ntt_inverse(out, ring.table());
}

// Round the centred representatives of residues to the nearest multiples of 2^shift, and divide by it. Returns a word
// with the highest bit set if a remainder is above the bound in size. The sums are made positive by a multiple of
// 2^shift, because SSE2 has no signed shift of 64-bit words.
u64 round_block(std::int64_t* out, const u64* residues, int shift, u64 bound) {
  constexpr u64 raise = u64{1} << (kPrimeBits + 1);
  const u64 half = u64{1} << (shift - 1);
  u64 outside = 0;
  for (std::size_t j = 0; j < kDegree; ++j) {
    const u64 upper = 0 - (((kPrime - 1) / 2 - residues[j]) >> 63);  // all ones for a negative representative
    const u64 raised = residues[j] - (kPrime & upper) + raise;
    const u64 rounded = (raised + half) >> shift;
    const u64 error = raised - (rounded << shift);
    outside |= (bound - error) | (bound + error);
    out[j] = static_cast<std::int64_t>(rounded - (raise >> shift));
  }
  return outside;
}

void check_run(const Run& run, std::size_t integers, std::size_t packed_bytes) {
  if (integers != run.count * kDegree || packed_bytes != run.count * kBlockBytes ||
      run.uniform.size() != run.count * kUniformBytes || run.shift < 1 || run.shift >= kPrimeBits) {
    throw std::invalid_argument("the lengths of a run of blocks do not belong together");
  }
}

}  // namespace

void gaussian_blocks(u64* out, Bytes random, const Ring& ring) {
  if (random.size() % kGaussianBytes != 0) throw std::invalid_argument("a block takes 8 random bytes for each number");
  SecretBuffer values(kDegree);
  for (std::size_t block = 0; block < random.size() / kGaussianBytes; ++block) {
    gaussian_block(values.data(), random.data() + block * kGaussianBytes, ring);
    std::memcpy(out + block * kDegree, values.data(), 8 * kDegree);
  }
}

void weighted_sum(u64* out, const u64* const* rows, std::span<const u64> weights, const Ring& ring) {
  SecretBuffer sum(2 * kDegree);
  u64* const part = sum.data() + kDegree;
  std::memset(sum.data(), 0, 8 * kDegree);
  for (std::size_t begin = 0; begin < weights.size(); begin += kRows) {
    const std::size_t count = weights.size() - begin < kRows ? weights.size() - begin : kRows;
    SecretBuffer residues(count * kDegree);
    const u64* in[kRows];
    for (std::size_t i = 0; i < count; ++i) {
      u64* row = residues.data() + i * kDegree;
      std::memcpy(row, rows[begin + i], 8 * kDegree);
      ring.path().from_signed(row, row, kDegree, ring.modulus());
      in[i] = row;
    }
    ring.path().weighted_sum(part, in, weights.data() + begin, count, kDegree, ring.modulus());
    ring.path().add(sum.data(), sum.data(), part, kDegree, ring.modulus());
  }
  std::memcpy(out, sum.data(), 8 * kDegree);
}

Secret::Secret(const u64* coefficients, const Ring& ring) : transform_(kDegree) {
  std::memcpy(transform_.data(), coefficients, 8 * kDegree);
  ring.path().from_signed(transform_.data(), transform_.data(), kDegree, ring.modulus());
  ring.path().ntt_forward(transform_.data(), ring.table());
}

void encrypt_blocks(std::span<std::uint8_t> out, std::span<const std::int64_t> integers, const Run& run,
                    const Secret& secret, Bytes random, Tag& tag, const Ring& ring) {
  check_run(run, integers.size(), out.size());
  if (random.size() != run.count * kGaussianBytes) throw std::invalid_argument("wrong number of random bytes");
  ring::Buffer blocks(run.count * kDegree);
  ring::parallel_for(run.count, [&](std::size_t block) {
    SecretBuffer scratch(2 * kDegree);
    u64* const mask = scratch.data();
    u64* const message = scratch.data() + kDegree;
    mask_block(mask, run, block, secret, ring);
    gaussian_block(message, random.data() + block * kGaussianBytes, ring);
    const std::int64_t* from = integers.data() + block * kDegree;
    for (std::size_t j = 0; j < kDegree; ++j) message[j] += static_cast<u64>(from[j]) << run.shift;
    ring.path().from_signed(message, message, kDegree, ring.modulus());
    u64* const sum = blocks.data() + block * kDegree;
    ring.path().add(sum, mask, message, kDegree, ring.modulus());
    codec::pack_block(out.data() + block * kBlockBytes, sum, kDegree);
  });
  tag.add(blocks.data(), run.first, run.count, ring);
}

bool decrypt_blocks(std::span<std::int64_t> out, Bytes packed, const Run& run, const Secret& secret, u64 error_bound,
                    const Ring& ring) {
  check_run(run, out.size(), packed.size());
  std::atomic<bool> inside = true;
  std::atomic<u64> outside = 0;
  ring::parallel_for(run.count, [&](std::size_t block) {
    SecretBuffer scratch(2 * kDegree);
    u64* const mask = scratch.data();
    u64* const sum = scratch.data() + kDegree;
    mask_block(mask, run, block, secret, ring);
    if (!codec::unpack_block(sum, packed.data() + block * kBlockBytes, kDegree, ring.path())) inside = false;
    ring.path().subtract(sum, sum, mask, kDegree, ring.modulus());
    outside |= round_block(out.data() + block * kDegree, sum, run.shift, error_bound);
  });
  if (!inside) throw codec::FormatError("a residue is not below the prime of the round");
  return outside >> 63 == 0;
}

}  // namespace hetorch::federated
