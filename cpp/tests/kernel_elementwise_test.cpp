// The element-wise kernels, out of place and in place: all paths are compared with u128 and %.
#include <cmath>
#include <functional>

#include "check.h"
#include "kernels/packed.h"
#include "residues.h"

namespace {

using namespace residues;

// Nine vectors of eight words: an odd number of vectors, for kernels that work on two at a time.
constexpr std::size_t kLength = 72;

// Two inputs, an accumulator and a scalar, all canonical.
struct Operands {
  Array a;
  Array b;
  Array sum;
  u64 c;
};

struct Operation {
  const char* name;
  // Writes `out`, which holds the accumulator before, and may be a or b.
  std::function<void(const Kernels&, u64*, const u64*, const u64*, u64, const ModulusConstants&)> run;
  std::function<u64(u64 a, u64 b, u64 sum, u64 c, u64 q)> expected;
};

const std::vector<Operation>& operations() {
  static const std::vector<Operation> all = {
      {"add",
       [](const Kernels& k, u64* out, const u64* a, const u64* b, u64, const ModulusConstants& m) {
         k.add(out, a, b, kLength, m);
       },
       [](u64 a, u64 b, u64, u64, u64 q) { return (a + b) % q; }},
      {"subtract",
       [](const Kernels& k, u64* out, const u64* a, const u64* b, u64, const ModulusConstants& m) {
         k.subtract(out, a, b, kLength, m);
       },
       [](u64 a, u64 b, u64, u64, u64 q) { return (a + q - b) % q; }},
      {"negate",
       [](const Kernels& k, u64* out, const u64* a, const u64*, u64, const ModulusConstants& m) {
         k.negate(out, a, kLength, m);
       },
       [](u64 a, u64, u64, u64, u64 q) { return (q - a) % q; }},
      {"multiply",
       [](const Kernels& k, u64* out, const u64* a, const u64* b, u64, const ModulusConstants& m) {
         k.multiply(out, a, b, kLength, m);
       },
       [](u64 a, u64 b, u64, u64, u64 q) { return multiply(a, b, q); }},
      {"multiply_add",
       [](const Kernels& k, u64* out, const u64* a, const u64* b, u64, const ModulusConstants& m) {
         k.multiply_add(out, a, b, kLength, m);
       },
       [](u64 a, u64 b, u64 sum, u64, u64 q) { return (multiply(a, b, q) + sum) % q; }},
      {"multiply_scalar",
       [](const Kernels& k, u64* out, const u64* a, const u64*, u64 c, const ModulusConstants& m) {
         k.multiply_scalar(out, a, c, kLength, m);
       },
       [](u64 a, u64, u64, u64 c, u64 q) { return multiply(a, c, q); }},
      {"subtract_multiply_scalar",
       [](const Kernels& k, u64* out, const u64* a, const u64* b, u64 c, const ModulusConstants& m) {
         k.subtract_multiply_scalar(out, a, b, c, kLength, m);
       },
       [](u64 a, u64 b, u64, u64 c, u64 q) { return multiply((a + q - b) % q, c, q); }},
  };
  return all;
}

void check_operation(const Kernels& path, const Operation& operation, const Operands& x, const ModulusConstants& m) {
  const u64 q = m.q;
  const std::string context = describe(operation.name, path.name, q, kLength);
  Array out = x.sum;
  operation.run(path, out.data(), x.a.data(), x.b.data(), x.c, m);
  bool same = true;
  for (std::size_t j = 0; j < kLength; ++j) same &= out[j] == operation.expected(x.a[j], x.b[j], x.sum[j], x.c, q);
  CHECK(same, context.c_str());

  Array a = x.a;
  operation.run(path, a.data(), a.data(), x.b.data(), x.c, m);
  same = true;
  for (std::size_t j = 0; j < kLength; ++j) same &= a[j] == operation.expected(x.a[j], x.b[j], x.a[j], x.c, q);
  CHECK(same, (context + " out is a").c_str());

  Array b = x.b;
  operation.run(path, b.data(), x.a.data(), b.data(), x.c, m);
  same = true;
  for (std::size_t j = 0; j < kLength; ++j) same &= b[j] == operation.expected(x.a[j], x.b[j], x.b[j], x.c, q);
  CHECK(same, (context + " out is b").c_str());
}

void check_pair(const Kernels& path, const Operands& x, const ModulusConstants& m) {
  const std::string context = describe("multiply_add_pair", path.name, m.q, kLength);
  const auto matches = [&](const Array& out, const Array& before, const Array& factor, const Array& other) {
    bool same = true;
    for (std::size_t j = 0; j < kLength; ++j) same &= out[j] == (multiply(factor[j], other[j], m.q) + before[j]) % m.q;
    return same;
  };
  Array out0 = x.sum;
  Array out1 = x.b;
  path.multiply_add_pair(out0.data(), out1.data(), x.a.data(), x.b.data(), x.sum.data(), kLength, m);
  CHECK(matches(out0, x.sum, x.a, x.b) && matches(out1, x.b, x.a, x.sum), context.c_str());
  out0 = x.sum;  // each accumulator is also an input
  out1 = x.b;
  path.multiply_add_pair(out0.data(), out1.data(), x.a.data(), out0.data(), out1.data(), kLength, m);
  CHECK(matches(out0, x.sum, x.a, x.sum) && matches(out1, x.b, x.a, x.b), (context + " in place").c_str());
  out0 = x.a;  // the first accumulator is the factor of both
  out1 = x.b;
  path.multiply_add_pair(out0.data(), out1.data(), out0.data(), x.b.data(), x.sum.data(), kLength, m);
  CHECK(matches(out0, x.a, x.a, x.b) && matches(out1, x.b, x.a, x.sum), (context + " out0 is p").c_str());
}

// subtract_multiply_scalar with a subtrahend that is a residue of another prime.
void check_foreign_subtrahend(const Kernels& path, Fill fill, Stream& stream, const ModulusConstants& m) {
  const Array a = filled(kLength, m.q, Fill::kRandom, stream);
  const Array b = filled(kLength, u64{1} << path.modulus_bits, fill, stream);
  const u64 c = stream.below(m.q);
  Array out(kLength);
  path.subtract_multiply_scalar(out.data(), a.data(), b.data(), c, kLength, m);
  bool same = true;
  for (std::size_t j = 0; j < kLength; ++j) same &= out[j] == multiply((a[j] + m.q - b[j] % m.q) % m.q, c, m.q);
  CHECK(same, describe("subtract_multiply_scalar of another prime", path.name, m.q, kLength).c_str());
}

using Reduce = void (*)(u64*, const u64*, std::size_t, const ModulusConstants&);

// reduce and reduce_wide, which take any input below `bound`.
void check_reduce(const char* name, const Kernels& path, Reduce reduce, u64 bound, Fill fill, Stream& stream,
                  const ModulusConstants& m) {
  const std::string context = describe(name, path.name, m.q, kLength);
  const Array a = filled(kLength, bound, fill, stream);
  Array out(kLength);
  reduce(out.data(), a.data(), kLength, m);
  bool same = true;
  for (std::size_t j = 0; j < kLength; ++j) same &= out[j] == a[j] % m.q;
  CHECK(same, context.c_str());
  Array multiples(kLength);  // numbers next to multiples of q, where a quotient that is off by one shows first
  for (std::size_t j = 0; j < kLength; ++j) {
    const u64 k = stream.below(bound / m.q) * m.q;
    multiples[j] = k + j % 3 == 0 ? 0 : k + j % 3 - 1;
  }
  Array in_place = multiples;
  reduce(in_place.data(), in_place.data(), kLength, m);
  same = true;
  for (std::size_t j = 0; j < kLength; ++j) same &= in_place[j] == multiples[j] % m.q;
  CHECK(same, (context + " at multiples").c_str());
}

void check_permute(const Kernels& path, std::size_t n, Stream& stream) {
  const Array a = filled(n, u64{1} << path.modulus_bits, Fill::kRandom, stream);
  // X -> X^element: position j holds the exponent 2 bitrev(j) + 1.
  for (std::size_t element : {std::size_t{1}, std::size_t{5}, std::size_t{25}, 2 * n - 1, std::size_t{4097}}) {
    std::vector<std::uint32_t> index(n);
    for (std::size_t j = 0; j < n; ++j) {
      const u64 exponent = (2 * bit_reverse(j, n) + 1) * element % (2 * n);
      index[j] = static_cast<std::uint32_t>(bit_reverse((exponent - 1) / 2, n));
    }
    Array out(n);
    path.permute(out.data(), a.data(), index.data(), n);
    bool same = true;
    for (std::size_t j = 0; j < n; ++j) same &= out[j] == a[index[j]];
    CHECK(same, describe("permute", path.name, element, n).c_str());
  }
}

// reduce_centred of residues of other moduli, some next to half of the modulus.
void check_reduce_centred(const Kernels& path, Fill fill, Stream& stream, const ModulusConstants& m) {
  for (int bits : {5, 20, 40, 49, 50, 51, 58, 60}) {
    const u64 source = (u64{1} << bits) - 1 - 2 * stream.below(u64{1} << (bits - 3));
    if (source == m.q) continue;
    Array a = filled(kLength, source, fill, stream);
    for (std::size_t j = 0; j < 4; ++j) a[8 * j] = source / 2 - 1 + j;
    Array out(kLength);
    path.reduce_centred(out.data(), a.data(), source, kLength, m);
    bool same = true;
    for (std::size_t j = 0; j < kLength; ++j) {
      const u64 negated = a[j] > source / 2 ? (source - a[j]) % m.q : 0;
      same &= out[j] == (a[j] > source / 2 ? (m.q - negated) % m.q : a[j] % m.q);
    }
    path.reduce_centred(a.data(), a.data(), source, kLength, m);
    CHECK(same && a == out, describe("reduce_centred", path.name, m.q, source).c_str());
  }
}

// from_signed of numbers in (-q, q), in two's complement.
void check_from_signed(const Kernels& path, Fill fill, Stream& stream, const ModulusConstants& m) {
  const Array magnitudes = filled(kLength, m.q, fill, stream);
  Array signed_numbers(kLength);
  for (std::size_t j = 0; j < kLength; ++j) {
    signed_numbers[j] = stream.below(2) == 0 ? magnitudes[j] : u64{0} - magnitudes[j];
  }
  Array out(kLength);
  path.from_signed(out.data(), signed_numbers.data(), kLength, m);
  bool same = true;
  for (std::size_t j = 0; j < kLength; ++j) {
    const bool negative = signed_numbers[j] >> 63;
    same &= out[j] == (negative && magnitudes[j] != 0 ? m.q - magnitudes[j] : magnitudes[j]);
  }
  path.from_signed(signed_numbers.data(), signed_numbers.data(), kLength, m);
  CHECK(same && signed_numbers == out, describe("from_signed", path.name, m.q, kLength).c_str());
}

// invert_cumulative of words at, just below and just above every bound, with both signs.
void check_invert_cumulative(const Kernels& path, std::size_t count, Stream& stream) {
  const u64 top = u64{1} << 63;
  std::vector<u64> bounds(count);
  for (std::size_t i = 0; i < count; ++i) bounds[i] = 1 + stream.below(top - 1);
  if (count > 2) bounds[0] = 1, bounds[1] = top - 1;
  Array words((6 * count + 4 + 7) / 8 * 8);
  std::size_t used = 0;
  for (u64 bound : bounds) {
    for (u64 low : {bound - 1, bound, bound + 1 < top ? bound + 1 : bound}) {
      words[used++] = low;
      words[used++] = low | top;
    }
  }
  for (u64 word : {u64{0}, top, top - 1, ~u64{0}}) words[used++] = word;
  Array out(words.size());
  path.invert_cumulative(out.data(), words.data(), bounds.data(), count, words.size());
  bool same = true;
  for (std::size_t j = 0; j < words.size(); ++j) {
    std::int64_t expected = 0;
    for (u64 bound : bounds) expected += bound <= (words[j] & ~top);
    same &= static_cast<std::int64_t>(out[j]) == (words[j] >> 63 ? -expected : expected);
  }
  path.invert_cumulative(words.data(), words.data(), bounds.data(), count, words.size());
  CHECK(same && words == out, describe("invert_cumulative", path.name, count, words.size()).c_str());
}

// unpack of words that are given bit by bit.
void check_unpack(const Kernels& path, int bits, std::size_t n, Stream& stream) {
  std::vector<std::uint8_t> bytes(n * static_cast<std::size_t>(bits) / 8 + hetorch::kernels::kPackedPadding, 0xff);
  Array expected(n);
  for (std::size_t j = 0; j < n; ++j) {
    expected[j] = stream.below(u64{1} << bits);
    for (int bit = 0; bit < bits; ++bit) {
      const std::size_t at = j * static_cast<std::size_t>(bits) + static_cast<std::size_t>(bit);
      const auto mask = static_cast<std::uint8_t>(1 << at % 8);
      bytes[at / 8] = static_cast<std::uint8_t>(expected[j] >> bit & 1 ? bytes[at / 8] | mask : bytes[at / 8] & ~mask);
    }
  }
  Array out(n);
  path.unpack(out.data(), bytes.data(), bits, n);
  CHECK(out == expected, describe("unpack", path.name, static_cast<u64>(bits), n).c_str());
}

void check_path(const Kernels& path) {
  std::vector<u64> primes = {5, 257, prime_from(u64{1} << 17, 65536)};
  for (int bits = 20; bits <= path.modulus_bits; bits += 2) {
    primes.push_back(prime_below(u64{1} << bits, 4096));
    primes.push_back(prime_from(u64{1} << (bits - 1), 4096));
  }
  primes.push_back(prime_below(u64{1} << path.modulus_bits, 16));
  Stream stream(20);
  for (u64 q : primes) {
    if (q == 0) continue;
    const ModulusConstants m = hetorch::kernels::make_modulus_constants(q);
    for (Fill fill_a : all_fills()) {
      for (Fill fill_b : all_fills()) {
        for (u64 c : {u64{0}, u64{1}, q / 2, q / 2 + 1, q - 1, stream.below(q)}) {
          const Operands x = {filled(kLength, q, fill_a, stream), filled(kLength, q, fill_b, stream),
                              filled(kLength, q, fill_b, stream), c};
          for (const Operation& operation : operations()) check_operation(path, operation, x, m);
          check_pair(path, x, m);
        }
      }
      check_reduce("reduce", path, path.reduce, u64{1} << path.modulus_bits, fill_a, stream, m);
      check_reduce("reduce_wide", path, path.reduce_wide, u64{1} << 60, fill_a, stream, m);
      check_reduce_centred(path, fill_a, stream, m);
      check_from_signed(path, fill_a, stream, m);
      check_foreign_subtrahend(path, fill_a, stream, m);
    }
  }
  for (std::size_t count : {1, 2, 29, 64}) check_invert_cumulative(path, count, stream);
  for (std::size_t n : {16, 4096}) check_permute(path, n, stream);
  for (int bits = 1; bits <= 50; ++bits) check_unpack(path, bits, 136, stream);
}

}  // namespace

int main() {
  check_path(hetorch::kernels::portable());
  for (const Kernels* path : fast_paths()) check_path(*path);
  return check::status();
}
