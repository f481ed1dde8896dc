#include "rlwe/extended.h"

namespace hetorch::rlwe {

using kernels::u64;
using ring::Buffer;

ExtendedPair rotate_extended(const ExtendedPair& pair, const SwitchingKey& key, const std::uint32_t* permutation,
                             const ExtendedPair* addend, const KeyFamily& family) {
  const ring::RnsBasis& basis = family.basis();
  const std::size_t n = family.n();
  const std::size_t level = pair[0].limbs().data - 1;
  const Limbs limbs = family.extended_limbs(level);
  const std::size_t digit_count = family.digit_count(level);
  const Divisor divisor = special_divisor(level, family);

  std::deque<Extension> divided;  // one, for the rows of P
  divided.emplace_back(*divisor.converter, basis);
  NttPoly second(n, family.data_limbs(level));  // the second half divided by P
  Decomposition decomposition(second, family);
  ExtendedPair out{NttPoly(n, limbs), NttPoly(n, limbs)};

  // The tasks in order: take in the rows of P, divide the data rows of the second half and decompose each, compute all
  // rows of the result.
  const std::size_t specials = divisor.rows.size();
  const std::vector<RowGroup> data_groups = row_groups(0, level + 1, {2, specials + 1}, n);
  const std::vector<RowGroup> groups = row_groups(0, limbs.count(), {digit_count + 2, family.digit_size() + 1}, n);
  const auto divide_group = [&](const RowGroup& group) {
    Buffer scratch(group.count() * n);
    const u64* minuends[kMostGroupRows];
    for (std::size_t g = 0; g < group.count(); ++g) minuends[g] = pair[1].row(group.begin + g);
    divide_rows(second, group, minuends, divided[0], divisor, {}, scratch.data(), basis);
    for (std::size_t r = group.begin; r < group.end; ++r) decomposition.put(r);
  };
  const auto switch_group = [&](const RowGroup& group) {
    Buffer scratch((digit_count * group.count() + 2) * n);
    u64* u[2] = {scratch.data() + digit_count * group.count() * n, nullptr};
    u[1] = u[0] + n;
    for (std::size_t g = 0; g < group.count(); ++g) {
      const std::size_t r = group.begin + g;
      const std::size_t index = basis.index(limbs, r);
      const kernels::Kernels& k = basis.kernels(index);
      const u64* digits[64];
      decomposition.extend(digits, group, g, scratch.data());
      inner_product_row(u[0], u[1], digits, r, level, key, pair[0].row(r), family);
      for (std::size_t h = 0; h < 2; ++h) {
        u64* result = out[h].row(r);
        k.permute(result, u[h], permutation, n);
        if (addend != nullptr) k.add(result, result, (*addend)[h].row(r), n, basis.modulus(index));
      }
    }
  };
  run_stages(specials + data_groups.size() + groups.size(), {&divided, &decomposition.extensions()},
             [&](std::size_t task) {
               if (task < specials) return divided[0].put(task, pair[1].row(divisor.rows[task]));
               task -= specials;
               if (task < data_groups.size()) return divide_group(data_groups[task]);
               switch_group(groups[task - data_groups.size()]);
             });
  return out;
}

}  // namespace hetorch::rlwe
