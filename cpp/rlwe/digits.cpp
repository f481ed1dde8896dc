#include "rlwe/digits.h"

namespace hetorch::rlwe {

using kernels::u64;

Decomposition::Decomposition(const NttPoly& poly, const KeyFamily& family) : poly_(poly), family_(family) {
  for (std::size_t d = 0; d < family.digit_count(level()); ++d) {
    extensions_.emplace_back(family.digit_converter(d, level()), family.basis());
  }
}

void Decomposition::put(std::size_t r) {
  const std::size_t d = r / family_.digit_size();
  extensions_[d].put(r - family_.digit_begin(d), poly_.row(r));
}

void Decomposition::convert(std::size_t d, const RowGroup& group, u64* scratch) const {
  const Limbs extended = family_.extended_limbs(level());
  extensions_[d].wait();  // also for the digit's own rows: the polynomial may not be complete yet
  u64* outs[kMostGroupRows];
  std::size_t targets[kMostGroupRows];
  std::size_t count = 0;
  for (std::size_t g = 0; g < group.count(); ++g) {
    const std::size_t r = group.begin + g;
    if (owns(d, r)) continue;
    outs[count] = scratch + (d * group.count() + g) * family_.n();
    targets[count++] = family_.basis().index(extended, r);
  }
  extensions_[d].take(outs, targets, count);
}

void Decomposition::transform(std::size_t d, const RowGroup& group, std::size_t g, u64* scratch) const {
  const std::size_t r = group.begin + g;
  if (owns(d, r)) return;
  const std::size_t index = family_.basis().index(family_.extended_limbs(level()), r);
  u64* row = scratch + (d * group.count() + g) * family_.n();
  family_.basis().kernels(index).ntt_forward(row, family_.basis().table(index));
}

void Decomposition::extend(const u64** digits, const RowGroup& group, std::size_t g, u64* scratch) const {
  const bool at_once = stay_in_cache(family_.n());
  for (std::size_t d = 0; g == 0 && d < digit_count(); ++d) {
    convert(d, group, scratch);
    for (std::size_t i = 0; at_once && i < group.count(); ++i) transform(d, group, i, scratch);
  }
  for (std::size_t d = 0; d < digit_count(); ++d) {
    if (!at_once) transform(d, group, g, scratch);
    digits[d] = owns(d, group.begin + g) ? poly_.row(group.begin + g) : scratch + (d * group.count() + g) * family_.n();
  }
}

Digits::Digits(const NttPoly& poly, const KeyFamily& family)
    : level_(poly.limbs().data - 1), row_count_(family.extended_limbs(level_).count()) {
  Decomposition decomposition(poly, family);
  const std::size_t n = family.n();
  const std::size_t digit_count = decomposition.digit_count();
  storage_ = ring::Buffer(digit_count * row_count_ * n);
  rows_.resize(digit_count * row_count_);
  const std::vector<RowGroup> groups = row_groups(0, row_count_, {digit_count, family.digit_size() + 1}, n);
  const std::size_t first = level_ + 1;
  run_stages(first + groups.size(), {&decomposition.extensions()}, [&](std::size_t task) {
    if (task < first) return decomposition.put(task);
    const RowGroup& group = groups[task - first];
    u64* scratch = storage_.data() + group.begin * digit_count * n;
    for (std::size_t g = 0; g < group.count(); ++g) {
      const u64* digits[64];
      decomposition.extend(digits, group, g, scratch);
      for (std::size_t d = 0; d < digit_count; ++d) rows_[d * row_count_ + group.begin + g] = digits[d];
    }
  });
}

Digits::Digits(const NttPoly& poly) : level_(poly.limbs().data - 1), row_count_(poly.limbs().count()) {
  for (std::size_t r = 0; r < row_count_; ++r) rows_.push_back(poly.row(r));
}

}  // namespace hetorch::rlwe
