#include "circuits/linear_transform.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <optional>
#include <string>

#include "ckks/errors.h"
#include "rlwe/key_switch.h"

namespace hetorch::circuits {
namespace {

using ckks::Ciphertext;
using ckks::Context;
using ckks::LevelError;
using kernels::u64;
using ring::Buffer;
using ring::NttPoly;

// The kernels take at most this many products at once.
constexpr std::size_t kInnerProductLimit = 64;
// Words of a periodic diagonal written out at a time: 64 of them are 256 KiB, within the second-level cache.
constexpr std::size_t kBlock = 512;

// out[i] = values[(begin + i) / run], i < count
void write_out(u64* out, const u64* values, std::size_t begin, std::size_t count, std::size_t run) {
  for (std::size_t i = 0; i < count;) {
    const std::size_t left = run - (begin + i) % run;
    const std::size_t take = std::min(left, count - i);
    std::fill_n(out + i, take, values[(begin + i) / run]);
    i += take;
  }
}

}  // namespace

LinearTransform::LinearTransform(const Context& context, std::span<const Diagonal> diagonals, std::size_t period,
                                 std::size_t input_count, std::size_t output_count, std::size_t level,
                                 double input_scale, double output_scale)
    : ring_degree_(context.basis().n()),
      input_count_(input_count),
      output_count_(output_count),
      level_(level),
      input_scale_(input_scale),
      output_scale_(output_scale) {
  if (level < 1 || level > context.max_level()) {
    throw LevelError("a linear transform rescales its result: its level is " + std::to_string(level) +
                     ", expected 1 to " + std::to_string(context.max_level()));
  }
  const std::size_t slots = context.encoder().slot_count();
  if (period == 0 || slots % period != 0) throw std::invalid_argument("the period must divide the slot count");
  bool rotates = false;
  std::map<std::pair<std::size_t, std::size_t>, std::size_t> rotated;
  std::map<std::pair<std::size_t, std::size_t>, std::size_t> grouped;
  struct Place {
    std::size_t group;
    std::size_t term;
  };
  std::vector<Place> places;
  for (const Diagonal& d : diagonals) {
    if (d.output >= output_count || d.input >= input_count || d.giant >= slots || d.baby >= slots) {
      throw std::invalid_argument("a diagonal has an index out of range");
    }
    rotates = rotates || d.baby != 0 || d.giant != 0;
    const auto [baby, new_baby] = rotated.try_emplace({d.input, d.baby}, rotated_.size());
    if (new_baby) rotated_.push_back({d.input, d.baby});
    const auto [group, new_group] = grouped.try_emplace({d.output, d.giant}, groups_.size());
    if (new_group) groups_.push_back({d.output, d.giant, {}});
    std::vector<Term>& terms = groups_[group->second].terms;
    places.push_back({group->second, terms.size()});
    terms.push_back({baby->second, {}});
  }
  limbs_ = rotates ? context.rlwe().extended_limbs(level) : context.rlwe().data_limbs(level);
  if (rotates && limbs_.special == 0) throw std::invalid_argument("rotations need special primes");
  const std::size_t n = context.basis().n();
  distinct_ = std::min(n, 2 * period);

  const double scale = output_scale * context.prime(level) / input_scale;
  ring::parallel_for(diagonals.size(), [&](std::size_t t) {
    const Diagonal& d = diagonals[t];
    std::vector<ckks::Complex> values(slots);
    // The sum of a group is rotated left by `giant` at the end: its diagonals are rotated right by as much here.
    for (std::size_t s = 0; s < slots; ++s) values[(s + d.giant) % slots] = d.values[s % period];
    const NttPoly plaintext = context.encoder().encode(values, scale, limbs_);
    Buffer kept(limbs_.count() * distinct_);
    for (std::size_t r = 0; r < limbs_.count(); ++r) {
      for (std::size_t i = 0; i < distinct_; ++i)
        kept.data()[r * distinct_ + i] = plaintext.row(r)[i * (n / distinct_)];
    }
    groups_[places[t].group].terms[places[t].term].values = std::move(kept);
  });
}

std::size_t LinearTransform::bytes() const {
  std::size_t words = 0;
  for (const Group& group : groups_) {
    for (const Term& term : group.terms) words += term.values.size();
  }
  return words * 8;
}

void LinearTransform::check_inputs(std::span<const Ciphertext* const> inputs) const {
  if (inputs.size() != input_count_) {
    throw std::invalid_argument("the transform takes " + std::to_string(input_count_) + " ciphertexts, got " +
                                std::to_string(inputs.size()));
  }
  for (const Ciphertext* input : inputs) {
    if (input == nullptr) throw std::invalid_argument("an input of the transform is None");
    if (input->level() != level_ || input->size() != 2) {
      throw LevelError("the transform was prepared for level " + std::to_string(level_) + ", the input is at level " +
                       std::to_string(input->level()) + " with " + std::to_string(input->size()) + " parts");
    }
    if (std::fabs(input->scale - input_scale_) > ckks::kScaleTolerance * input_scale_) {
      throw LevelError("the transform was prepared for scale 2^" + std::to_string(std::log2(input_scale_)) +
                       ", the input has 2^" + std::to_string(std::log2(input->scale)));
    }
  }
}

template <class Half>
void LinearTransform::sum_group(u64* out0, u64* out1, const Group& group, std::size_t row, const Half& half,
                                const Context& context) const {
  const ring::RnsBasis& basis = context.basis();
  const std::size_t index = basis.index(limbs_, row);
  const kernels::ModulusConstants& m = basis.modulus(index);
  const kernels::Kernels& k = basis.kernels(index);
  const std::size_t n = basis.n();
  const std::size_t run = n / distinct_;
  const std::size_t block = run == 1 ? n : std::min(n, kBlock);
  Buffer written(run == 1 ? 0 : std::min(kInnerProductLimit, group.terms.size()) * block);
  Buffer more(2 * block);  // sums beyond the first kInnerProductLimit terms
  for (std::size_t at = 0; at < n; at += block) {
    for (std::size_t begin = 0; begin < group.terms.size(); begin += kInnerProductLimit) {
      const u64* values[kInnerProductLimit];
      const u64* halves[2][kInnerProductLimit];
      const std::size_t count = std::min(kInnerProductLimit, group.terms.size() - begin);
      for (std::size_t t = 0; t < count; ++t) {
        const Term& term = group.terms[begin + t];
        const u64* kept = term.values.data() + row * distinct_;
        values[t] = run == 1 ? kept : written.data() + t * block;
        if (run != 1) write_out(written.data() + t * block, kept, at, block, run);
        for (std::size_t h = 0; h < 2; ++h) halves[h][t] = half(term.rotated, h) + at;
      }
      if (begin == 0) {
        k.inner_product_pair(out0 + at, out1 + at, values, halves[0], halves[1], count, block, m);
        continue;
      }
      u64* more0 = more.data();
      u64* more1 = more.data() + block;
      k.inner_product_pair(more0, more1, values, halves[0], halves[1], count, block, m);
      k.add(out0 + at, out0 + at, more0, block, m);
      k.add(out1 + at, out1 + at, more1, block, m);
    }
  }
}

std::vector<LinearTransform::Pair> LinearTransform::accumulate(const ckks::Evaluator& evaluator,
                                                               std::span<const Ciphertext* const> inputs) const {
  const Context& context = evaluator.context();
  const ring::RnsBasis& basis = context.basis();
  const std::size_t n = basis.n();
  std::vector<std::optional<rlwe::Digits>> digits(input_count_);
  std::vector<const rlwe::SwitchingKey*> keys(rotated_.size(), nullptr);
  std::vector<const std::uint32_t*> permutations(rotated_.size(), nullptr);
  for (std::size_t i = 0; i < rotated_.size(); ++i) {
    if (rotated_[i].baby == 0) continue;
    const std::uint32_t element = evaluator.galois_element(static_cast<std::int64_t>(rotated_[i].baby));
    keys[i] = &evaluator.galois_key(element, level_);
    permutations[i] = basis.permutation(element);
    std::optional<rlwe::Digits>& hoisted = digits[rotated_[i].input];
    if (!hoisted) hoisted.emplace(inputs[rotated_[i].input]->body.parts[1], context.rlwe());
  }

  std::vector<Pair> sums;
  for (std::size_t g = 0; g < groups_.size(); ++g) sums.push_back({NttPoly(n, limbs_), NttPoly(n, limbs_)});
  ring::parallel_for(limbs_.count(), [&](std::size_t r) {
    const std::size_t index = basis.index(limbs_, r);
    const kernels::ModulusConstants& m = basis.modulus(index);
    const kernels::Kernels& k = basis.kernels(index);
    const bool data_row = r < limbs_.data;
    // P modulo this prime; with no special primes nothing was multiplied by P. P is 0 modulo each special prime.
    const u64 p = limbs_.special == 0 ? 1 : context.rlwe().special_converter().product(index);
    Buffer rotated(rotated_.size() * 2 * n);
    Buffer scratch(2 * n);
    auto half = [&](std::size_t i, std::size_t h) { return rotated.data() + (2 * i + h) * n; };
    for (std::size_t i = 0; i < rotated_.size(); ++i) {
      const Ciphertext& input = *inputs[rotated_[i].input];
      if (rotated_[i].baby == 0) {
        for (std::size_t h = 0; h < 2; ++h) {
          if (data_row) {
            k.multiply_scalar(half(i, h), input.body.parts[h].row(r), p, n, m);
          } else {
            std::memset(half(i, h), 0, n * 8);
          }
        }
        continue;
      }
      u64* u0 = scratch.data();
      u64* u1 = scratch.data() + n;
      const rlwe::Digits& d = *digits[rotated_[i].input];
      const u64* rows[64];
      for (std::size_t j = 0; j < d.digit_count(); ++j) rows[j] = d.row(j, r);
      rlwe::inner_product_row(u0, u1, rows, d.digit_count(), r, level_, *keys[i], context.rlwe());
      if (data_row) {
        k.multiply_scalar(half(i, 0), input.body.parts[0].row(r), p, n, m);
        k.add(u0, u0, half(i, 0), n, m);
      }
      k.permute(half(i, 0), u0, permutations[i], n);
      k.permute(half(i, 1), u1, permutations[i], n);
    }
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      sum_group(sums[g][0].row(r), sums[g][1].row(r), groups_[g], r, half, context);
    }
  });
  return sums;
}

