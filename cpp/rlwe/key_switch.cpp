#include "rlwe/key_switch.h"

#include <stdexcept>
#include <string>

#include "ring/modulus.h"

namespace hetorch::rlwe {
namespace {

using ring::Buffer;
using ring::parallel_for;
using ring::u64;

// Row of a polynomial over q_0…q_key_level and P that holds the same prime as row `row` over q_0…q_level and P.
std::size_t key_row(std::size_t row, std::size_t level, std::size_t key_level) {
  return row <= level ? row : row + (key_level - level);
}

// Divide by the product of the converter's sources, rounded to the nearest: out = (x - [x]_sources) / product modulo
// each of the first `kept` data primes. source_rows[i] is the row of `poly` that holds source i.
NttPoly divide(const NttPoly& poly, const ring::BaseConverter& converter, const std::vector<std::size_t>& source_rows,
               std::size_t kept, const Context& context) {
  const ring::RnsBasis& basis = context.basis();
  const std::size_t n = context.n();
  const std::size_t count = source_rows.size();
  Buffer scratch((count + 1) * n);
  std::vector<const u64*> rows;
  for (std::size_t i = 0; i <= count; ++i) rows.push_back(scratch.data() + i * n);
  parallel_for(count, [&](std::size_t i) {
    u64* y = scratch.data() + i * n;
    std::memcpy(y, poly.row(source_rows[i]), n * 8);
    basis.kernels(converter.sources()[i]).ntt_inverse(y, basis.table(converter.sources()[i]));
    converter.scale(y, i);
  });
  converter.quotient(scratch.data() + count * n, rows.data());
  NttPoly result(n, {kept, 0});
  parallel_for(kept, [&](std::size_t r) {
    u64* out = result.row(r);
    converter.convert(out, r, rows.data());
    basis.kernels(r).ntt_forward(out, basis.table(r));
    basis.kernels(r).subtract_multiply_scalar(out, poly.row(r), out, converter.inverse_product(r), n, basis.modulus(r));
  });
  return result;
}

}  // namespace

Digits decompose(const NttPoly& poly, const Context& context) {
  const ring::RnsBasis& basis = context.basis();
  const std::size_t n = context.n();
  const std::size_t level = poly.limbs().data - 1;
  const Limbs extended = context.extended_limbs(level);
  const std::size_t digit_count = context.digit_count(level);

  // y_i of every data prime, then one row of v for each digit.
  Buffer scratch((level + 1 + digit_count) * n);
  auto scratch_row = [&](std::size_t r) { return scratch.data() + r * n; };
  parallel_for(level + 1, [&](std::size_t r) {
    const std::size_t digit = r / context.digit_size();
    std::memcpy(scratch_row(r), poly.row(r), n * 8);
    basis.kernels(r).ntt_inverse(scratch_row(r), basis.table(r));
    context.digit_converter(digit, level).scale(scratch_row(r), r - context.digit_begin(digit));
  });
  std::vector<std::vector<const u64*>> sources(digit_count);
  for (std::size_t d = 0; d < digit_count; ++d) {
    for (std::size_t r = context.digit_begin(d); r < context.digit_end(d, level); ++r) {
      sources[d].push_back(scratch_row(r));
    }
    sources[d].push_back(scratch_row(level + 1 + d));
  }
  parallel_for(digit_count, [&](std::size_t d) {
    context.digit_converter(d, level).quotient(scratch_row(level + 1 + d), sources[d].data());
  });

  Digits result;
  result.level = level;
  for (std::size_t d = 0; d < digit_count; ++d) result.digits.emplace_back(n, extended);
  parallel_for(digit_count * extended.count(), [&](std::size_t task) {
    const std::size_t d = task / extended.count();
    const std::size_t r = task % extended.count();
    u64* out = result.digits[d].row(r);
    if (r >= context.digit_begin(d) && r < context.digit_end(d, level)) {
      std::memcpy(out, poly.row(r), n * 8);
      return;
    }
    const std::size_t index = basis.index(extended, r);
    context.digit_converter(d, level).convert(out, index, sources[d].data());
    basis.kernels(index).ntt_forward(out, basis.table(index));
  });
  return result;
}

void inner_product_row(u64* out0, u64* out1, const Digits& digits, const SwitchingKey& key, std::size_t row,
                       const Context& context) {
  const u64* a[64];
  const u64* b0[64];
  const u64* b1[64];
  const std::size_t in_key = key_row(row, digits.level, key.level);
  for (std::size_t d = 0; d < digits.digits.size(); ++d) {
    a[d] = digits.digits[d].row(row);
    b0[d] = key.b[d].row(in_key);
    b1[d] = key.a[d].row(in_key);
  }
  const std::size_t index = context.basis().index(context.extended_limbs(digits.level), row);
  context.basis().kernels(index).inner_product_pair(out0, out1, a, b0, b1, digits.digits.size(), context.n(),
                                                    context.basis().modulus(index));
}

std::array<NttPoly, 2> inner_product(const Digits& digits, const SwitchingKey& key, const Context& context) {
  const Limbs extended = context.extended_limbs(digits.level);
  std::array<NttPoly, 2> out{NttPoly(context.n(), extended), NttPoly(context.n(), extended)};
  parallel_for(extended.count(),
               [&](std::size_t r) { inner_product_row(out[0].row(r), out[1].row(r), digits, key, r, context); });
  return out;
}

NttPoly mod_down(const NttPoly& poly, const Context& context) {
  const std::size_t data = poly.limbs().data;
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < poly.limbs().special; ++i) rows.push_back(data + i);
  return divide(poly, context.special_converter(), rows, data, context);
}

NttPoly mod_down_rescaled(const NttPoly& poly, const Context& context) {
  const std::size_t data = poly.limbs().data;
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < poly.limbs().special; ++i) rows.push_back(data + i);
  rows.push_back(data - 1);
  return divide(poly, context.rescaling_converter(data - 1), rows, data - 1, context);
}

NttPoly divide_by_last(const NttPoly& poly, const Context& context) {
  const std::size_t data = poly.limbs().data;
  return divide(poly, context.prime_converter(data - 1), {data - 1}, data - 1, context);
}

std::array<NttPoly, 2> switch_key(const NttPoly& poly, const SwitchingKey& key, const Context& context) {
  const std::array<NttPoly, 2> extended = inner_product(decompose(poly, context), key, context);
  return {mod_down(extended[0], context), mod_down(extended[1], context)};
}

}  // namespace hetorch::rlwe
