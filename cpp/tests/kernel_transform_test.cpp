// The transforms: the portable path is compared with the definition, every other path with the portable one.
#include "check.h"
#include "residues.h"

namespace {

using namespace residues;

// The definition of the forward transform: the values of the polynomial at psi^(2 bitrev(i) + 1).
Array evaluate(const Array& a, u64 psi, u64 q) {
  const std::size_t n = a.size();
  Array out(n);
  for (std::size_t i = 0; i < n; ++i) {
    const u64 point = power(psi, 2 * bit_reverse(i, n) + 1, q);
    u64 value = 0;
    for (std::size_t k = n; k-- > 0;) value = static_cast<u64>((u128{value} * point + a[k]) % q);
    out[i] = value;
  }
  return out;
}

// a b mod (X^n + 1), by the schoolbook method.
Array negacyclic_product(const Array& a, const Array& b, u64 q) {
  const std::size_t n = a.size();
  Array out(n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < n; ++k) {
      const u64 term = multiply(a[i], b[k], q);
      u64& slot = out[(i + k) % n];
      slot = i + k < n ? (slot + term) % q : (slot + q - term) % q;
    }
  }
  return out;
}

void definition(std::size_t n, u64 q) {
  const Kernels& path = hetorch::kernels::portable();
  const std::string context = describe("definition", path.name, q, n);
  const Tables tables(path, n, q);
  Stream stream(n + q);
  for (Fill fill : all_fills()) {
    const Array a = filled(n, q, fill, stream);
    const Array b = filled(n, q, Fill::kRandom, stream);
    Array x = a;
    path.ntt_forward(x.data(), tables.view);
    CHECK(x == evaluate(a, tables.psi, q), context.c_str());
    Array y = b;
    path.ntt_forward(y.data(), tables.view);
    path.multiply(y.data(), y.data(), x.data(), n, tables.modulus);
    path.ntt_inverse(y.data(), tables.view);
    CHECK(y == negacyclic_product(a, b, q), context.c_str());
    path.ntt_inverse(x.data(), tables.view);
    CHECK(x == a, context.c_str());
  }
}

void agreement(const Kernels& path, std::size_t n, u64 q) {
  const Kernels& reference = hetorch::kernels::portable();
  const std::string context = describe("agreement", path.name, q, n);
  const Tables expected_tables(reference, n, q);
  const Tables tables(path, n, q);
  Stream stream(n ^ q);
  for (Fill fill : all_fills()) {
    const Array a = filled(n, q, fill, stream);
    Array expected = a;
    Array seen = a;
    reference.ntt_forward(expected.data(), expected_tables.view);
    path.ntt_forward(seen.data(), tables.view);
    CHECK(seen == expected, (context + " forward").c_str());
    path.ntt_inverse(seen.data(), tables.view);
    CHECK(seen == a, (context + " there and back").c_str());
    expected = a;
    seen = a;
    reference.ntt_inverse(expected.data(), expected_tables.view);
    path.ntt_inverse(seen.data(), tables.view);
    CHECK(seen == expected, (context + " inverse").c_str());
  }
}

