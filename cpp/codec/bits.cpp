#include "codec/bits.h"

#include <bit>
#include <string>

namespace hetorch::codec {

using u128 = unsigned __int128;

int bit_width(std::uint64_t q) { return std::bit_width(q); }

std::size_t packed_bytes(std::size_t n, std::uint64_t q) {
  return (n * static_cast<std::size_t>(bit_width(q)) + 7) / 8;
}

void pack(std::vector<std::uint8_t>& out, const std::uint64_t* residues, std::size_t n, std::uint64_t q) {
  const int width = bit_width(q);
  u128 window = 0;
  int held = 0;  // number of bits in the window
  for (std::size_t i = 0; i < n; ++i) {
    window |= static_cast<u128>(residues[i]) << held;
    for (held += width; held >= 8; held -= 8) {
      out.push_back(static_cast<std::uint8_t>(window));
      window >>= 8;
    }
  }
  if (held > 0) out.push_back(static_cast<std::uint8_t>(window));
}

void unpack(std::uint64_t* residues, std::span<const std::uint8_t> bytes, std::size_t n, std::uint64_t q) {
  if (bytes.size() != packed_bytes(n, q)) throw FormatError("packed residues have the wrong length");
  const int width = bit_width(q);
  const std::uint64_t mask = (std::uint64_t{1} << width) - 1;
  u128 window = 0;
  int held = 0;
  std::size_t next = 0;
  bool in_range = true;
  for (std::size_t i = 0; i < n; ++i) {
    for (; held < width; held += 8) window |= static_cast<u128>(bytes[next++]) << held;
    residues[i] = static_cast<std::uint64_t>(window) & mask;
    in_range = in_range && residues[i] < q;
    window >>= width;
    held -= width;
  }
  if (!in_range) throw FormatError("a residue is not below its prime " + std::to_string(q));
  if (window != 0) throw FormatError("padding bits are not zero");
}

}  // namespace hetorch::codec
