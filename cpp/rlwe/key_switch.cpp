#include "rlwe/key_switch.h"

#include <algorithm>

namespace hetorch::rlwe {
namespace {

using kernels::u64;
using ring::Buffer;

// One key switch while it runs. The rows that the division drops are computed first, then those that remain.
struct Switch {
  const KeyFamily& family;
  const SwitchingKey& key;
  std::size_t level;
  std::size_t digit_count;
  Divisor divisor;
  // Addends: `finish` holds those that are added after the division; `scaled` those that are multiplied by P and added
  // before it, because rescaling divides them too.
  PairFinish finish{};
  std::array<const NttPoly*, 2> scaled{nullptr, nullptr};

  std::deque<Extension> divided{};
  std::array<NttPoly, 2> out{};
  std::vector<RowGroup> dropped_groups{};
  std::vector<RowGroup> kept_groups{};

  Switch(const KeyFamily& the_family, const SwitchingKey& the_key, std::size_t the_level, Divisor&& the_divisor)
      : family(the_family),
        key(the_key),
        level(the_level),
        digit_count(the_family.digit_count(the_level)),
        divisor(std::move(the_divisor)) {
    const Limbs limbs = family.extended_limbs(level);
    for (std::size_t h = 0; h < 2; ++h) {
      divided.emplace_back(*divisor.converter, family.basis());
      out[h] = NttPoly(family.n(), {divisor.kept, 0});
    }
    // The dropped rows are the last ones: q_level if it rescales, then P.
    const RowCost cost{digit_count + 2, std::max(family.digit_size(), divisor.rows.size()) + 1};
    dropped_groups = row_groups(divisor.kept, limbs.count(), cost, family.n());
    kept_groups = row_groups(0, divisor.kept, cost, family.n());
  }
  std::size_t group_count() const { return dropped_groups.size() + kept_groups.size(); }
  const RowGroup& group(std::size_t i) const {
    return i < dropped_groups.size() ? dropped_groups[i] : kept_groups[i - dropped_groups.size()];
  }
  // The number of a dropped row among the converter's sources, which are the primes of P and then q_level.
  std::size_t source(std::size_t row) const { return row > level ? row - level - 1 : divided[0].source_count() - 1; }

  // Scratch memory in rows for a group beside its digits: for the halves of the inner products, and for the converted
  // rows that are subtracted from them (spare). The latter may overwrite the digits if all of these are used before
  // (at_once).
  std::size_t half_rows(const RowGroup& group) const { return 2 * together(group); }
  std::size_t spare_rows(const RowGroup& group) const { return at_once(group) ? group.count() : 2 * group.count() - 1; }
  // True if all digits of a group are used before anything is subtracted.
  bool at_once(const RowGroup& group) const { return together(group) == group.count(); }

  // Do all work on one group of rows. digits_of(g): returns the digits at row group.begin + g; called once for each g,
  // in order. spare: nothing is written to its row g or a later one before the digits of row g are used.
  template <class DigitsOf>
  void run(const RowGroup& group, const DigitsOf& digits_of, u64* scratch, u64* spare) {
    const std::size_t n = family.n();
    const std::size_t count = group.count();
    const std::size_t step = together(group);
    auto half = [&](std::size_t h, std::size_t i) { return scratch + (h * step + i) * n; };
    // The rows that are subtracted from the halves. Those of the second half overwrite those of the first half that are
    // used.
    u64* const converted[2] = {at_once(group) ? spare : spare + (count - 1) * n, spare};
    for (std::size_t begin = 0; begin < count; begin += step) {
      for (std::size_t i = 0; i < step; ++i) {
        const std::size_t row = group.begin + begin + i;
        inner_product_row(half(0, i), half(1, i), digits_of(begin + i), row, level, key, nullptr, family);
        for (std::size_t h = 0; h < 2; ++h) {
          add_scaled(half(h, i), h, row, spare);
          if (row >= divisor.kept) divided[h].put(source(row), half(h, i));
        }
      }
      if (group.begin >= divisor.kept) continue;
      for (std::size_t h = 0; h < 2; ++h) {
        // As late as possible, because another thread may still compute the last of the dropped rows.
        if (begin == 0) take_rows(converted[h], group, divided[h], n);
        for (std::size_t g = begin; g < begin + step; ++g) {
          divide_row(out[h], group.begin + g, half(h, g - begin), converted[h] + g * n, divisor, finish[h],
                     family.basis());
        }
      }
    }
  }

