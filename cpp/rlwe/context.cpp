#include "rlwe/context.h"

#include <numeric>
#include <stdexcept>
#include <string>

namespace hetorch::rlwe {
namespace {

std::vector<std::size_t> range(std::size_t begin, std::size_t end) {
  std::vector<std::size_t> result(end - begin);
  std::iota(result.begin(), result.end(), begin);
  return result;
}

}  // namespace

Context::Context(std::size_t ring_degree, const std::vector<std::uint64_t>& data,
                 const std::vector<std::uint64_t>& special, std::size_t digit_size)
    : basis_(ring_degree, data, special), digit_size_(digit_size) {
  if (digit_size == 0 || digit_size > data.size()) {
    throw std::invalid_argument("digit_size is " + std::to_string(digit_size) + ", expected 1 to " +
                                std::to_string(data.size()));
  }
  const std::size_t first_special = basis_.data_count();
  const std::vector<std::size_t> specials = range(first_special, first_special + basis_.special_count());
  prime_converters_.resize(data.size());
  for (std::size_t level = 0; level < data.size(); ++level) {
    prime_converters_[level] = std::make_unique<ring::BaseConverter>(basis_, range(level, level + 1));
  }
  if (specials.empty()) return;
  special_converter_ = std::make_unique<ring::BaseConverter>(basis_, specials);
  rescaling_converters_.resize(data.size());
  for (std::size_t level = 0; level < data.size(); ++level) {
    std::vector<std::size_t> sources = specials;
    sources.push_back(level);
    rescaling_converters_[level] = std::make_unique<ring::BaseConverter>(basis_, sources);
  }
  digit_converters_.resize(digit_count(max_level()));
  for (std::size_t digit = 0; digit < digit_converters_.size(); ++digit) {
    const std::size_t begin = digit_begin(digit);
    for (std::size_t end = begin + 1; end <= digit_end(digit, max_level()); ++end) {
      digit_converters_[digit].push_back(std::make_unique<ring::BaseConverter>(basis_, range(begin, end)));
    }
  }
}

void Context::check(const NttPoly& poly) const {
  const Limbs limbs = poly.limbs();
  if (poly.n() == n() && limbs.data >= 1 && limbs.data <= basis_.data_count() &&
      (limbs.special == 0 || limbs.special == basis_.special_count())) {
    return;
  }
  throw std::invalid_argument("an object made under other parameters: ring degree " + std::to_string(poly.n()) +
                              " and " + std::to_string(limbs.count()) + " primes, here ring degree " +
                              std::to_string(n()) + " and " + std::to_string(basis_.data_count()) +
                              " primes in the chain");
}

}  // namespace hetorch::rlwe
