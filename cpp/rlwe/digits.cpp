#include "rlwe/digits.h"

namespace hetorch::rlwe {

using kernels::u64;

Decomposition::Decomposition(const NttPoly& poly, const Context& context) : poly_(poly), context_(context) {
  for (std::size_t d = 0; d < context.digit_count(level()); ++d) {
    extensions_.emplace_back(context.digit_converter(d, level()), context.basis());
  }
}

void Decomposition::put(std::size_t r) {
  const std::size_t d = r / context_.digit_size();
  extensions_[d].put(r - context_.digit_begin(d), poly_.row(r));
}

void Decomposition::extend(const u64** digits, const RowGroup& group, u64* scratch) const {
  const ring::RnsBasis& basis = context_.basis();
  const Limbs extended = context_.extended_limbs(level());
  const std::size_t n = context_.n();
  for (std::size_t d = 0; d < digit_count(); ++d) {
    extensions_[d].wait();  // also for rows that are taken as they are: the polynomial may still be in the making
    u64* outs[64];
    std::size_t targets[64];
    std::size_t count = 0;
    for (std::size_t g = 0; g < group.count(); ++g) {
      const std::size_t r = group.begin + g;
      const u64*& digit = digits[d * group.count() + g];
      if (r >= context_.digit_begin(d) && r < context_.digit_end(d, level())) {
        digit = poly_.row(r);
        continue;
      }
      outs[count] = scratch + (d * group.count() + g) * n;
      targets[count] = basis.index(extended, r);
      digit = outs[count++];
    }
    if (count == 0) continue;
    extensions_[d].take(outs, targets, count);
    for (std::size_t t = 0; t < count; ++t) basis.kernels(targets[t]).ntt_forward(outs[t], basis.table(targets[t]));
  }
}

Digits::Digits(const NttPoly& poly, const Context& context)
    : level_(poly.limbs().data - 1), row_count_(context.extended_limbs(level_).count()) {
  Decomposition decomposition(poly, context);
  const std::size_t n = context.n();
  const std::size_t digit_count = decomposition.digit_count();
  storage_ = ring::Buffer(digit_count * row_count_ * n);
  rows_.resize(digit_count * row_count_);
  const std::vector<RowGroup> groups = row_groups(0, row_count_, digit_count, n);
  const std::size_t first = level_ + 1;
  run_stages(first + groups.size(), {&decomposition.extensions()}, [&](std::size_t task) {
    if (task < first) return decomposition.put(task);
    const RowGroup& group = groups[task - first];
    std::vector<const u64*> digits(digit_count * group.count());
    decomposition.extend(digits.data(), group, storage_.data() + group.begin * digit_count * n);
    for (std::size_t d = 0; d < digit_count; ++d) {
      for (std::size_t g = 0; g < group.count(); ++g) {
        rows_[d * row_count_ + group.begin + g] = digits[d * group.count() + g];
      }
    }
  });
}

}  // namespace hetorch::rlwe