void LinearTransform::add_giant(Pair& total, const Pair& sum, std::size_t giant,
                                const ckks::Evaluator& evaluator) const {
  const rlwe::Context& context = evaluator.context().rlwe();
  const ring::RnsBasis& basis = context.basis();
  const std::size_t n = basis.n();
  const std::uint32_t element = evaluator.galois_element(static_cast<std::int64_t>(giant));
  const rlwe::SwitchingKey& key = evaluator.galois_key(element, level_);
  const std::uint32_t* permutation = basis.permutation(element);
  const NttPoly* second[] = {&sum[1]};
  const std::vector<NttPoly> down = rlwe::divide(second, rlwe::special_divisor(level_, context), context);
  const rlwe::Digits digits(down[0], context);
  ring::parallel_for(limbs_.count(), [&](std::size_t r) {
    const std::size_t index = basis.index(limbs_, r);
    const kernels::ModulusConstants& m = basis.modulus(index);
    const kernels::Kernels& k = basis.kernels(index);
    Buffer scratch(3 * n);
    u64* u0 = scratch.data();
    u64* u1 = scratch.data() + n;
    u64* moved = scratch.data() + 2 * n;
    const u64* rows[64];
    for (std::size_t j = 0; j < digits.digit_count(); ++j) rows[j] = digits.row(j, r);
    rlwe::inner_product_row(u0, u1, rows, digits.digit_count(), r, level_, key, context);
    k.add(u0, u0, sum[0].row(r), n, m);
    for (std::size_t h = 0; h < 2; ++h) {
      k.permute(moved, h == 0 ? u0 : u1, permutation, n);
      k.add(total[h].row(r), total[h].row(r), moved, n, m);
    }
  });
}

