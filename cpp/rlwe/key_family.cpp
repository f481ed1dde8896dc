#include "rlwe/key_family.h"

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

KeyFamily::KeyFamily(const ring::RnsBasis& basis, KeyShape shape) : basis_(basis), shape_(shape) {
  const std::size_t data = basis.data_count();
  if (shape.digit_size == 0 || shape.digit_size > data) {
    throw std::invalid_argument("digit_size is " + std::to_string(shape.digit_size) + ", expected 1 to " +
                                std::to_string(data));
  }
  if (shape.special_count > basis.special_count()) {
    throw std::invalid_argument("keys with " + std::to_string(shape.special_count) + " special primes, there are " +
                                std::to_string(basis.special_count()));
  }
  if (shape.special_count == 0) return;
  const std::vector<std::size_t> specials = range(data, data + shape.special_count);
  special_converter_ = std::make_unique<ring::BaseConverter>(basis, specials);
  rescaling_converters_.resize(data);
  for (std::size_t level = 0; level < data; ++level) {
    std::vector<std::size_t> sources = specials;
    sources.push_back(level);
    rescaling_converters_[level] = std::make_unique<ring::BaseConverter>(basis, sources);
  }
  digit_converters_.resize(digit_count(max_level()));
  for (std::size_t digit = 0; digit < digit_converters_.size(); ++digit) {
    const std::size_t begin = digit_begin(digit);
    for (std::size_t end = begin + 1; end <= digit_end(digit, max_level()); ++end) {
      digit_converters_[digit].push_back(std::make_unique<ring::BaseConverter>(basis, range(begin, end)));
    }
  }
}

}  // namespace hetorch::rlwe
