// The parameters of RLWE operations: the ring, and the families of its switching keys.
#pragma once

#include "rlwe/key_family.h"

namespace hetorch::rlwe {

class Context {
 public:
  // data: q_0…q_L; special: the prime factors of P, none if there are to be no switching keys; digit_size: number of
  // data primes in a digit of the main family, at least 1; others: the shapes of further families. Throws
  // std::invalid_argument.
  Context(std::size_t ring_degree, const std::vector<std::uint64_t>& data, const std::vector<std::uint64_t>& special,
          std::size_t digit_size, const std::vector<KeyShape>& others = {});
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const ring::RnsBasis& basis() const { return basis_; }
  std::size_t n() const { return basis_.n(); }
  std::size_t max_level() const { return basis_.data_count() - 1; }
  Limbs data_limbs(std::size_t level) const { return {level + 1, 0}; }
  // All primes.
  Limbs all_limbs() const { return {basis_.data_count(), basis_.special_count()}; }

  // The family with all special primes.
  const KeyFamily& main() const { return *families_[0]; }
  // The family of this shape. Throws std::invalid_argument if there is none.
  const KeyFamily& family(KeyShape shape) const;

  // Throw std::invalid_argument unless `poly` has this ring degree, data primes of this chain, and either none or all
  // special primes. An object made under other parameters would be read beyond its end.
  void check(const NttPoly& poly) const;
  // The same, and throw for a polynomial over the special primes too, such as a raised one: of a sum with another its
  // rows of the special primes would be read where the other has none.
  void check_data(const NttPoly& poly) const;

  // Converter from q_level alone.
  const ring::BaseConverter& prime_converter(std::size_t level) const { return *prime_converters_[level]; }

 private:
  ring::RnsBasis basis_;
  std::vector<std::unique_ptr<KeyFamily>> families_;
  std::vector<std::unique_ptr<ring::BaseConverter>> prime_converters_;
};

}  // namespace hetorch::rlwe
