// The parameters of RLWE operations: the ring, the digits of key switching, and the constants of its divisions.
#pragma once

#include <memory>
#include <vector>

#include "ring/convert.h"
#include "ring/poly.h"

namespace hetorch::rlwe {

using ring::Limbs;
using ring::NttPoly;

class Context {
 public:
  // data: q_0…q_L; special: the prime factors of P, none if there are to be no switching keys; digit_size: number of
  // data primes in a digit, at least 1. Throws std::invalid_argument.
  Context(std::size_t ring_degree, const std::vector<std::uint64_t>& data, const std::vector<std::uint64_t>& special,
          std::size_t digit_size);

  const ring::RnsBasis& basis() const { return basis_; }
  std::size_t n() const { return basis_.n(); }
  std::size_t max_level() const { return basis_.data_count() - 1; }
  std::size_t digit_size() const { return digit_size_; }

  Limbs data_limbs(std::size_t level) const { return {level + 1, 0}; }
  Limbs extended_limbs(std::size_t level) const { return {level + 1, basis_.special_count()}; }

  // At a level, digit d consists of the data primes [digit_begin(d), digit_end(d, level)).
  std::size_t digit_count(std::size_t level) const { return level / digit_size_ + 1; }
  std::size_t digit_begin(std::size_t digit) const { return digit * digit_size_; }
  std::size_t digit_end(std::size_t digit, std::size_t level) const {
    return std::min((digit + 1) * digit_size_, level + 1);
  }

  // Throw std::invalid_argument unless `poly` has this ring degree, data primes of this chain, and either none or all
  // special primes. An object made under other parameters would be read beyond its end.
  void check(const NttPoly& poly) const;

  // Converter from the primes of a digit.
  const ring::BaseConverter& digit_converter(std::size_t digit, std::size_t level) const {
    return *digit_converters_[digit][digit_end(digit, level) - digit_begin(digit) - 1];
  }
  // Converter from the special primes.
  const ring::BaseConverter& special_converter() const { return *special_converter_; }
  // Converter from the special primes and q_level.
  const ring::BaseConverter& rescaling_converter(std::size_t level) const { return *rescaling_converters_[level]; }
  // Converter from q_level alone.
  const ring::BaseConverter& prime_converter(std::size_t level) const { return *prime_converters_[level]; }

 private:
  ring::RnsBasis basis_;
  std::size_t digit_size_;
  std::vector<std::vector<std::unique_ptr<ring::BaseConverter>>> digit_converters_;
  std::unique_ptr<ring::BaseConverter> special_converter_;
  std::vector<std::unique_ptr<ring::BaseConverter>> rescaling_converters_;
  std::vector<std::unique_ptr<ring::BaseConverter>> prime_converters_;
};

}  // namespace hetorch::rlwe
