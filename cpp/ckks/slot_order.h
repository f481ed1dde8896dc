// The order of the slots: slot j is the value at zeta^(g^j), zeta = exp(pi i / N), for the generator g = 5 (ours) or 3
// (SEAL's). The embedding computes the order of 5; the order of 3 is a permutation of it, with some slots conjugated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace hetorch::ckks {

class SlotOrder {
 public:
  // For g = 3: the numbers -5^i modulo 2N are all numbers that are 3 modulo 4, so 3 is -5^t for one odd t below N/2.
  // Then 3^j is (-1)^j 5^(tj): slot j is slot tj mod N/2 of the order of 5, conjugated if j is odd.
  SlotOrder(std::size_t ring_degree, std::uint64_t generator) : generator_(generator), mask_(ring_degree / 2 - 1) {
    if (generator == 5) return;
    if (generator != 3) {
      throw std::invalid_argument("slot_generator is " + std::to_string(generator) + ", expected 5 or 3");
    }
    const std::uint64_t two_n = 2 * static_cast<std::uint64_t>(ring_degree);
    stride_ = 0;
    for (std::uint64_t power = 1; power != two_n - 3; power = power * 5 % two_n) ++stride_;
    odd_ = 1;
  }

  std::uint64_t generator() const { return generator_; }
  // position: the slot in the order of 5 that holds `slot`. conjugated: true if its value is conjugated there.
  std::size_t position(std::size_t slot) const { return slot * stride_ & mask_; }
  bool conjugated(std::size_t slot) const { return (slot & odd_) != 0; }

 private:
  std::uint64_t generator_;
  std::size_t mask_;
  std::size_t stride_ = 1;  // t above
  std::size_t odd_ = 0;     // 1 if odd slots are conjugated
};

}  // namespace hetorch::ckks