std::vector<Ciphertext> LinearTransform::apply(const ckks::Evaluator& evaluator,
                                               std::span<const Ciphertext* const> inputs) const {
  const rlwe::Context& context = evaluator.context().rlwe();
  check_inputs(inputs);
  for (const Ciphertext* input : inputs) {
    for (const NttPoly& part : input->body.parts) context.check(part);
  }
  if (context.n() != ring_degree_ || (limbs_.special != 0 && limbs_ != context.extended_limbs(level_))) {
    throw std::invalid_argument("the transform was prepared under other parameters");
  }
  std::vector<Pair> sums = accumulate(evaluator, inputs);
  std::vector<std::optional<Pair>> totals(output_count_);
  // Groups without a giant step start the totals, so that nothing is cleared only to be added to.
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    if (groups_[g].giant == 0) totals[groups_[g].output] = std::move(sums[g]);
  }
  for (std::size_t o = 0; o < output_count_; ++o) {
    if (totals[o]) continue;
    totals[o] = Pair{NttPoly(context.n(), limbs_), NttPoly(context.n(), limbs_)};
    for (NttPoly& half : *totals[o]) half.clear();
  }
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    if (groups_[g].giant != 0) add_giant(*totals[groups_[g].output], sums[g], groups_[g].giant, evaluator);
  }
  std::vector<Ciphertext> outputs(output_count_);
  for (std::size_t o = 0; o < output_count_; ++o) {
    outputs[o].scale = output_scale_;
    const NttPoly* halves[] = {&(*totals[o])[0], &(*totals[o])[1]};
    const rlwe::Divisor divisor =
        limbs_.special == 0 ? rlwe::last_divisor(level_, context) : rlwe::rescaling_divisor(level_, context);
    outputs[o].body.parts = rlwe::divide(halves, divisor, context);
  }
  return outputs;
}

}  // namespace hetorch::circuits
