#include "federated/blocks.h"

#include <atomic>
#include <cstring>
#include <stdexcept>
#include <string>

#include "codec/bits.h"
#include "ring/buffer.h"
#include "ring/parallel.h"

namespace hetorch::federated {
namespace {

// Blocks that a thread works on at a time, some 50 microseconds: the hand-over to another thread costs as much as a few
// blocks.
constexpr std::size_t kSpan = 16;

template <class Body>
void for_spans(std::size_t blocks, const Body& body) {
  ring::parallel_for((blocks + kSpan - 1) / kSpan, [&](std::size_t span) {
    const std::size_t end = (span + 1) * kSpan < blocks ? (span + 1) * kSpan : blocks;
    ring::Buffer residues(kDegree);
    for (std::size_t block = span * kSpan; block < end; ++block) body(block, residues.data());
  });
}

constexpr const char* kOutside = "a residue is not below the prime of the round";

}  // namespace

void unpack_blocks(u64* out, Bytes packed, const Ring& ring) {
  if (packed.size() % kBlockBytes != 0) {
    throw codec::FormatError("a polynomial has " + std::to_string(kBlockBytes) + " bytes, " +
                             std::to_string(packed.size()) + " are no multiple of that");
  }
  std::atomic<bool> inside = true;
  for_spans(packed.size() / kBlockBytes, [&](std::size_t block, u64*) {
    if (!codec::unpack_block(out + block * kDegree, packed.data() + block * kBlockBytes, kDegree, ring.path()))
      inside = false;
  });
  if (!inside) throw codec::FormatError(kOutside);
}

void add_blocks(std::span<u64> total, Bytes packed, const Ring& ring) {
  if (total.size() / kDegree * kBlockBytes != packed.size()) {
    throw codec::FormatError("only as many blocks can be added");
  }
  const auto add = [&](std::size_t block, u64* residues, u64 sign) {
    const bool inside = codec::unpack_block(residues, packed.data() + block * kBlockBytes, kDegree, ring.path());
    u64* const sum = total.data() + block * kDegree;
    for (std::size_t j = 0; j < kDegree; ++j) sum[j] += sign * residues[j];
    return inside;
  };
  std::atomic<bool> inside = true;
  for_spans(packed.size() / kBlockBytes, [&](std::size_t block, u64* residues) {
    if (!add(block, residues, 1)) inside = false;
  });
  if (inside) return;
  for_spans(packed.size() / kBlockBytes, [&](std::size_t block, u64* residues) { add(block, residues, ~u64{0}); });
  throw codec::FormatError(kOutside);
}

void pack_sums(std::span<std::uint8_t> out, std::span<const u64> total, const Ring& ring) {
  if (total.size() / kDegree * kBlockBytes != out.size()) throw std::invalid_argument("wrong number of packed bytes");
  for_spans(total.size() / kDegree, [&](std::size_t block, u64* residues) {
    std::memcpy(residues, total.data() + block * kDegree, 8 * kDegree);
    ring.path().reduce_wide(residues, residues, kDegree, ring.modulus());
    codec::pack_block(out.data() + block * kBlockBytes, residues, kDegree);
  });
}

}  // namespace hetorch::federated
