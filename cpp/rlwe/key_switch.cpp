#include "rlwe/key_switch.h"

namespace hetorch::rlwe {
namespace {

using kernels::u64;
using ring::Buffer;

// One key switch in flight. The rows that the division takes away come first, then those that stay.
struct Switch {
  const Context& context;
  const SwitchingKey& key;
  std::size_t level;
  std::size_t digit_count;
  Divisor divisor;
  // Added after the division (`finish`), or before it, times P (`scaled`): rescaling divides them too.
  PairFinish finish{};
  std::array<const NttPoly*, 2> scaled{nullptr, nullptr};

  std::deque<Extension> divided{};
  std::array<NttPoly, 2> out{};
  std::vector<RowGroup> dropped_groups{};
  std::vector<RowGroup> kept_groups{};

  Switch(const Context& the_context, const SwitchingKey& the_key, std::size_t the_level, Divisor&& the_divisor)
      : context(the_context),
        key(the_key),
        level(the_level),
        digit_count(the_context.digit_count(the_level)),
        divisor(std::move(the_divisor)) {
    const Limbs limbs = context.extended_limbs(level);
    for (std::size_t h = 0; h < 2; ++h) {
      divided.emplace_back(*divisor.converter, context.basis());
      out[h] = NttPoly(context.n(), {divisor.kept, 0});
    }
    // The rows taken away are the last ones: q_level when rescaling, then P.
    dropped_groups = row_groups(divisor.kept, limbs.count(), digit_count + 2, context.n());
    kept_groups = row_groups(0, divisor.kept, digit_count + 2, context.n());
  }
  std::size_t group_count() const { return dropped_groups.size() + kept_groups.size(); }
  const RowGroup& group(std::size_t i) const {
    return i < dropped_groups.size() ? dropped_groups[i] : kept_groups[i - dropped_groups.size()];
  }
  // The converter's sources are P first and q_level last.
  std::size_t source(std::size_t row) const { return row > level ? row - level - 1 : divided[0].source_count() - 1; }

  // All that one group of rows needs, from its digits: digits[d * group.count() + g]. scratch: 2 rows for each row;
  // spare: one for each, which may hold digits: a row's is written when its digits are not needed any more.
  void run(const RowGroup& group, const u64* const* digits, u64* scratch, u64* spare) {
    const ring::RnsBasis& basis = context.basis();
    const std::size_t n = context.n();
    const std::size_t count = group.count();
    auto half = [&](std::size_t h, std::size_t g) { return scratch + (h * count + g) * n; };
    for (std::size_t g = 0; g < count; ++g) {
      const std::size_t row = group.begin + g;
      const u64* row_digits[64];
      for (std::size_t d = 0; d < digit_count; ++d) row_digits[d] = digits[d * count + g];
      inner_product_row(half(0, g), half(1, g), row_digits, row, level, key, nullptr, context);
      for (std::size_t h = 0; h < 2; ++h) {
        if (scaled[h] == nullptr || row > level) continue;
        const kernels::Kernels& k = basis.kernels(row);
        u64* addend = spare + g * n;
        k.multiply_scalar(addend, scaled[h]->row(row), context.special_converter().product(row), n, basis.modulus(row));
        k.add(half(h, g), half(h, g), addend, n, basis.modulus(row));
      }
    }
    if (group.begin >= divisor.kept) {
      for (std::size_t h = 0; h < 2; ++h) {
        for (std::size_t g = 0; g < count; ++g) divided[h].put(source(group.begin + g), half(h, g));
      }
      return;
    }
    for (std::size_t h = 0; h < 2; ++h) {
      const u64* minuends[kMostGroupRows];
      for (std::size_t g = 0; g < count; ++g) minuends[g] = half(h, g);
      divide_rows(out[h], group, minuends, divided[h], divisor, finish[h], spare, context);
    }
  }
};

std::array<NttPoly, 2> run_from_poly(Switch& work, const NttPoly& poly) {
  const Context& context = work.context;
  const std::size_t n = context.n();
  Decomposition decomposition(poly, context);
  const std::size_t first = work.level + 1;
  run_stages(first + work.group_count(), {&decomposition.extensions(), &work.divided}, [&](std::size_t task) {
    if (task < first) return decomposition.put(task);
    const RowGroup& group = work.group(task - first);
    Buffer scratch((work.digit_count + 2) * group.count() * n);
    const u64* digits[64 * kMostGroupRows];
    decomposition.extend(digits, group, scratch.data());
    work.run(group, digits, scratch.data() + work.digit_count * group.count() * n, scratch.data());
  });
  return std::move(work.out);
}

}  // namespace

kernels::KeyRow key_row(const SwitchingKey& key, std::size_t row, std::size_t level, std::size_t begin) {
  return key.row(row <= level ? row : row + (key.level - level), begin);
}

void inner_product_row(u64* out0, u64* out1, const u64* const* digits, std::size_t row, std::size_t level,
                       const SwitchingKey& key, const u64* addend, const Context& context) {
  // The key is asked for so far ahead (8 KiB): it comes from memory, and the processor's own prefetching ends at pages.
  constexpr std::size_t kAhead = 8192;
  const std::size_t index = context.basis().index(context.extended_limbs(level), row);
  const kernels::KeyRow from = key_row(key, row, level, 0);
  const kernels::KeyProduct product{.digits = digits,
                                    .count = context.digit_count(level),
                                    .key = from,
                                    .addend = addend,
                                    .ahead = from.bytes + kAhead};
  context.basis().kernels(index).key_product(out0, out1, product, context.n(), context.basis().modulus(index));
}

std::array<NttPoly, 2> switch_key(const NttPoly& poly, const SwitchingKey& key, const PairFinish& finish,
                                  const Context& context) {
  const std::size_t level = poly.limbs().data - 1;
  Switch work(context, key, level, special_divisor(level, context));
  work.finish = finish;
  return run_from_poly(work, poly);
}

std::array<NttPoly, 2> switch_key_rescaled(const NttPoly& poly, const SwitchingKey& key,
                                           const std::array<const NttPoly*, 2>& addends, const Context& context) {
  const std::size_t level = poly.limbs().data - 1;
  Switch work(context, key, level, rescaling_divisor(level, context));
  work.scaled = addends;
  return run_from_poly(work, poly);
}

std::array<NttPoly, 2> switch_key(const Digits& digits, const SwitchingKey& key, const PairFinish& finish,
                                  const Context& context) {
  Switch work(context, key, digits.level(), special_divisor(digits.level(), context));
  work.finish = finish;
  run_stages(work.group_count(), {&work.divided}, [&](std::size_t task) {
    const RowGroup& group = work.group(task);
    Buffer scratch(3 * group.count() * context.n());
    const u64* rows[64 * kMostGroupRows];
    for (std::size_t d = 0; d < work.digit_count; ++d) {
      for (std::size_t g = 0; g < group.count(); ++g) rows[d * group.count() + g] = digits.row(d, group.begin + g);
    }
    work.run(group, rows, scratch.data(), scratch.data() + 2 * group.count() * context.n());
  });
  return std::move(work.out);
}

}  // namespace hetorch::rlwe
