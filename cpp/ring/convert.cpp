#include "ring/convert.h"

#include <algorithm>

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
  const std::size_t count = basis_.data_count() + basis_.special_count();
  weights_.resize(count);
  products_.assign(count, 0);
  inverse_products_.assign(count, 0);
  for (std::size_t target = 0; target < count; ++target) {
    if (std::find(sources_.begin(), sources_.end(), target) != sources_.end()) continue;
    const u64 q = basis_.prime(target);
    for (std::size_t i = 0; i < sources_.size(); ++i) weights_[target].push_back(product_without(i, q));
    products_[target] = product_without(sources_.size(), q);
    weights_[target].push_back(q - products_[target]);
    inverse_products_[target] = inverse_mod(products_[target], q);
  }
}

void BaseConverter::scale(u64* row, std::size_t i) const {
  basis_.kernels().multiply_scalar(row, row, inverse_hats_[i], basis_.n(), basis_.modulus(sources_[i]));
}

void BaseConverter::quotient(u64* v, const u64* const* y) const {
  basis_.kernels().round_quotient(v, y, inverses_.data(), sources_.size(), basis_.n());
}

void BaseConverter::convert(u64* out, std::size_t target, const u64* const* y_and_v) const {
  basis_.kernels().weighted_sum(out, y_and_v, weights_[target].data(), sources_.size() + 1, basis_.n(),
                                basis_.modulus(target));
}

}  // namespace hetorch::ring
