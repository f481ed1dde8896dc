// A CKKS context: the parameters of RLWE operations and the encoder. Immutable, so threads may share it.
#pragma once

#include <cmath>
#include <vector>

#include "ckks/encoder.h"
#include "rlwe/context.h"

namespace hetorch::ckks {

class Context {
 public:
  // Arguments as for rlwe::Context and Encoder. Throws std::invalid_argument.
  Context(std::size_t ring_degree, const std::vector<std::uint64_t>& data, const std::vector<std::uint64_t>& special,
          std::size_t digit_size, std::uint64_t slot_generator = 5, const std::vector<rlwe::KeyShape>& others = {})
      : rlwe_(ring_degree, data, special, digit_size, others), encoder_(rlwe_.basis(), slot_generator) {
    double bits = 0;
    for (std::uint64_t q : data) log2_moduli_.push_back(bits += std::log2(static_cast<double>(q)));
  }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const rlwe::Context& rlwe() const { return rlwe_; }
  const ring::RnsBasis& basis() const { return rlwe_.basis(); }
  const Encoder& encoder() const { return encoder_; }
  std::size_t max_level() const { return rlwe_.max_level(); }
  // q_level, rounded to a double.
  double prime(std::size_t level) const { return static_cast<double>(basis().prime(level)); }
  // log2(q_0 … q_level)
  double log2_modulus(std::size_t level) const { return log2_moduli_[level]; }

 private:
  rlwe::Context rlwe_;
  Encoder encoder_;
  std::vector<double> log2_moduli_;
};

}  // namespace hetorch::ckks