 private:
  // Number of rows that are worked on together, step by step.
  std::size_t together(const RowGroup& group) const { return stay_in_cache(family.n()) ? group.count() : 1; }
  // half += P * scaled[h], modulo a data prime.
  void add_scaled(u64* half, std::size_t h, std::size_t row, u64* product) const {
    if (scaled[h] == nullptr || row > level) return;
    const ring::RnsBasis& basis = family.basis();
    const kernels::Kernels& k = basis.kernels(row);
    const std::size_t n = family.n();
    k.multiply_scalar(product, scaled[h]->row(row), family.special_converter().product(row), n, basis.modulus(row));
    k.add(half, half, product, n, basis.modulus(row));
  }
};

std::array<NttPoly, 2> run_from_poly(Switch& work, const NttPoly& poly) {
  const KeyFamily& family = work.family;
  const std::size_t n = family.n();
  Decomposition decomposition(poly, family);
  const std::size_t first = work.level + 1;
  run_stages(first + work.group_count(), {&decomposition.extensions(), &work.divided}, [&](std::size_t task) {
    if (task < first) return decomposition.put(task);
    const RowGroup& group = work.group(task - first);
    const std::size_t digit_rows = work.digit_count * group.count();
    const std::size_t rows = digit_rows + work.half_rows(group);
    const bool shared = work.at_once(group);  // the spare rows overwrite the digits, which have at least as many rows
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
                       const SwitchingKey& key, const u64* addend, const KeyFamily& family) {
  // Distance in bytes by which the key is prefetched. It comes from memory, and the processor's own prefetching stops
  // at the end of a page. Raised, words may be evicted before they are used.
  constexpr std::size_t kAhead = 8192;
  const std::size_t index = family.basis().index(family.extended_limbs(level), row);
  const kernels::KeyRow from = key_row(key, row, level, 0);
  const kernels::KeyProduct product{.digits = digits,
                                    .count = family.digit_count(level),
                                    .key = from,
                                    .addend = addend,
                                    .ahead = from.bytes + kAhead};
  family.basis().kernels(index).key_product(out0, out1, product, family.n(), family.basis().modulus(index));
}

std::array<NttPoly, 2> switch_key(const NttPoly& poly, const SwitchingKey& key, const PairFinish& finish,
                                  const KeyFamily& family) {
  const std::size_t level = poly.limbs().data - 1;
  Switch work(family, key, level, special_divisor(level, family));
  work.finish = finish;
  return run_from_poly(work, poly);
}

std::array<NttPoly, 2> switch_key_rescaled(const NttPoly& poly, const SwitchingKey& key,
                                           const std::array<const NttPoly*, 2>& addends, const KeyFamily& family) {
  const std::size_t level = poly.limbs().data - 1;
  Switch work(family, key, level, rescaling_divisor(level, family));
  work.scaled = addends;
  return run_from_poly(work, poly);
}

std::array<NttPoly, 2> switch_key(const Digits& digits, const SwitchingKey& key, const PairFinish& finish,
                                  const KeyFamily& family) {
  Switch work(family, key, digits.level(), special_divisor(digits.level(), family));
  work.finish = finish;
  run_stages(work.group_count(), {&work.divided}, [&](std::size_t task) {
    const RowGroup& group = work.group(task);
    const std::size_t n = family.n();
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