// The other transforms of the table, in place and out of place, are compared with the in-place transforms of the same
// path and an element-wise operation.
void variants(const Kernels& path, std::size_t n, u64 q) {
  const std::string context = describe("variants", path.name, q, n);
  const Tables tables(path, n, q);
  Stream stream(n + 3 * q);
  for (Fill fill : all_fills()) {
    const Array a = filled(n, q, fill, stream);
    const Array b = filled(n, q, fill == Fill::kZero ? Fill::kLargest : Fill::kRandom, stream);
    Array forward = a;
    path.ntt_forward(forward.data(), tables.view);
    Array inverse = a;
    path.ntt_inverse(inverse.data(), tables.view);
    Array out(n);
    path.ntt_forward_from(out.data(), a.data(), tables.view);
    CHECK(out == forward, (context + " forward_from").c_str());
    path.ntt_inverse_from(out.data(), a.data(), tables.view);
    CHECK(out == inverse, (context + " inverse_from").c_str());
    out = a;
    path.ntt_forward_from(out.data(), out.data(), tables.view);
    CHECK(out == forward, (context + " forward_from in place").c_str());
    out = a;
    path.ntt_inverse_from(out.data(), out.data(), tables.view);
    CHECK(out == inverse, (context + " inverse_from in place").c_str());
    for (u64 c : {u64{0}, u64{1}, q - 1, stream.below(q)}) {
      Array scaled(n);
      Array reduced(n);
      for (std::size_t j = 0; j < n; ++j) {
        scaled[j] = multiply(inverse[j], c, q);
        reduced[j] = multiply((b[j] + q - forward[j]) % q, c, q);
      }
      path.ntt_inverse_multiply(out.data(), a.data(), c, tables.view);
      CHECK(out == scaled, (context + " inverse_multiply").c_str());
      path.ntt_forward_subtract_multiply(out.data(), a.data(), b.data(), c, tables.view);
      CHECK(out == reduced, (context + " forward_subtract_multiply").c_str());
      out = a;
      path.ntt_inverse_multiply(out.data(), out.data(), c, tables.view);
      CHECK(out == scaled, (context + " inverse_multiply in place").c_str());
      out = a;
      path.ntt_forward_subtract_multiply(out.data(), out.data(), b.data(), c, tables.view);
      CHECK(out == reduced, (context + " forward_subtract_multiply in place").c_str());
    }
  }
}

// A known answer: FNV-1a over the transform of 0, 1, 4, 9, ... for degree 1024, modulo the largest suitable prime below
// 2^50. A separate program, which evaluates the polynomial at every point with big integers, computed it.
void known_answer(const Kernels& path) {
  const std::size_t n = 1024;
  const u64 q = 1125899906826241;
  CHECK(prime_below(u64{1} << 50, n) == q, "the prime of the known answer");
  const Tables tables(path, n, q);
  CHECK(tables.psi == 512215033098839, "the root of the known answer");
  Array a(n);
  for (std::size_t i = 0; i < n; ++i) a[i] = u64{i} * i;
  path.ntt_forward(a.data(), tables.view);
  u64 hash = 0xcbf29ce484222325u;
  for (std::size_t i = 0; i < n; ++i) {
    for (int byte = 0; byte < 8; ++byte) hash = (hash ^ ((a[i] >> (8 * byte)) & 0xff)) * 0x100000001b3u;
  }
  CHECK(hash == 0xc3d5c127de9b1768u, path.name);
}

}  // namespace

int main() {
  const auto two_to = [](int bits) { return u64{1} << bits; };
  for (std::size_t n : {16, 32, 64, 256}) {
    definition(n, prime_from(two_to(17), n));
    for (int bits : {20, 31, 40, 50, 55, 60}) definition(n, prime_below(two_to(bits), n));
  }
  for (const Kernels* path : fast_paths()) {
    for (std::size_t n = 16; n <= 65536; n *= 2) {
      agreement(*path, n, prime_from(two_to(17), n));
      for (int bits : {20, 30, 36, 40, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 55, 57, 58, 59, 60}) {
        if (bits > path->modulus_bits) break;
        if (u64 q = prime_below(two_to(bits), n)) agreement(*path, n, q);
      }
    }
  }
  std::vector<const Kernels*> paths = fast_paths();
  paths.push_back(&hetorch::kernels::portable());
  for (const Kernels* path : paths) {
    for (std::size_t n : {16, 32, 64, 128, 2048, 4096, 8192, 16384, 32768}) {
      for (int bits : {30, 45, 48, 50, 60}) {
        if (bits <= path->modulus_bits) variants(*path, n, prime_below(two_to(bits), n));
      }
    }
  }
  known_answer(hetorch::kernels::portable());
  for (const Kernels* path : fast_paths()) known_answer(*path);
  return check::status();
}
