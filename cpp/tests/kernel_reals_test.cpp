// The kernels on doubles are compared with their definitions in long double and integers, and all paths with each
// other, bit for bit.
#include <cmath>
#include <complex>
#include <cstring>
#include <limits>
#include <numbers>

#include "check.h"
#include "residues.h"

namespace {

using namespace residues;
using hetorch::kernels::EmbeddingView;

struct Embedding {
  explicit Embedding(std::size_t slots) : cosines(slots), sines(slots) {
    for (std::size_t length = 2; length <= slots; length *= 2) {
      u64 power = 1;
      for (std::size_t j = 0; j < length / 2; ++j) {
        const double angle = 2 * std::numbers::pi * static_cast<double>(power) / static_cast<double>(4 * length);
        cosines[length / 2 - 1 + j] = std::cos(angle);
        sines[length / 2 - 1 + j] = std::sin(angle);
        power = power * 5 % (4 * length);
      }
    }
    view = {slots, cosines.data(), sines.data()};
  }
  Embedding(const Embedding&) = delete;
  Embedding& operator=(const Embedding&) = delete;
  std::vector<double> cosines;
  std::vector<double> sines;
  EmbeddingView view;
};

double uniform(Stream& stream) { return static_cast<double>(stream.next() >> 11) * 0x1p-52 - 1; }

bool same_bits(const std::vector<double>& a, const std::vector<double>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0;
}

// The error bound: each of log2(slots) stages adds a relative error below 8 units of 2^-53 (a product of complex
// numbers sqrt(5), its rounded root 1, a sum 1) to numbers that are bounded by the sum of the magnitudes.
void definition(std::size_t slots) {
  const Embedding t(slots);
  Stream stream(slots);
  std::vector<double> values(2 * slots);
  double total = 0;
  for (double& x : values) total += std::fabs(x = uniform(stream));
  std::vector<double> embedded = values;
  std::vector<double> scratch(2 * slots);
  hetorch::kernels::portable().embed(embedded.data(), embedded.data() + slots, scratch.data(), t.view);
  const double bound = 8 * std::log2(static_cast<double>(slots)) * 0x1p-53 * total;
  u64 power = 1;
  double worst = 0;
  for (std::size_t j = 0; j < slots; ++j, power = power * 5 % (4 * slots)) {
    std::complex<long double> sum = 0;
    for (std::size_t k = 0; k < slots; ++k) {
      const long double angle = 2 * std::numbers::pi_v<long double> *
                                static_cast<long double>(power * k % (4 * slots)) / static_cast<long double>(4 * slots);
      sum += std::complex<long double>(values[k], values[slots + k]) * std::polar(1.0L, angle);
    }
    worst = std::fmax(worst,
                      static_cast<double>(std::abs(sum - std::complex<long double>(embedded[j], embedded[slots + j]))));
  }
  CHECK(worst <= bound, describe("embed", "portable", slots, 2 * slots).c_str());
  hetorch::kernels::portable().embed_inverse(embedded.data(), embedded.data() + slots, scratch.data(), t.view);
  worst = 0;
  for (std::size_t k = 0; k < 2 * slots; ++k) {
    worst = std::fmax(worst, std::fabs(embedded[k] / static_cast<double>(slots) - values[k]));
  }
  CHECK(worst <= 2 * bound, describe("embed and back", "portable", slots, 2 * slots).c_str());
}

void embedding_agrees(const Kernels& path, std::size_t slots) {
  const Embedding t(slots);
  const Kernels& reference = hetorch::kernels::portable();
  Stream stream(7 * slots);
  std::vector<double> expected(2 * slots);
  for (double& x : expected) x = std::ldexp(uniform(stream), static_cast<int>(stream.below(40)));
  std::vector<double> seen = expected;
  std::vector<double> scratch(2 * slots);
  reference.embed(expected.data(), expected.data() + slots, scratch.data(), t.view);
  path.embed(seen.data(), seen.data() + slots, scratch.data(), t.view);
  CHECK(same_bits(seen, expected), describe("embed", path.name, slots, slots).c_str());
  reference.embed_inverse(expected.data(), expected.data() + slots, scratch.data(), t.view);
  path.embed_inverse(seen.data(), seen.data() + slots, scratch.data(), t.view);
  CHECK(same_bits(seen, expected), describe("embed_inverse", path.name, slots, slots).c_str());
}

void rounding(const Kernels& path) {
  const std::vector<double> x = {0.5,      1.5, 2.5,  -0.5, -1.5,  0.49999999999999994, 1e15 + 0.5, -3.75, 0x1p60,
                                 -0x1p100, 0.0, -0.0, 7.0,  -7.25, 4503599627370495.5,  1.0};
  std::vector<double> out(x.size());
  const double largest = path.round_scaled(out.data(), x.data(), 1.0, x.size());
  bool same = largest == 0x1p100;
  for (std::size_t j = 0; j < x.size(); ++j) same &= out[j] == std::nearbyint(x[j]);
  CHECK(same, path.name);
  std::vector<double> scaled = x;
  CHECK(path.round_scaled(scaled.data(), scaled.data(), 1e300, x.size()) == std::numeric_limits<double>::infinity(),
        "an overflow is seen");
  scaled.assign(16, 1.0);
  scaled[5] = std::numeric_limits<double>::quiet_NaN();
  CHECK(!std::isfinite(path.round_scaled(scaled.data(), scaled.data(), 2.0, 16)), "not a number is seen");
}

void residues_of_reals(const Kernels& path, u64 q) {
  const ModulusConstants m = hetorch::kernels::make_modulus_constants(q);
  const std::size_t n = 72;
  const std::int64_t end = (std::int64_t{1} << 50) - 1;
  Stream stream(q);
  std::vector<double> x(n);
  for (std::size_t j = 0; j < n; ++j) {
    std::int64_t value = static_cast<std::int64_t>(stream.below(u64{1} << 51)) - (end + 1);
    if (j == 0) value = end;
    if (j == 1) value = -end;
    if (j % 8 == 2)
      value = static_cast<std::int64_t>(value) / static_cast<std::int64_t>(q) * static_cast<std::int64_t>(q);
    if (j % 8 == 3) value = static_cast<std::int64_t>(j) - 36;
    if (value < -end) value = -end;
    x[j] = static_cast<double>(value);
  }
  x[4] = -0.0;
  Array out(n);
  path.residues_of_reals(out.data(), x.data(), n, m);
  bool same = true;
  for (std::size_t j = 0; j < n; ++j) {
    const std::int64_t rest = static_cast<std::int64_t>(x[j]) % static_cast<std::int64_t>(q);
    same &= out[j] == static_cast<u64>(rest < 0 ? rest + static_cast<std::int64_t>(q) : rest);
  }
  CHECK(same, describe("residues_of_reals", path.name, q, n).c_str());
}

// values_of_digits is exact for small numbers of either sign and any number of digits; all paths round large ones
// alike.
void digits(const Kernels& path, std::size_t count, int bits) {
  const std::size_t n = 520;
  const std::string context = describe("values_of_digits", path.name, count, n);
  Stream stream(count);
  std::vector<u64> primes;
  u64 bound = u64{1} << bits;
  for (std::size_t i = 0; i < count; ++i) primes.push_back(bound = prime_below(bound, 1024));
  std::vector<Array> rows(count, Array(n));
  std::vector<double> exact(n);
  for (std::size_t j = 0; j < n; ++j) {
    const std::int64_t value = static_cast<std::int64_t>(stream.below(u64{1} << 40)) - (std::int64_t{1} << 39);
    exact[j] = static_cast<double>(j == 0 ? 0 : value) / 4;
    // -x has the digits q_i - 1 - d_i of x - 1.
    const u64 magnitude = static_cast<u64>(exact[j] < 0 ? -4 * exact[j] - 1 : 4 * exact[j]);
    for (std::size_t i = 0; i < count; ++i) {
      const u64 digit = i == 0 ? magnitude : 0;
      rows[i][j] = exact[j] < 0 ? primes[i] - 1 - digit : digit;
    }
  }
  std::vector<const u64*> pointers;
  for (const Array& row : rows) pointers.push_back(row.data());
  std::vector<double> out(n);
  path.values_of_digits(out.data(), pointers.data(), primes.data(), 4.0, count, n);
  bool same = true;
  for (std::size_t j = 0; j < n; ++j) same &= out[j] == exact[j];
  CHECK(same, context.c_str());
  for (std::size_t i = 0; i < count; ++i) rows[i] = filled(n, primes[i], Fill::kRandom, stream);
  for (std::size_t i = 0; i < count; ++i) pointers[i] = rows[i].data();
  std::vector<double> expected(n);
  hetorch::kernels::portable().values_of_digits(expected.data(), pointers.data(), primes.data(), 3.0, count, n);
  path.values_of_digits(out.data(), pointers.data(), primes.data(), 3.0, count, n);
  CHECK(same_bits(out, expected), (context + " large").c_str());
  double worst = 0;  // the results are centred: at most half of the modulus in magnitude
  double product = 1;
  for (u64 q : primes) product *= static_cast<double>(q);
  for (double x : out) worst = std::fmax(worst, std::fabs(x) * 3 / product);
  CHECK(worst <= 0.5000001 && worst > 0.4, (context + " centred").c_str());
}

void check_path(const Kernels& path) {
  for (std::size_t slots = 8; slots <= 65536; slots *= 2) embedding_agrees(path, slots);
  rounding(path);
  for (u64 q : {u64{5}, u64{257}, prime_below(u64{1} << 30, 16), prime_below(u64{1} << 45, 16),
                prime_below(u64{1} << 50, 16)}) {
    residues_of_reals(path, q);
  }
  if (path.modulus_bits > 50) residues_of_reals(path, prime_below(u64{1} << 60, 16));
  for (std::size_t count : {1, 2, 8, 16}) {
    for (int bits : {45, path.modulus_bits}) digits(path, count, bits);
  }
}

}  // namespace

int main() {
  for (std::size_t slots : {8, 16, 32, 64, 256, 512}) definition(slots);
  check_path(hetorch::kernels::portable());
  for (const Kernels* path : fast_paths()) check_path(*path);
  return check::status();
}
