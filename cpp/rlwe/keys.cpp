#include "rlwe/keys.h"

#include <stdexcept>

namespace hetorch::rlwe {
namespace {

using kernels::kPackedBlock;

}  // namespace

SwitchingKey::SwitchingKey(std::size_t key_level, const Context& context)
    : level(key_level),
      n_(context.n()),
      limbs_(context.extended_limbs(key_level)),
      digit_count_(context.digit_count(key_level)) {
  std::size_t bytes = 0;
  for (std::size_t r = 0; r < limbs_.count(); ++r) {
    bits_.push_back(kernels::packed_bits(context.basis().prime(context.basis().index(limbs_, r))));
    starts_.push_back(bytes);
    bytes += n_ / kPackedBlock * block_bytes(r);
  }
  words_ = ring::Buffer((bytes + kernels::kPackedPadding + 7) / 8);
}

void SwitchingKey::set(std::size_t d, const NttPoly& b, const NttPoly& a) {
  const NttPoly* halves[] = {&b, &a};
  for (const NttPoly* half : halves) {
    if (d >= digit_count_ || half->limbs() != limbs_ || half->n() != n_) {
      throw std::invalid_argument("a digit of a switching key of another shape");
    }
  }
  ring::parallel_rows(b, [&](std::size_t r) {
    auto* to = reinterpret_cast<std::uint8_t*>(words_.data()) + starts_[r] + 2 * d * static_cast<std::size_t>(bits_[r]);
    for (std::size_t j = 0; j < n_; j += kPackedBlock) {
      for (std::size_t h = 0; h < 2; ++h)
        kernels::pack_block(to + h * static_cast<std::size_t>(bits_[r]), halves[h]->row(r) + j, bits_[r]);
      to += block_bytes(r);
    }
  });
}

NttPoly SwitchingKey::half(std::size_t d, std::size_t h) const {
  NttPoly result(n_, limbs_);
  ring::parallel_rows(result, [&](std::size_t r) {
    const std::uint8_t* from = bytes() + starts_[r] + (2 * d + h) * static_cast<std::size_t>(bits_[r]);
    for (std::size_t j = 0; j < n_; j += kPackedBlock) {
      kernels::unpack_block(result.row(r) + j, from, bits_[r]);
      from += block_bytes(r);
    }
  });
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
