// Residues as packed bits on the wire and on disk: each takes as many bits as its prime, without gaps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <vector>

namespace hetorch::codec {

// Bytes from outside that do not have the required format.
struct FormatError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Number of bits of q, the width of a packed residue.
int bit_width(std::uint64_t q);

// Size of n packed residues modulo q in bytes: ceil(n * bit_width(q) / 8).
std::size_t packed_bytes(std::size_t n, std::uint64_t q);

// Append n packed residues to `out`, low bits first; the unused bits of the last byte are zero.
void pack(std::vector<std::uint8_t>& out, const std::uint64_t* residues, std::size_t n, std::uint64_t q);

// Read n packed residues. Throws FormatError unless there are packed_bytes(n, q) bytes, all residues are below q, and
// all unused bits are zero.
void unpack(std::uint64_t* residues, std::span<const std::uint8_t> bytes, std::size_t n, std::uint64_t q);

}  // namespace hetorch::codec
