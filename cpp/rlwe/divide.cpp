#include "rlwe/divide.h"

#include <numeric>

namespace hetorch::rlwe {

using kernels::u64;
using ring::Buffer;

Divisor special_divisor(std::size_t level, const KeyFamily& family) {
  std::vector<std::size_t> rows(family.shape().special_count);
  std::iota(rows.begin(), rows.end(), level + 1);
  return {&family.special_converter(), rows, level + 1};
}

Divisor rescaling_divisor(std::size_t level, const KeyFamily& family) {
  Divisor result = special_divisor(level, family);
  result.converter = &family.rescaling_converter(level);
  result.rows.push_back(level);
  result.kept = level;
  return result;
}

Divisor last_divisor(std::size_t level, const Context& context) {
  return {&context.prime_converter(level), {level}, level};
}

void divide_row(NttPoly& out, std::size_t r, const u64* minuend, u64* converted, const Divisor& divisor,
                const Finish& finish, const ring::RnsBasis& basis) {
  const kernels::Kernels& k = basis.kernels(r);
  const std::size_t n = basis.n();
  const bool moved = finish.permutation != nullptr;
  u64* quotient = moved ? converted : out.row(r);
  k.ntt_forward_subtract_multiply(quotient, converted, minuend, divisor.converter->inverse_product(r), basis.table(r));
  if (finish.addend != nullptr) k.add(quotient, quotient, finish.addend->row(r), n, basis.modulus(r));
  if (moved) k.permute(out.row(r), quotient, finish.permutation, n);
}

void take_rows(u64* rows, const RowGroup& group, const Extension& sources, std::size_t n) {
  u64* outs[kMostGroupRows];
  std::size_t targets[kMostGroupRows];
  for (std::size_t g = 0; g < group.count(); ++g) {
    outs[g] = rows + g * n;
    targets[g] = group.begin + g;
  }
  sources.take(outs, targets, group.count());
}

void divide_rows(NttPoly& out, const RowGroup& group, const u64* const* minuends, const Extension& sources,
                 const Divisor& divisor, const Finish& finish, u64* scratch, const ring::RnsBasis& basis) {
  const std::size_t n = basis.n();
  take_rows(scratch, group, sources, n);
  for (std::size_t g = 0; g < group.count(); ++g) {
    divide_row(out, group.begin + g, minuends[g], scratch + g * n, divisor, finish, basis);
  }
}

std::vector<NttPoly> divide(std::span<const NttPoly* const> polys, const Divisor& divisor,
                            const ring::RnsBasis& basis) {
  const std::size_t n = basis.n();
  const std::size_t source_count = divisor.rows.size();
  std::deque<Extension> sources;
  std::vector<NttPoly> results;
  for (std::size_t p = 0; p < polys.size(); ++p) {
    sources.emplace_back(*divisor.converter, basis);
    results.emplace_back(n, Limbs{divisor.kept, 0});
  }
  const std::vector<RowGroup> groups = row_groups(0, divisor.kept, {2, source_count + 1}, n);
  const std::size_t first = polys.size() * source_count;
  run_stages(first + polys.size() * groups.size(), {&sources}, [&](std::size_t task) {
    if (task < first) {
      const std::size_t p = task / source_count;
      const std::size_t i = task % source_count;
      sources[p].put(i, polys[p]->row(divisor.rows[i]));
      return;
    }
    const std::size_t p = (task - first) / groups.size();
    const RowGroup& group = groups[(task - first) % groups.size()];
    Buffer scratch(group.count() * n);
    const u64* minuends[64];
    for (std::size_t g = 0; g < group.count(); ++g) minuends[g] = polys[p]->row(group.begin + g);
    divide_rows(results[p], group, minuends, sources[p], divisor, {}, scratch.data(), basis);
  });
  return results;
}

}  // namespace hetorch::rlwe
