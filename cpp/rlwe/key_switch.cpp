#include "rlwe/key_switch.h"

#include <algorithm>

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
    const RowCost cost{digit_count + 2, std::max(context.digit_size(), divisor.rows.size()) + 1};
    dropped_groups = row_groups(divisor.kept, limbs.count(), cost, context.n());
    kept_groups = row_groups(0, divisor.kept, cost, context.n());
  }
  std::size_t group_count() const { return dropped_groups.size() + kept_groups.size(); }
  const RowGroup& group(std::size_t i) const {
    return i < dropped_groups.size() ? dropped_groups[i] : kept_groups[i - dropped_groups.size()];
  }
  // The converter's sources are P first and q_level last.
  std::size_t source(std::size_t row) const { return row > level ? row - level - 1 : divided[0].source_count() - 1; }

  // Rows that a group's work needs beside its digits: halves, and what is subtracted from them, which may lie where the
  // digits of the group were if these are done with first.
  std::size_t half_rows(const RowGroup& group) const { return 2 * together(group); }
  std::size_t spare_rows(const RowGroup& group) const { return at_once(group) ? group.count() : 2 * group.count() - 1; }
  // Whether all digits of a group are done with before anything is subtracted.
  bool at_once(const RowGroup& group) const { return together(group) == group.count(); }

  // All that one group of rows needs. digits_of(g): the digits at row group.begin + g, asked for once each, in order.
  // spare: written from its row g on when the digits of row g are done with.
  template <class DigitsOf>
  void run(const RowGroup& group, const DigitsOf& digits_of, u64* scratch, u64* spare) {
    const std::size_t n = context.n();
    const std::size_t count = group.count();
    const std::size_t step = together(group);
    auto half = [&](std::size_t h, std::size_t i) { return scratch + (h * step + i) * n; };
    // What is subtracted from the halves. The second half's rows overlap the first one's where those are done with.
    u64* const converted[2] = {at_once(group) ? spare : spare + (count - 1) * n, spare};
    for (std::size_t begin = 0; begin < count; begin += step) {
      for (std::size_t i = 0; i < step; ++i) {
        const std::size_t row = group.begin + begin + i;
        inner_product_row(half(0, i), half(1, i), digits_of(begin + i), row, level, key, nullptr, context);
        for (std::size_t h = 0; h < 2; ++h) {
          add_scaled(half(h, i), h, row, spare);
          if (row >= divisor.kept) divided[h].put(source(row), half(h, i));
        }
      }
      if (group.begin >= divisor.kept) continue;
      for (std::size_t h = 0; h < 2; ++h) {
        // As late as this, for another thread may still be at the last of the rows that are taken away.
        if (begin == 0) take_rows(converted[h], group, divided[h], n);
        for (std::size_t g = begin; g < begin + step; ++g) {
          divide_row(out[h], group.begin + g, half(h, g - begin), converted[h] + g * n, divisor, finish[h], context);
        }
      }
    }
  }

 private:
  // Rows whose halves are there at once.
  std::size_t together(const RowGroup& group) const { return stay_in_cache(context.n()) ? group.count() : 1; }
  // half += P * scaled[h], modulo a data prime.
  void add_scaled(u64* half, std::size_t h, std::size_t row, u64* product) const {
    if (scaled[h] == nullptr || row > level) return;
    const ring::RnsBasis& basis = context.basis();
    const kernels::Kernels& k = basis.kernels(row);
    const std::size_t n = context.n();
    k.multiply_scalar(product, scaled[h]->row(row), context.special_converter().product(row), n, basis.modulus(row));
    k.add(half, half, product, n, basis.modulus(row));
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
    const std::size_t digit_rows = work.digit_count * group.count();
    const std::size_t rows = digit_rows + work.half_rows(group);
    const bool shared = work.at_once(group);  // a row of digits for each row: enough for what is subtracted
    Buffer scratch((rows + (shared ? 0 : work.spare_rows(group))) * n);
    const u64* digits[64];
    const auto digits_of = [&](std::size_t g) {
      decomposition.extend(digits, group, g, scratch.data());
      return digits;
    };
    work.run(group, digits_of, scratch.data() + digit_rows * n, scratch.data() + (shared ? 0 : rows * n));
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
    const std::size_t n = context.n();
    Buffer scratch((work.half_rows(group) + work.spare_rows(group)) * n);
    const u64* rows[64];
    const auto digits_of = [&](std::size_t g) {
      for (std::size_t d = 0; d < work.digit_count; ++d) rows[d] = digits.row(d, group.begin + g);
      return rows;
    };
    work.run(group, digits_of, scratch.data(), scratch.data() + work.half_rows(group) * n);
  });
  return std::move(work.out);
}

}  // namespace hetorch::rlwe
