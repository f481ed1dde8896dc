#include "ckks/encoder.h"

#include <bit>
#include <cmath>
#include <numbers>
#include <string>

#include "ckks/errors.h"
#include "ring/modulus.h"

namespace hetorch::ckks {
namespace {

using ring::u64;

// In a way the compiler cannot leave out, as Buffer::wipe.
void wipe(std::vector<double>& values) {
  volatile double* words = values.data();
  for (std::size_t i = 0; i < values.size(); ++i) words[i] = 0;
}

// Integers in `coefficients` (already rounded, |.| <= largest) as residues modulo each prime, in the NTT domain.
void to_residues(NttPoly& out, std::span<const double> coefficients, double largest, const ring::RnsBasis& basis) {
  const std::size_t n = coefficients.size();
  const bool small = largest < std::ldexp(1.0, 62);  // each row's path has its own bound, checked below
  ring::Buffer magnitudes(small ? n : 0);
  for (std::size_t j = 0; small && j < n; ++j) {
    magnitudes.data()[j] = static_cast<u64>(static_cast<std::int64_t>(std::fabs(coefficients[j])));
  }
  ring::parallel_for(out.limbs().count(), [&](std::size_t r) {
    const std::size_t index = basis.index(out.limbs(), r);
    const u64 q = basis.prime(index);
    const kernels::Kernels& kernels = basis.kernels(index);
    u64* row = out.row(r);
    if (largest < std::ldexp(1.0, kernels.modulus_bits)) {
      kernels.reduce(row, magnitudes.data(), n, basis.modulus(index));
      for (std::size_t j = 0; j < n; ++j) {
        const u64 negative = 0 - (static_cast<u64>(coefficients[j] < 0) & static_cast<u64>(row[j] != 0));
        row[j] = (row[j] ^ negative) - negative + (q & negative);
      }
    } else {
      for (std::size_t j = 0; j < n; ++j) row[j] = ring::residue_of_real(coefficients[j], q);
    }
    kernels.ntt_forward(row, basis.table(index));
  });
  magnitudes.wipe();
}

// The centred coefficients of residues modulo the first primes of the chain, by mixed radix (Garner): digits
// v_0 + v_1 q_0 + v_2 q_0 q_1 + …. A number above Q/2 is read as -(Q - 1 - x) - 1, whose digits are q_i - 1 - v_i, so
// that a small negative number is summed from small digits and keeps its precision.
std::vector<double> centred(const ring::CoefficientPoly& poly, const ring::RnsBasis& basis) {
  const std::size_t count = poly.limbs().data;
  std::vector<std::vector<u64>> inverses(count);  // inverses[i][j] = q_j^-1 mod q_i
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      inverses[i].push_back(ring::inverse_mod(basis.prime(j) % basis.prime(i), basis.prime(i)));
    }
  }
  std::vector<double> result(poly.n());
  std::vector<u64> digits(count);
  for (std::size_t k = 0; k < poly.n(); ++k) {
    for (std::size_t i = 0; i < count; ++i) {
      const kernels::ModulusConstants& m = basis.modulus(i);
      u64 digit = poly.row(i)[k];
      for (std::size_t j = 0; j < i; ++j) {
        const u64 difference = digit + m.q - ring::reduce_wide(digits[j], m);
        digit = ring::reduce_wide(static_cast<kernels::u128>(difference) * inverses[i][j], m);
      }
      digits[i] = digit;
    }
    // The sign of a decrypted coefficient depends on the key: no branch on it.
    const u64 negative = (basis.prime(count - 1) / 2 - digits[count - 1]) >> 63;
    double value = 0;
    for (std::size_t i = count; i-- > 0;) {
      const u64 q = basis.prime(i);
      const u64 chosen = digits[i] + ((q - 1 - 2 * digits[i]) & (0 - negative));
      value = value * static_cast<double>(q) + static_cast<double>(static_cast<std::int64_t>(chosen));
    }
    const double sign = static_cast<double>(static_cast<std::int64_t>(negative));
    result[k] = value * (1 - 2 * sign) - sign;
  }
  return result;
}

}  // namespace

Encoder::Encoder(const ring::RnsBasis& basis, std::uint64_t slot_generator)
    : basis_(basis), n_(basis.n()), order_(basis.n(), slot_generator) {
  const std::size_t slots = n_ / 2;
  cos_.resize(slots);
  sin_.resize(slots);
  for (std::size_t length = 2; length <= slots; length *= 2) {
    std::uint64_t power = 1;  // 5^j mod 4 * length
    for (std::size_t j = 0; j < length / 2; ++j) {
      const double angle = 2 * std::numbers::pi * static_cast<double>(power) / static_cast<double>(4 * length);
      cos_[length / 2 - 1 + j] = std::cos(angle);
      sin_[length / 2 - 1 + j] = std::sin(angle);
      power = power * 5 % (4 * length);
    }
  }
}

void Encoder::reverse(std::vector<double>& values) const {
  const int bits = std::countr_zero(values.size());
  for (std::uint32_t i = 0; i < values.size(); ++i) {
    const std::uint32_t j = ring::reverse_bits(i, bits);
    if (i < j) std::swap(values[i], values[j]);
  }
}

