#include "ring/convert.h"

#include <algorithm>
#include <array>

#include "ring/buffer.h"
#include "ring/modulus.h"

namespace hetorch::ring {

BaseConverter::BaseConverter(const RnsBasis& basis, std::vector<std::size_t> sources)
    : basis_(basis), sources_(std::move(sources)) {
  // The product of all sources but `left_out`, modulo q; left_out = sources_.size() leaves none out.
  auto product_without = [&](std::size_t left_out, u64 q) {
    u64 product = 1;
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      if (i != left_out) product = multiply_mod(product, basis_.prime(sources_[i]) % q, q);
    }
    return product;
  };
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    const u64 q = basis_.prime(sources_[i]);
    inverse_hats_.push_back(inverse_mod(product_without(i, q), q));
    inverses_.push_back(1.0 / static_cast<double>(q));
  }
  u64 largest = 0;
  for (std::size_t source : sources_) largest = std::max(largest, basis_.prime(source));
  quotient_kernels_ = &kernels::select(largest);
  const std::size_t count = basis_.data_count() + basis_.special_count();
  wide_.resize(count);
  weights_.resize(count);
  products_.assign(count, 0);
  inverse_products_.assign(count, 0);
  for (std::size_t target = 0; target < count; ++target) {
    if (std::find(sources_.begin(), sources_.end(), target) != sources_.end()) continue;
    const u64 q = basis_.prime(target);
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      weights_[target].push_back(product_without(i, q));
      if (basis_.prime(sources_[i]) >> basis_.kernels(target).modulus_bits) wide_[target].push_back(i);
    }
    products_[target] = product_without(sources_.size(), q);
    weights_[target].push_back(q - products_[target]);
    inverse_products_[target] = inverse_mod(products_[target], q);
  }
}

void BaseConverter::scaled_inverse(u64* out, const u64* row, std::size_t i) const {
  const std::size_t source = sources_[i];
  basis_.kernels(source).ntt_inverse_multiply(out, row, inverse_hats_[i], basis_.table(source));
}

void BaseConverter::quotient(u64* v, const u64* const* y, std::size_t begin, std::size_t length) const {
  if (sources_.size() == 1) return;  // convert() compares with half of the prime
  std::array<const u64*, 64> rows;
  for (std::size_t i = 0; i < sources_.size(); ++i) rows[i] = y[i] + begin;
  quotient_kernels_->round_quotient(v + begin, rows.data(), inverses_.data(), sources_.size(), length);
}

void BaseConverter::convert(u64* const* outs, const std::size_t* targets, std::size_t count,
                            const u64* const* y_and_v) const {
  if (sources_.size() == 1) {
    for (std::size_t t = 0; t < count; ++t) {
      basis_.kernels(targets[t])
          .reduce_centred(outs[t], y_and_v[0], basis_.prime(sources_[0]), basis_.n(), basis_.modulus(targets[t]));
    }
    return;
  }
  // Neighbouring targets of one path that need no source reduced are converted together, so that each source is read
  // once.
  std::array<const u64*, 65> weights;
  std::array<const kernels::ModulusConstants*, 65> moduli;
  for (std::size_t begin = 0; begin < count;) {
    if (!wide_[targets[begin]].empty()) {
      convert_one(outs[begin], targets[begin], y_and_v);
      ++begin;
      continue;
    }
    const kernels::Kernels& path = basis_.kernels(targets[begin]);
    std::size_t end = begin;
    for (; end < count && &basis_.kernels(targets[end]) == &path && wide_[targets[end]].empty(); ++end) {
      weights[end - begin] = weights_[targets[end]].data();
      moduli[end - begin] = &basis_.modulus(targets[end]);
    }
    path.weighted_sums(outs + begin, y_and_v, weights.data(), moduli.data(), end - begin, sources_.size() + 1,
                       basis_.n());
    begin = end;
  }
}

void BaseConverter::convert_one(u64* out, std::size_t target, const u64* const* y_and_v) const {
  const std::size_t n = basis_.n();
  const kernels::ModulusConstants& m = basis_.modulus(target);
  const std::vector<std::size_t>& wide = wide_[target];
  std::array<const u64*, 65> rows;
  std::copy_n(y_and_v, sources_.size() + 1, rows.begin());
  Buffer reduced(wide.size() * n);
  for (std::size_t i = 0; i < wide.size(); ++i) {
    u64* narrow = reduced.data() + i * n;
    basis_.kernels(target).reduce_wide(narrow, y_and_v[wide[i]], n, m);
    rows[wide[i]] = narrow;
  }
  basis_.kernels(target).weighted_sum(out, rows.data(), weights_[target].data(), sources_.size() + 1, n, m);
}

}  // namespace hetorch::ring
