#include "circuits/embedding_factors.h"

#include <algorithm>
#include <bit>
#include <numbers>
#include <stdexcept>

namespace hetorch::circuits {
namespace {

using Complex = std::complex<double>;
using Values = std::vector<Complex>;

// Stage l of the embedding: (u, v) at a distance of l/2 become (u + w v, u - w v), w = zeta_4l^(5^j), j < l/2. The
// inverse takes (a, b) to ((a + b)/2, conj(w) (a - b)/2).
Factor stage(std::size_t length, bool inverse) {
  const std::size_t half = length / 2;
  Values same(length);
  Values ahead(length);
  Values behind(length);
  std::uint64_t power = 1;  // 5^j mod 4 length
  for (std::size_t j = 0; j < half; ++j) {
    const Complex root =
        std::polar(1.0, 2 * std::numbers::pi * static_cast<double>(power) / static_cast<double>(4 * length));
    const Complex factor = inverse ? 0.5 * std::conj(root) : root;
    same[j] = inverse ? 0.5 : 1.0;
    ahead[j] = inverse ? Complex(0.5) : factor;
    same[j + half] = -factor;
    behind[j + half] = inverse ? factor : Complex(1.0);
    power = power * 5 % (4 * length);
  }
  const auto distance = static_cast<std::int64_t>(half);
  return {length, half, {{0, same}, {distance, ahead}, {-distance, behind}}};
}

// second * first
Factor product(const Factor& second, const Factor& first) {
  Factor result;
  result.period = std::max(second.period, first.period);
  result.stride = std::min(second.stride, first.stride);
  const auto period = static_cast<std::int64_t>(result.period);
  for (const auto& [outer, a] : second.diagonals) {
    for (const auto& [inner, b] : first.diagonals) {
      Values& sum = result.diagonals.try_emplace(outer + inner, result.period).first->second;
      for (std::int64_t s = 0; s < period; ++s) {
        const auto from = static_cast<std::size_t>(((s + outer) % period + period) % period);
        sum[static_cast<std::size_t>(s)] += a[static_cast<std::size_t>(s) % a.size()] * b[from % b.size()];
      }
    }
  }
  return result;
}

// Add up diagonals whose steps are equal modulo the number of slots.
Factor wrapped(const Factor& factor, std::size_t slots) {
  if (factor.period < slots) return factor;
  const auto count = static_cast<std::int64_t>(slots);
  Factor result{factor.period, factor.stride, {}};
  for (const auto& [steps, values] : factor.diagonals) {
    Values& sum = result.diagonals.try_emplace((steps % count + count) % count, factor.period).first->second;
    for (std::size_t s = 0; s < sum.size(); ++s) sum[s] += values[s];
  }
  return result;
}

std::vector<Factor> factors(std::size_t slots, std::span<const std::size_t> radices, bool inverse) {
  std::size_t sum = 0;
  for (std::size_t radix : radices) sum += radix;
  if (!std::has_single_bit(slots) || slots < 2 || radices.empty() || std::ranges::count(radices, 0) != 0 ||
      sum != static_cast<std::size_t>(std::countr_zero(slots))) {
    throw std::invalid_argument(
        "the radices of an embedding are positive and add up to log2 of its slots, a power of 2");
  }
  std::vector<Factor> result;
  std::size_t length = inverse ? slots : 2;
  for (std::size_t radix : radices) {
    Factor factor;
    for (std::size_t i = 0; i < radix; ++i) {
      const Factor next = stage(length, inverse);
      factor = i == 0 ? next : product(next, factor);
      length = inverse ? length / 2 : length * 2;
    }
    result.push_back(wrapped(factor, slots));
  }
  return result;
}

}  // namespace

std::vector<Factor> embedding_factors(std::size_t slots, std::span<const std::size_t> radices) {
  return factors(slots, radices, false);
}

std::vector<Factor> inverse_factors(std::size_t slots, std::span<const std::size_t> radices) {
  return factors(slots, radices, true);
}

}  // namespace hetorch::circuits
