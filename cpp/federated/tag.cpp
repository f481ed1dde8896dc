#include <cstring>
#include <stdexcept>

#include "federated/blocks.h"
#include "federated/secret.h"
#include "ring/modulus.h"
#include "ring/parallel.h"

namespace hetorch::federated {
namespace {

// Places that a thread works on at a time.
constexpr std::size_t kSpan = kDegree / 4;
// Blocks that are added at a time, at most as many as the kernel takes.
constexpr std::size_t kRows = 64;

std::size_t row_blocks(std::size_t blocks) { return (blocks + kDegree - 1) / kDegree; }

}  // namespace

std::size_t Tag::random_bytes(std::size_t blocks) { return 2 * (1 + row_blocks(blocks)) * kUniformBytes; }

Tag::Tag(Bytes random, std::size_t blocks, const Ring& ring)
    : blocks_(blocks), places_(2 * kDegree), rows_(2 * row_blocks(blocks) * kDegree), sums_(2 * kDegree) {
  if (random.size() != random_bytes(blocks)) throw std::invalid_argument("wrong number of random bytes for a tag");
  const std::uint8_t* next = random.data();
  for (std::size_t i = 0; i < 2; ++i, next += kUniformBytes) uniform_block(places_.data() + i * kDegree, next, ring);
  for (std::size_t i = 0; i < 2 * row_blocks(blocks); ++i, next += kUniformBytes) {
    uniform_block(rows_.data() + i * kDegree, next, ring);
  }
  std::memset(sums_.data(), 0, 8 * sums_.size());
}

void Tag::check(std::size_t first, std::size_t count) const {
  if (first > blocks_ || count > blocks_ - first) throw std::invalid_argument("a tag has no factors for these blocks");
}

void Tag::add(const u64* residues, std::size_t first, std::size_t count, const Ring& ring) {
  check(first, count);
  ring::parallel_for(kDegree / kSpan, [&](std::size_t span) {
    SecretBuffer part(2 * kSpan);
    u64* const out[2] = {part.data(), part.data() + kSpan};
    const kernels::ModulusConstants* const moduli[2] = {&ring.modulus(), &ring.modulus()};
    for (std::size_t begin = 0; begin < count; begin += kRows) {
      const std::size_t rows = count - begin < kRows ? count - begin : kRows;
      const u64* in[kRows];
      for (std::size_t i = 0; i < rows; ++i) in[i] = residues + (begin + i) * kDegree + span * kSpan;
      const u64* const weights[2] = {rows_.data() + first + begin, rows_.data() + rows_.size() / 2 + first + begin};
      ring.path().weighted_sums(out, in, weights, moduli, 2, rows, kSpan);
      for (std::size_t h = 0; h < 2; ++h) {
        u64* sum = sums_.data() + h * kDegree + span * kSpan;
        ring.path().add(sum, sum, out[h], kSpan, ring.modulus());
      }
    }
  });
}

void Tag::add_packed(Bytes packed, std::size_t first, const Ring& ring) {
  const std::size_t count = packed.size() / kBlockBytes;
  check(first, count);
  ring::Buffer residues(count * kDegree);
  unpack_blocks(residues.data(), packed, ring);
  add(residues.data(), first, count, ring);
}

std::array<u64, 2> Tag::value(const Ring& ring) const {
  std::array<u64, 2> result{};
  SecretBuffer products(kDegree);
  for (std::size_t h = 0; h < 2; ++h) {
    ring.path().multiply(products.data(), sums_.data() + h * kDegree, places_.data() + h * kDegree, kDegree,
                         ring.modulus());
    kernels::u128 sum = 0;
    for (std::size_t j = 0; j < kDegree; ++j) sum += products.data()[j];
    result[h] = ring::reduce_wide(sum, ring.modulus());
  }
  return result;
}

void Tag::wipe() {
  for (SecretBuffer* buffer : {&places_, &rows_, &sums_}) buffer->wipe();
}

}  // namespace hetorch::federated
