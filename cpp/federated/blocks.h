// Sums of packed blocks, for who knows no secret.
#pragma once

#include "federated/ring.h"

namespace hetorch::federated {

// Unpack whole blocks to their residues. Throws codec::FormatError unless `packed` is whole blocks of residues below q.
void unpack_blocks(u64* out, Bytes packed, const Ring& ring);

// total += packed, residue by residue and without a reduction: `total` has room for 2^15 sums, room for more than the
// parties of a round. Throws codec::FormatError, and leaves `total` as it was, unless `packed` is as many blocks of
// residues below q.
void add_blocks(std::span<u64> total, Bytes packed, const Ring& ring);

// Pack the residues modulo q of such sums.
void pack_sums(std::span<std::uint8_t> out, std::span<const u64> total, const Ring& ring);

}  // namespace hetorch::federated
