#include "rlwe/keys.h"

#include <stdexcept>
#include <utility>

namespace hetorch::rlwe {
namespace {

using kernels::kPackedBlock;

}  // namespace

SwitchingKey::SwitchingKey(Shape, std::size_t key_level, const Context& context)
    : level(key_level),
      n_(context.n()),
      limbs_(context.extended_limbs(key_level)),
      digit_count_(context.digit_count(key_level)) {
  for (std::size_t r = 0; r < limbs_.count(); ++r) {
    bits_.push_back(kernels::packed_bits(context.basis().prime(context.basis().index(limbs_, r))));
    starts_.push_back(byte_count_);
    byte_count_ += n_ / kPackedBlock * block_bytes(r);
  }
}

SwitchingKey::SwitchingKey(std::size_t key_level, const Context& context) : SwitchingKey(Shape{}, key_level, context) {
  words_ = ring::Buffer((byte_count_ + kernels::kPackedPadding + 7) / 8);
}

SwitchingKey::SwitchingKey(std::size_t key_level, const Context& context, std::span<const std::uint8_t> words,
                           std::shared_ptr<const void> owner)
    : SwitchingKey(Shape{}, key_level, context) {
  if (words.size() != byte_count_) throw std::invalid_argument("the words of a switching key of another shape");
  outside_ = words.data();
  owner_ = std::move(owner);
}

std::size_t SwitchingKey::word_bytes(std::size_t key_level, const Context& context) {
  return SwitchingKey(Shape{}, key_level, context).byte_count_;
}

void SwitchingKey::set(std::size_t d, const NttPoly& b, const NttPoly& a) {
  if (outside_ != nullptr) throw std::invalid_argument("a key over the words of a file cannot be changed");
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
