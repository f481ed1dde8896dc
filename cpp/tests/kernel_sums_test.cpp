// Sums of 1 to 64 products: all paths are compared with u128 and %.
#include <algorithm>
#include <cmath>

#include "check.h"
#include "kernels/packed.h"
#include "residues.h"

namespace {

using namespace residues;

constexpr std::size_t kLength = 72;

std::vector<Array> rows(std::size_t count, u64 bound, Fill fill, Stream& stream) {
  std::vector<Array> result;
  for (std::size_t i = 0; i < count; ++i) result.push_back(filled(kLength, bound, fill, stream));
  return result;
}

std::vector<const u64*> pointers(const std::vector<Array>& arrays) {
  std::vector<const u64*> result;
  for (const Array& a : arrays) result.push_back(a.data());
  return result;
}

// Return sum_i a[i][j] b[i][j] mod q for each j.
Array expected_inner(const std::vector<Array>& a, const std::vector<Array>& b, u64 q) {
  Array out(kLength);
  for (std::size_t j = 0; j < kLength; ++j) {
    for (std::size_t i = 0; i < a.size(); ++i) out[j] = (out[j] + multiply(a[i][j], b[i][j], q)) % q;
  }
  return out;
}

// diagonal_sums of `count` terms in groups of different sizes, over a span of four blocks, with runs of 2^shift words
// up to twice the span.
void check_diagonals(const Kernels& path, std::size_t count, int shift, Fill fill, Stream& stream,
                     const ModulusConstants& m) {
  constexpr std::size_t kBlock = hetorch::kernels::kDiagonalBlock;
  const std::size_t n = 64;
  const std::size_t half = n + 16;  // the two halves of an input have a gap between them
  const std::string context = describe("diagonal_sums", path.name, m.q, count) + " shift " + std::to_string(shift);
  std::vector<std::size_t> counts;
  for (std::size_t left = count; left != 0; left -= counts.back()) {
    counts.push_back(std::min(left, 1 + 9 * counts.size()));
  }
  const std::size_t kept = std::max<std::size_t>(1, n >> shift);  // kept words of a diagonal
  const std::size_t words = std::max<std::size_t>(1, kBlock >> shift);
  Array values(count * kept);
  std::vector<Array> diagonals;
  std::vector<Array> inputs;
  for (std::size_t i = 0; i < count; ++i) {
    diagonals.push_back(filled(kept, m.q, fill, stream));
    inputs.push_back(filled(half + n, m.q, i % 2 == 0 ? fill : Fill::kRandom, stream));
    for (std::size_t k = 0; k < kept; ++k) values[(k / words * count + i) * words + k % words] = diagonals[i][k];
  }
  std::vector<Array> out(2 * counts.size(), Array(n));
  std::vector<u64*> outs;
  for (Array& a : out) outs.push_back(a.data());
  const std::vector<const u64*> listed = pointers(inputs);
  path.diagonal_sums({.values = values.data(),
                      .shift = shift,
                      .terms = count,
                      .inputs = listed.data(),
                      .half = half,
                      .counts = counts.data(),
                      .groups = counts.size(),
                      .out0 = outs.data(),
                      .out1 = outs.data() + counts.size()},
                     n, m);
  std::size_t first = 0;
  for (std::size_t g = 0; g < counts.size(); first += counts[g++]) {
    for (std::size_t h = 0; h < 2; ++h) {
      Array expected(n);
      for (std::size_t j = 0; j < n; ++j) {
        for (std::size_t i = first; i < first + counts[g]; ++i) {
          const u64 product = multiply(diagonals[i][j >> shift], inputs[i][h * half + j], m.q);
          expected[j] = (expected[j] + product) % m.q;
        }
      }
      CHECK(out[h * counts.size() + g] == expected, context.c_str());
    }
  }
}

// key_product with keys of as many or more digits than are summed; with and without an addend; with and without a
// permutation, which takes aligned blocks of 8 to such blocks, each with an order of its own.
void check_key_product(const Kernels& path, std::size_t count, Fill fill, Stream& stream, const ModulusConstants& m) {
  const std::string context = describe("key_product", path.name, m.q, count);
  const std::size_t key_digits = std::min<std::size_t>(64, count + count % 3);
  const std::vector<Array> digits = rows(count, m.q, fill, stream);
  const std::vector<Array> b = rows(key_digits, m.q, fill, stream);
  const std::vector<Array> a = rows(key_digits, m.q, Fill::kRandom, stream);
  const Array addend = filled(kLength, m.q, fill, stream);
  const int bits = hetorch::kernels::packed_bits(m.q);
  const std::size_t block = static_cast<std::size_t>(bits);
  std::vector<std::uint8_t> key(2 * key_digits * kLength / 8 * block + hetorch::kernels::kPackedPadding);
  for (std::size_t j = 0; j < kLength; j += 8) {
    for (std::size_t i = 0; i < key_digits; ++i) {
      std::uint8_t* pair = key.data() + (j / 8 * key_digits + i) * 2 * block;
      hetorch::kernels::pack_block(pair, b[i].data() + j, bits);
      hetorch::kernels::pack_block(pair + block, a[i].data() + j, bits);
    }
  }
  const Array first = expected_inner(digits, {b.begin(), b.begin() + static_cast<std::ptrdiff_t>(count)}, m.q);
  const Array second = expected_inner(digits, {a.begin(), a.begin() + static_cast<std::ptrdiff_t>(count)}, m.q);
  const std::uint32_t base = 1024;  // where the permuted span begins, a multiple of 8
  std::vector<std::uint32_t> index(kLength);
  for (std::size_t j = 0; j < kLength; ++j) {
    const std::size_t block = (j / 8 * 5 + 3) % (kLength / 8);
    index[j] = base + static_cast<std::uint32_t>(8 * block + (j * 3 + block) % 8);
  }
  for (const bool added : {false, true}) {
    for (const bool moved : {false, true}) {
      hetorch::kernels::KeyProduct product{.digits = nullptr, .count = count, .key = {key.data(), bits, key_digits}};
      const std::vector<const u64*> listed = pointers(digits);
      product.digits = listed.data();
      product.addend = added ? addend.data() : nullptr;
      product.index = moved ? index.data() : nullptr;
      product.base = moved ? base : 0;
      Array out0(kLength), out1(kLength), expected0(kLength), expected1(kLength);
      for (std::size_t j = 0; j < kLength; ++j) {
        const std::size_t from = moved ? index[j] - base : j;
        expected0[j] = (first[from] + (added ? addend[from] : 0)) % m.q;
        expected1[j] = second[from];
      }
      path.key_product(out0.data(), out1.data(), product, kLength, m);
      CHECK(out0 == expected0 && out1 == expected1, context.c_str());
    }
  }
}

void check_weighted(const Kernels& path, std::size_t count, Fill fill, Stream& stream, const ModulusConstants& m) {
  const std::string context = describe("weighted_sum", path.name, m.q, count);
  std::vector<Array> in = rows(count, u64{1} << path.modulus_bits, fill, stream);
  const Array weights = filled(count, m.q, fill, stream);
  Array expected(kLength);
  for (std::size_t j = 0; j < kLength; ++j) {
    for (std::size_t i = 0; i < count; ++i) expected[j] = (expected[j] + multiply(in[i][j], weights[i], m.q)) % m.q;
  }
  Array out(kLength);
  path.weighted_sum(out.data(), pointers(in).data(), weights.data(), count, kLength, m);
  CHECK(out == expected, context.c_str());
  path.weighted_sum(in[count - 1].data(), pointers(in).data(), weights.data(), count, kLength, m);
  CHECK(in[count - 1] == expected, (context + " in place").c_str());
}

// Word i of a packed block begins at bit i * bits, and nothing is written beyond the block.
void check_packing(Stream& stream) {
  for (int bits = 2; bits <= 64; bits = bits == 50 ? 64 : bits + 1) {
    for (Fill fill : all_fills()) {
      const u64 bound = bits == 64 ? ~u64{0} : u64{1} << bits;
      const Array words = filled(8, bound, fill, stream);
      const std::size_t size = static_cast<std::size_t>(bits);
      std::vector<std::uint8_t> packed(size + hetorch::kernels::kPackedPadding, 0xA5);
      hetorch::kernels::pack_block(packed.data(), words.data(), bits);
      for (std::size_t k = 0; k < 8 * size; ++k) {
        const u64 expected = words[k / size] >> (k % size) & 1;
        CHECK((packed[k / 8] >> (k % 8) & 1) == expected, "a bit of a packed word");
      }
      for (std::size_t k = size; k < packed.size(); ++k) CHECK(packed[k] == 0xA5, "written beyond the block");
      Array back(8);
      hetorch::kernels::unpack_block(back.data(), packed.data(), bits);
      CHECK(back == words, "unpacked words");
    }
  }
  CHECK(hetorch::kernels::packed_bits((u64{1} << 50) - 1) == 50, "the widest packed prime");
  CHECK(hetorch::kernels::packed_bits((u64{1} << 50) + 1) == 64, "a wide prime stays whole");
}

// weighted_sums equals weighted_sum for each target, over a length of several tiles and a part of one.
void check_targets(const Kernels& path, std::size_t count, std::size_t targets, Stream& stream) {
  const std::size_t n = 1544;
  std::vector<Array> in;
  for (std::size_t i = 0; i < count; ++i) {
    in.push_back(filled(n, u64{1} << path.modulus_bits, i == 0 ? Fill::kLargest : Fill::kRandom, stream));
  }
  std::vector<ModulusConstants> moduli;
  std::vector<Array> weights;
  std::vector<Array> expected;
  std::vector<Array> out;
  const int bits[] = {30, 40, 45, path.modulus_bits};
  for (std::size_t t = 0; t < targets; ++t) {
    moduli.push_back(hetorch::kernels::make_modulus_constants(prime_below(u64{1} << bits[t % 4], 4096)));
    weights.push_back(filled(count, moduli.back().q, Fill::kRandom, stream));
    expected.emplace_back(n);
    out.emplace_back(n);
  }
  std::vector<u64*> outs;
  std::vector<const ModulusConstants*> constants;
  for (std::size_t t = 0; t < moduli.size(); ++t) {
    outs.push_back(out[t].data());
    constants.push_back(&moduli[t]);
    path.weighted_sum(expected[t].data(), pointers(in).data(), weights[t].data(), count, n, moduli[t]);
  }
  path.weighted_sums(outs.data(), pointers(in).data(), pointers(weights).data(), constants.data(), moduli.size(), count,
                     n);
  for (std::size_t t = 0; t < moduli.size(); ++t) {
    CHECK(out[t] == expected[t], describe("weighted_sums", path.name, moduli[t].q, count).c_str());
  }
}

// round_quotient of residues of other primes: all paths must round alike, also next to one half.
void check_round_quotient(const Kernels& path, std::size_t count, Fill fill, Stream& stream) {
  const u64 bound = u64{1} << path.modulus_bits;
  std::vector<double> inverses;
  std::vector<Array> in;
  for (std::size_t i = 0; i < count; ++i) {
    const u64 q = bound - 1 - 2 * stream.below(bound / 4);
    inverses.push_back(1.0 / static_cast<double>(q));
    in.push_back(filled(kLength, q, fill, stream));
  }
  Array out(kLength);
  path.round_quotient(out.data(), pointers(in).data(), inverses.data(), count, kLength);
  bool same = true;
  bool in_range = true;
  for (std::size_t j = 0; j < kLength; ++j) {
    volatile double sum = 0;  // volatile: every step is rounded to a double
    for (std::size_t i = 0; i < count; ++i) {
      volatile double product = static_cast<double>(in[i][j]) * inverses[i];
      sum = sum + product;
    }
    same &= out[j] == static_cast<u64>(std::floor(0.5 + sum));
    in_range &= out[j] <= count;
  }
  CHECK(same && in_range, describe("round_quotient", path.name, bound, count).c_str());
}

void check_path(const Kernels& path) {
  std::vector<u64> primes = {5, 257, prime_from(u64{1} << 17, 65536)};
  for (int bits = 20; bits <= path.modulus_bits; ++bits) {
    primes.push_back(prime_below(u64{1} << bits, 4096));
    primes.push_back(prime_from(u64{1} << (bits - 1), 4096));
  }
  primes.push_back(prime_below(u64{1} << path.modulus_bits, 16));
  Stream stream(30);
  for (u64 q : primes) {
    if (q == 0) continue;
    const ModulusConstants m = hetorch::kernels::make_modulus_constants(q);
    for (std::size_t count : {1, 2, 3, 4, 5, 8, 12, 13, 28, 29, 33, 60, 61, 64}) {
      for (Fill fill : all_fills()) {
        for (int shift = 0; shift <= 7; ++shift) check_diagonals(path, count, shift, fill, stream, m);
        check_key_product(path, count, fill, stream, m);
        check_weighted(path, count, fill, stream, m);
      }
    }
  }
  for (std::size_t count : {1, 3, 9, 64}) {
    for (std::size_t targets = 1; targets <= 6; ++targets) check_targets(path, count, targets, stream);
  }
  for (std::size_t count = 1; count <= 64; ++count) {
    for (Fill fill : all_fills()) check_round_quotient(path, count, fill, stream);
  }
}

}  // namespace

int main() {
  Stream stream(3);
  check_packing(stream);
  check_path(hetorch::kernels::portable());
  for (const Kernels* path : fast_paths()) check_path(*path);
  return check::status();
}
