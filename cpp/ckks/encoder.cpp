#include "ckks/encoder.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "ckks/errors.h"
#include "ring/modulus.h"

namespace hetorch::ckks {
namespace {

using ring::u64;

// Width in bits of the words into which large coefficients are split: the limit of the kernel residues_of_reals.
constexpr int kWordBits = 50;

// Doubles in pooled memory that are overwritten when they go out of scope, because values and coefficients are secrets.
class SecretReals {
 public:
  explicit SecretReals(std::size_t count) : buffer_(count) {}
  SecretReals(const SecretReals&) = delete;
  SecretReals& operator=(const SecretReals&) = delete;
  ~SecretReals() { buffer_.wipe(); }
  double* data() { return reinterpret_cast<double*>(buffer_.data()); }

 private:
  ring::Buffer buffer_;
};

// Number of words that hold integers of magnitude up to `largest`: one word up to 2^kWordBits, or several, each within
// +-2^(kWordBits - 1).
std::size_t words_of(double largest) {
  std::size_t words = 1;
  for (double bound = std::ldexp(1.0, kWordBits); largest >= bound / (words == 1 ? 1 : 2); ++words) {
    bound = std::ldexp(bound, kWordBits);
  }
  return words;
}

// Split each integer x in words[0 … n) into x = sum_w words[w n + j] 2^(kWordBits w), each word an integer. Every step
// is exact, because a double has 53 bits and the upper part is subtracted whole.
void split_words(double* words, std::size_t count, std::size_t n) {
  const double up = std::ldexp(1.0, kWordBits);
  const double down = std::ldexp(1.0, -kWordBits);
  for (std::size_t w = 0; w + 1 < count; ++w) {
    double* low = words + w * n;
    double* high = low + n;
    for (std::size_t j = 0; j < n; ++j) {
      high[j] = std::nearbyint(low[j] * down);
      low[j] -= high[j] * up;
    }
  }
}

}  // namespace

Encoder::Encoder(const ring::RnsBasis& basis, std::uint64_t slot_generator)
    : basis_(basis), n_(basis.n()), order_(basis.n(), slot_generator) {
  const std::size_t slots = n_ / 2;
  cosines_.resize(slots);
  sines_.resize(slots);
  for (std::size_t length = 2; length <= slots; length *= 2) {
    std::uint64_t power = 1;  // 5^j mod 4 * length
    for (std::size_t j = 0; j < length / 2; ++j) {
      const double angle = 2 * std::numbers::pi * static_cast<double>(power) / static_cast<double>(4 * length);
      cosines_[length / 2 - 1 + j] = std::cos(angle);
      sines_[length / 2 - 1 + j] = std::sin(angle);
      power = power * 5 % (4 * length);
    }
  }
  inverses_.resize(basis.data_count());
  ring::parallel_for(basis.data_count(), [&](std::size_t i) {
    for (std::size_t j = 0; j < i; ++j) {
      inverses_[i].push_back(ring::inverse_mod(basis.prime(j) % basis.prime(i), basis.prime(i)));
    }
  });
}

void Encoder::check_size(double largest, Limbs limbs) const {
  double log2_q = 0;
  for (std::size_t i = 0; i < limbs.data; ++i) log2_q += std::log2(static_cast<double>(basis_.prime(i)));
  if (!std::isfinite(largest)) {
    throw LevelError("the values times the scale leave the range of a double: use smaller ones");
  }
  if (largest > 0 && std::log2(largest) + 1 >= log2_q) {
    throw LevelError("the values times the scale need " + std::to_string(std::log2(largest) + 1) +
                     " bits, the modulus at this level has " + std::to_string(log2_q) +
                     ": use a smaller scale or a higher level");
  }
}

void Encoder::transform_words(u64* row, const double* words, std::size_t word_count, std::size_t count,
                              std::size_t index) const {
  const kernels::ModulusConstants& m = basis_.modulus(index);
  const kernels::Kernels& kernels = basis_.kernels(index);
  kernels.residues_of_reals(row, words + (word_count - 1) * count, count, m);
  if (word_count > 1) {
    ring::Buffer word(count);
    for (std::size_t w = word_count - 1; w-- > 0;) {
      kernels.multiply_scalar(row, row, (u64{1} << kWordBits) % m.q, count, m);
      kernels.residues_of_reals(word.data(), words + w * count, count, m);
      kernels.add(row, row, word.data(), count, m);
    }
    word.wipe();
  }
  // The powers psi^bitrev(i) of a shorter transform, whose root is psi^(n / count), begin those of the full one.
  kernels::NttView table = basis_.table(index);
  table.n = count;
  kernels.ntt_forward(row, table);
}

NttPoly Encoder::residues(const double* coefficients, double largest, Limbs limbs) const {
  check_size(largest, limbs);
  const std::size_t count = words_of(largest);
  SecretReals split(count == 1 ? 0 : count * n_);
  const double* words = coefficients;
  if (count > 1) {
    std::copy(coefficients, coefficients + n_, split.data());
    split_words(split.data(), count, n_);
    words = split.data();
  }
  NttPoly result(n_, limbs);
  ring::parallel_for(limbs.count(),
                     [&](std::size_t r) { transform_words(result.row(r), words, count, n_, basis_.index(limbs, r)); });
  return result;
}

void Encoder::transform(u64* row, const double* coefficients, double largest, std::size_t count,
                        std::size_t index) const {
  const std::size_t words = words_of(largest);
  if (words == 1) return transform_words(row, coefficients, 1, count, index);
  SecretReals split(words * count);
  std::copy(coefficients, coefficients + count, split.data());
  split_words(split.data(), words, count);
  transform_words(row, split.data(), words, count, index);
}

double Encoder::round_coefficients(std::span<const Complex> values, double scale, Limbs limbs,
                                   double* coefficients) const {
  const std::size_t slots = slot_count();
  if (values.size() != slots) {
    throw std::invalid_argument("encode takes " + std::to_string(slots) + " values, got " +
                                std::to_string(values.size()));
  }
  double* im = coefficients + slots;
  for (std::size_t j = 0; j < slots; ++j) {
    const std::size_t at = order_.position(j);
    coefficients[at] = values[j].real();
    im[at] = order_.conjugated(j) ? -values[j].imag() : values[j].imag();
  }
  const double largest = round_ordered(coefficients, scale);
  check_size(largest, limbs);
  return largest;
}

NttPoly Encoder::encode(std::span<const Complex> values, double scale, Limbs limbs) const {
  SecretReals coefficients(n_);
  const double largest = round_coefficients(values, scale, limbs, coefficients.data());
  return residues(coefficients.data(), largest, limbs);
}

NttPoly Encoder::encode_periodic(std::span<const double> values, double scale, Limbs limbs) const {
  const std::size_t slots = slot_count();
  const std::size_t period = values.size();
  if (period == 0 || slots % period != 0) {
    throw std::invalid_argument("the values repeat after " + std::to_string(period) +
                                " slots, which does not divide the slot count " + std::to_string(slots));
  }
  SecretReals coefficients(n_);
  double* re = coefficients.data();
  for (std::size_t begin = 0; begin < slots; begin += period) {
    for (std::size_t j = 0; j < period; ++j) re[order_.position(begin + j)] = values[j];
  }
  std::fill_n(re + slots, slots, 0.0);
  return residues(re, round_ordered(re, scale), limbs);
}

double Encoder::round_ordered(double* re, double scale) const {
  if (!(scale > 0) || !std::isfinite(scale))
    throw LevelError("scale is " + std::to_string(scale) + ", expected above 0");
  const std::size_t slots = slot_count();
  double* im = re + slots;
  SecretReals scratch(n_);
  const kernels::Kernels& kernels = basis_.kernels(0);
  kernels.embed_inverse(re, im, scratch.data(), embedding());
  return kernels.round_scaled(re, re, scale / static_cast<double>(slots), n_);
}

NttPoly Encoder::lift(std::span<const double> coefficients, Limbs limbs) const {
  if (coefficients.size() != n_) throw std::invalid_argument("a ring element has one coefficient for each power");
  SecretReals rounded(n_);
  const double largest = basis_.kernels(0).round_scaled(rounded.data(), coefficients.data(), 1.0, n_);
  return residues(rounded.data(), largest, limbs);
}

std::vector<Complex> Encoder::decode(const NttPoly& poly, double scale) const {
  const std::size_t count = poly.limbs().data;
  if (poly.n() != n_ || count > basis_.data_count()) {
    throw std::invalid_argument("decode: the plaintext was made under other parameters");
  }
  ring::Buffer rows(count * n_);
  ring::parallel_for(count, [&](std::size_t r) {
    basis_.kernels(r).ntt_inverse_from(rows.data() + r * n_, poly.row(r), basis_.table(r));
  });
  // The centred coefficients by mixed radix (Garner): v_0 + v_1 q_0 + v_2 q_0 q_1 + …, in tiles that stay in the
  // caches. The sign of a decrypted coefficient depends on the key, so nothing branches on it.
  std::vector<u64> primes(count);
  for (std::size_t i = 0; i < count; ++i) primes[i] = basis_.prime(i);
  const kernels::Kernels& widest = kernels::select(*std::max_element(primes.begin(), primes.end()));
  SecretReals coefficients(n_);
  const std::size_t tile = std::min<std::size_t>(n_, 1024);
  ring::parallel_for(n_ / tile, [&](std::size_t t) {
    u64* digits[64];  // a basis has at most 64 primes
    for (std::size_t i = 0; i < count; ++i) digits[i] = rows.data() + i * n_ + t * tile;
    ring::Buffer reduced(tile);  // a digit that is too wide for the path of the prime, reduced modulo it
    for (std::size_t i = 1; i < count; ++i) {
      const kernels::Kernels& kernels = basis_.kernels(i);
      for (std::size_t j = 0; j < i; ++j) {
        const u64* digit = digits[j];
        if (primes[j] >> kernels.modulus_bits) {
          kernels.reduce_wide(reduced.data(), digit, tile, basis_.modulus(i));
          digit = reduced.data();
        }
        kernels.subtract_multiply_scalar(digits[i], digits[i], digit, inverses_[i][j], tile, basis_.modulus(i));
      }
    }
    reduced.wipe();
    widest.values_of_digits(coefficients.data() + t * tile, digits, primes.data(), scale, count, tile);
  });
  rows.wipe();
  const std::size_t slots = slot_count();
  SecretReals scratch(n_);
  double* re = coefficients.data();
  double* im = re + slots;
  basis_.kernels(0).embed(re, im, scratch.data(), embedding());
  std::vector<Complex> values(slots);
  for (std::size_t j = 0; j < slots; ++j) {
    const std::size_t at = order_.position(j);
    values[j] = {re[at], order_.conjugated(j) ? -im[at] : im[at]};
  }
  return values;
}

}  // namespace hetorch::ckks