void Encoder::embed(std::vector<double>& re, std::vector<double>& im) const {
  reverse(re);
  reverse(im);
  for (std::size_t length = 2; length <= re.size(); length *= 2) {
    const std::size_t half = length / 2;
    const double* c = cos_.data() + half - 1;
    const double* s = sin_.data() + half - 1;
    for (std::size_t i = 0; i < re.size(); i += length) {
      double* r0 = re.data() + i;
      double* i0 = im.data() + i;
      for (std::size_t j = 0; j < half; ++j) {
        const double vr = r0[j + half] * c[j] - i0[j + half] * s[j];
        const double vi = r0[j + half] * s[j] + i0[j + half] * c[j];
        r0[j + half] = r0[j] - vr;
        i0[j + half] = i0[j] - vi;
        r0[j] += vr;
        i0[j] += vi;
      }
    }
  }
}

void Encoder::embed_inverse(std::vector<double>& re, std::vector<double>& im) const {
  for (std::size_t length = re.size(); length >= 2; length /= 2) {
    const std::size_t half = length / 2;
    const double* c = cos_.data() + half - 1;
    const double* s = sin_.data() + half - 1;
    for (std::size_t i = 0; i < re.size(); i += length) {
      double* r0 = re.data() + i;
      double* i0 = im.data() + i;
      for (std::size_t j = 0; j < half; ++j) {
        const double dr = r0[j] - r0[j + half];
        const double di = i0[j] - i0[j + half];
        r0[j] += r0[j + half];
        i0[j] += i0[j + half];
        r0[j + half] = dr * c[j] + di * s[j];
        i0[j + half] = di * c[j] - dr * s[j];
      }
    }
  }
  reverse(re);
  reverse(im);
}

NttPoly Encoder::encode(std::span<const Complex> values, double scale, Limbs limbs) const {
  const std::size_t slots = slot_count();
  if (values.size() != slots) {
    throw std::invalid_argument("encode takes " + std::to_string(slots) + " values, got " +
                                std::to_string(values.size()));
  }
  if (!(scale > 0) || !std::isfinite(scale))
    throw LevelError("scale is " + std::to_string(scale) + ", expected above 0");
  std::vector<double> re(slots);
  std::vector<double> im(slots);
  for (std::size_t j = 0; j < slots; ++j) {
    const std::size_t at = order_.position(j);
    re[at] = values[j].real();
    im[at] = order_.conjugated(j) ? -values[j].imag() : values[j].imag();
  }
  embed_inverse(re, im);
  std::vector<double> coefficients(n_);
  const double factor = scale / static_cast<double>(slots);
  for (std::size_t j = 0; j < slots; ++j) {
    coefficients[j] = std::nearbyint(re[j] * factor);
    coefficients[j + slots] = std::nearbyint(im[j] * factor);
  }
  NttPoly result = lift(coefficients, limbs);
  for (std::vector<double>* secret : {&coefficients, &re, &im}) wipe(*secret);
  return result;
}

NttPoly Encoder::lift(std::span<const double> coefficients, Limbs limbs) const {
  if (coefficients.size() != n_) throw std::invalid_argument("a ring element has one coefficient for each power");
  double largest = 0;
  for (double c : coefficients) {
    if (!std::isfinite(c)) throw LevelError("the values times the scale leave the range of a double: use smaller ones");
    largest = std::fmax(largest, std::fabs(c));
  }
  double log2_q = 0;
  for (std::size_t i = 0; i < limbs.data; ++i) log2_q += std::log2(static_cast<double>(basis_.prime(i)));
  if (largest > 0 && std::log2(largest) + 1 >= log2_q) {
    throw LevelError("the values times the scale need " + std::to_string(std::log2(largest) + 1) +
                     " bits, the modulus at this level has " + std::to_string(log2_q) +
                     ": use a smaller scale or a higher level");
  }
  NttPoly result(n_, limbs);
  to_residues(result, coefficients, largest, basis_);
  return result;
}

std::vector<Complex> Encoder::decode(const NttPoly& poly, double scale) const {
  if (poly.n() != n_ || poly.limbs().data > basis_.data_count()) {
    throw std::invalid_argument("decode: the plaintext was made under other parameters");
  }
  const std::size_t slots = slot_count();
  ring::CoefficientPoly copy = to_coefficients(NttPoly(poly), basis_);
  std::vector<double> coefficients = centred(copy, basis_);
  copy.wipe();
  std::vector<double> re(slots);
  std::vector<double> im(slots);
  for (std::size_t j = 0; j < slots; ++j) {
    re[j] = coefficients[j] / scale;
    im[j] = coefficients[j + slots] / scale;
  }
  embed(re, im);
  std::vector<Complex> values(slots);
  for (std::size_t j = 0; j < slots; ++j) {
    const std::size_t at = order_.position(j);
    values[j] = {re[at], order_.conjugated(j) ? -im[at] : im[at]};
  }
  for (std::vector<double>* secret : {&coefficients, &re, &im}) wipe(*secret);
  return values;
}

}  // namespace hetorch::ckks
