#include "rlwe/keys.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace hetorch::rlwe {
namespace {

using kernels::kPackedBlock;

}  // namespace

SwitchingKey::SwitchingKey(Shape, std::size_t key_level, const KeyFamily& family)
    : level(key_level),
      n_(family.n()),
      shape_(family.shape()),
      limbs_(family.extended_limbs(key_level)),
      digit_count_(family.digit_count(key_level)) {
  for (std::size_t r = 0; r < limbs_.count(); ++r) {
    bits_.push_back(kernels::packed_bits(family.basis().prime(family.basis().index(limbs_, r))));
    starts_.push_back(byte_count_);
    byte_count_ += n_ / kPackedBlock * block_bytes(r);
  }
}

SwitchingKey::SwitchingKey(std::size_t key_level, const KeyFamily& family) : SwitchingKey(Shape{}, key_level, family) {
  words_ = ring::Buffer((byte_count_ + kernels::kPackedPadding + 7) / 8);
}

SwitchingKey::SwitchingKey(std::size_t key_level, const KeyFamily& family, std::span<const std::uint8_t> words,
                           std::shared_ptr<const void> owner)
    : SwitchingKey(Shape{}, key_level, family) {
  if (words.size() != byte_count_) throw std::invalid_argument("the words of a switching key of another shape");
  outside_ = words.data();
  owner_ = std::move(owner);
}

std::size_t SwitchingKey::word_bytes(std::size_t key_level, const KeyFamily& family) {
  return SwitchingKey(Shape{}, key_level, family).byte_count_;
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
    const std::uint8_t* from = packed() + starts_[r] + (2 * d + h) * static_cast<std::size_t>(bits_[r]);
    for (std::size_t j = 0; j < n_; j += kPackedBlock) {
      kernels::unpack_block(result.row(r) + j, from, bits_[r]);
      from += block_bytes(r);
    }
  });
  return result;
}

const KeyFamily& SwitchingKey::family(const Context& context) const {
  if (n_ != context.n() || level > context.max_level()) {
    throw std::invalid_argument("the evaluation keys were made under other parameters");
  }
  return context.family(shape_);
}

void EvaluationKeys::add(const KeyName& name, KeyPtr key) {
  if (key == nullptr) throw std::invalid_argument("a switching key is None");
  const KeyShape shape = key->shape();
  keys_[{name, shape}] = std::move(key);
}

const SwitchingKey* EvaluationKeys::find(const KeyName& name, std::size_t level) const {
  // The families of a name follow each other, those with fewer special primes first.
  for (auto entry = keys_.lower_bound({name, {}}); entry != keys_.end() && entry->first.first == name; ++entry) {
    if (entry->second->level >= level) return entry->second.get();
  }
  return nullptr;
}

KeyPtr EvaluationKeys::find(const KeyName& name, KeyShape shape) const {
  const auto entry = keys_.find({name, shape});
  return entry == keys_.end() ? nullptr : entry->second;
}

std::optional<std::size_t> EvaluationKeys::reach(const KeyName& name) const {
  std::optional<std::size_t> level;
  for (auto entry = keys_.lower_bound({name, {}}); entry != keys_.end() && entry->first.first == name; ++entry) {
    level = std::max(level.value_or(0), entry->second->level);
  }
  return level;
}

}  // namespace hetorch::rlwe
