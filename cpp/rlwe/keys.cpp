#include "rlwe/keys.h"

#include <cstring>
#include <stdexcept>

namespace hetorch::rlwe {
namespace {

constexpr std::size_t kBlock = 8;  // words: see kernels::KeyProduct

}  // namespace

SwitchingKey::SwitchingKey(std::size_t key_level, const Context& context)
    : level(key_level),
      n_(context.n()),
      limbs_(context.extended_limbs(key_level)),
      digit_count_(context.digit_count(key_level)),
      words_(2 * digit_count_ * limbs_.count() * n_) {}

void SwitchingKey::set(std::size_t d, const NttPoly& b, const NttPoly& a) {
  const NttPoly* halves[] = {&b, &a};
  const std::size_t step = 2 * digit_count_;
  for (std::size_t h = 0; h < 2; ++h) {
    if (d >= digit_count_ || halves[h]->limbs() != limbs_ || halves[h]->n() != n_) {
      throw std::invalid_argument("a digit of a switching key of another shape");
    }
    const std::uint64_t* from = halves[h]->row(0);
    std::uint64_t* to = words_.data() + (2 * d + h) * kBlock;
    for (std::size_t j = 0; j < limbs_.count() * n_; j += kBlock) {
      std::memcpy(to + j * step, from + j, kBlock * sizeof(std::uint64_t));
    }
  }
}

NttPoly SwitchingKey::half(std::size_t d, std::size_t h) const {
  NttPoly result(n_, limbs_);
  const std::size_t step = 2 * digit_count_;
  const std::uint64_t* from = words_.data() + (2 * d + h) * kBlock;
  for (std::size_t j = 0; j < limbs_.count() * n_; j += kBlock) {
    std::memcpy(result.row(0) + j, from + j * step, kBlock * sizeof(std::uint64_t));
  }
  return result;
}

void SwitchingKey::check(const Context& context) const {
  if (n_ == context.n() && level <= context.max_level() && limbs_ == context.extended_limbs(level) &&
      digit_count_ == context.digit_count(level)) {
    return;
  }
  throw std::invalid_argument("the evaluation keys were made under other parameters");
}

}  // namespace hetorch::rlwe
