// Residues packed without gaps: each takes as many bits as its prime.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <vector>

namespace hetorch::codec {

// What is wrong with bytes from outside.
struct FormatError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Bits in q, the largest residue's width.
int bit_width(std::uint64_t q);

// Bytes that n residues modulo q take: ceil(n * bit_width(q) / 8).
std::size_t packed_bytes(std::size_t n, std::uint64_t q);

// Little-endian bit order; appended to out; the unused bits of the last byte are zero.
void pack(std::vector<std::uint8_t>& out, const std::uint64_t* residues, std::size_t n, std::uint64_t q);

// bytes.size() == packed_bytes(n, q). FormatError for a residue >= q or a padding bit that is not zero.
void unpack(std::uint64_t* residues, std::span<const std::uint8_t> bytes, std::size_t n, std::uint64_t q);

}  // namespace hetorch::codec
