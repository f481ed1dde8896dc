#include "rlwe/context.h"

#include <stdexcept>
#include <string>

namespace hetorch::rlwe {

Context::Context(std::size_t ring_degree, const std::vector<std::uint64_t>& data,
                 const std::vector<std::uint64_t>& special, std::size_t digit_size, const std::vector<KeyShape>& others)
    : basis_(ring_degree, data, special) {
  families_.push_back(std::make_unique<KeyFamily>(basis_, KeyShape{special.size(), digit_size}));
  for (const KeyShape& shape : others) {
    if (shape.special_count == 0) throw std::invalid_argument("a family of switching keys needs special primes");
    families_.push_back(std::make_unique<KeyFamily>(basis_, shape));
  }
  for (std::size_t level = 0; level < data.size(); ++level) {
    prime_converters_.push_back(std::make_unique<ring::BaseConverter>(basis_, std::vector<std::size_t>{level}));
  }
}

const KeyFamily& Context::family(KeyShape shape) const {
  for (const std::unique_ptr<KeyFamily>& family : families_) {
    if (family->shape() == shape) return *family;
  }
  throw std::invalid_argument("switching keys with " + std::to_string(shape.special_count) + " special primes and " +
                              std::to_string(shape.digit_size) +
                              " primes in a digit were made under other parameters: there is no such family here");
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

void Context::check_data(const NttPoly& poly) const {
  check(poly);
  if (poly.limbs().special != 0) {
    throw std::invalid_argument("a raised ciphertext, over the special primes too, is for CoeffsToSlots only");
  }
}

}  // namespace hetorch::rlwe
