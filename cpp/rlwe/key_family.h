// A family of switching keys: how many special primes and how many data primes in a digit its keys have, with the
// constants of its decompositions and divisions.
//
// A key switch at a low level needs fewer special primes than one at the top of the chain: its keys are smaller, and
// reading them is what takes the time. The special primes of a family are the first ones of the context.
#pragma once

#include <algorithm>
#include <compare>
#include <memory>
#include <vector>

#include "ring/convert.h"
#include "ring/poly.h"

namespace hetorch::rlwe {

using ring::Limbs;
using ring::NttPoly;

struct KeyShape {
  std::size_t special_count = 0;  // P is the product of the first `special_count` special primes; 0 allows no keys
  std::size_t digit_size = 1;     // number of data primes in a digit
  auto operator<=>(const KeyShape&) const = default;
};

class KeyFamily {
 public:
  // basis: must outlive this object. Throws std::invalid_argument unless the basis has that many special primes, and
  // digit_size is 1 to the number of data primes.
  KeyFamily(const ring::RnsBasis& basis, KeyShape shape);

  const ring::RnsBasis& basis() const { return basis_; }
  std::size_t n() const { return basis_.n(); }
  std::size_t max_level() const { return basis_.data_count() - 1; }
  KeyShape shape() const { return shape_; }
  std::size_t digit_size() const { return shape_.digit_size; }

  Limbs data_limbs(std::size_t level) const { return {level + 1, 0}; }
  Limbs extended_limbs(std::size_t level) const { return {level + 1, shape_.special_count}; }

  // At a level, digit d consists of the data primes [digit_begin(d), digit_end(d, level)).
  std::size_t digit_count(std::size_t level) const { return level / digit_size() + 1; }
  std::size_t digit_begin(std::size_t digit) const { return digit * digit_size(); }
  std::size_t digit_end(std::size_t digit, std::size_t level) const {
    return std::min((digit + 1) * digit_size(), level + 1);
  }

  // Converter from the primes of a digit.
  const ring::BaseConverter& digit_converter(std::size_t digit, std::size_t level) const {
    return *digit_converters_[digit][digit_end(digit, level) - digit_begin(digit) - 1];
  }
  // Converter from the special primes.
  const ring::BaseConverter& special_converter() const { return *special_converter_; }
  // Converter from the special primes and q_level.
  const ring::BaseConverter& rescaling_converter(std::size_t level) const { return *rescaling_converters_[level]; }

 private:
  const ring::RnsBasis& basis_;
  KeyShape shape_;
  std::vector<std::vector<std::unique_ptr<ring::BaseConverter>>> digit_converters_;
  std::unique_ptr<ring::BaseConverter> special_converter_;
  std::vector<std::unique_ptr<ring::BaseConverter>> rescaling_converters_;
};

}  // namespace hetorch::rlwe
