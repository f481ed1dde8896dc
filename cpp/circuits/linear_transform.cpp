#include "circuits/linear_transform.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <string>

#include "circuits/baby_step.h"
#include "ckks/errors.h"
#include "rlwe/extended.h"

namespace hetorch::circuits {
namespace {

using ckks::Ciphertext;
using ckks::Context;
using ckks::LevelError;
using ring::Buffer;
using ring::NttPoly;

// Shortest length of a transform that the kernels take.
constexpr std::size_t kShortestTransform = 16;

}  // namespace

LinearTransform::LinearTransform(const Context& context, std::size_t input_count, std::size_t output_count,
                                 std::size_t level, double input_scale, double output_scale, DiagonalForm form,
                                 const rlwe::KeyFamily& family)
    : ring_degree_(context.basis().n()),
      input_count_(input_count),
      output_count_(output_count),
      level_(level),
      input_scale_(input_scale),
      output_scale_(output_scale),
      shape_(family.shape()),
      limbs_(family.extended_limbs(level)),
      form_(form) {}

LinearTransform::LinearTransform(const Context& context, std::span<const Diagonal> diagonals, std::size_t period,
                                 std::size_t input_count, std::size_t output_count, std::size_t level,
                                 double input_scale, double output_scale, DiagonalForm form,
                                 const rlwe::KeyFamily& family)
    : LinearTransform(context, input_count, output_count, level, input_scale, output_scale, form, family) {
  if (level < 1 || level > context.max_level()) {
    throw LevelError("a linear transform rescales its result: its level is " + std::to_string(level) +
                     ", expected 1 to " + std::to_string(context.max_level()));
  }
  const bool rotates = std::ranges::any_of(diagonals, [](const Diagonal& d) { return d.baby != 0 || d.giant != 0; });
  if (!rotates) limbs_ = family.data_limbs(level);
  if (rotates && limbs_.special == 0) throw std::invalid_argument("rotations need special primes");
  take(context, diagonals, period, output_scale * context.prime(level) / input_scale);
}

LinearTransform LinearTransform::of_raised(const Context& context, std::span<const Diagonal> diagonals,
                                           std::size_t period, double scale, const rlwe::KeyFamily& family) {
  LinearTransform result(context, 1, 1, context.max_level(), scale, scale, DiagonalForm::transformed, family);
  if (result.limbs_ != context.rlwe().all_limbs() || family.digit_count(context.max_level()) != 1) {
    throw std::invalid_argument("a map of a raised polynomial takes keys of one digit over all primes");
  }
  if (std::ranges::any_of(diagonals, [](const Diagonal& d) { return d.giant != 0; })) {
    throw std::invalid_argument("a map of a raised polynomial has no giant steps");
  }
  const std::size_t last = result.limbs_.count() - 1;
  result.take(context, diagonals, period, static_cast<double>(context.basis().prime(last)));
  return result;
}

void LinearTransform::take(const Context& context, std::span<const Diagonal> diagonals, std::size_t period,
                           double scale) {
  const std::size_t slots = context.encoder().slot_count();
  if (period == 0 || slots % period != 0) throw std::invalid_argument("the period must divide the slot count");
  const std::vector<std::size_t> terms = collect_terms(diagonals, slots);
  const std::size_t n = context.basis().n();
  distinct_ = std::min(n, 2 * period);
  term_count_ = diagonals.size();
  block_words_ = std::max<std::size_t>(1, kernels::kDiagonalBlock * distinct_ / n);
  if (form_ == DiagonalForm::transformed) {
    values_ = Buffer(term_count_ * limbs_.count() * distinct_);
  } else {
    coefficients_ = Buffer(term_count_ * kept_coefficients());
    largest_.resize(term_count_);
  }
  encode(context, diagonals, terms, period, scale);
}

std::vector<std::size_t> LinearTransform::collect_terms(std::span<const Diagonal> diagonals, std::size_t slots) {
  std::map<std::pair<std::size_t, std::size_t>, std::size_t> rotated;  // (input, baby) -> index into rotated_
  std::map<std::pair<std::size_t, std::size_t>, std::size_t> grouped;  // (output, giant) -> index into groups_
  std::vector<std::size_t> group_of;                                   // for each diagonal
  std::vector<std::size_t> terms;                                      // for each diagonal, its number in the group
  for (const Diagonal& d : diagonals) {
    if (d.output >= output_count_ || d.input >= input_count_ || d.giant >= slots || d.baby >= slots) {
      throw std::invalid_argument("a diagonal has an index out of range");
    }
    const auto [baby, new_baby] = rotated.try_emplace({d.input, d.baby}, rotated_.size());
    if (new_baby) rotated_.push_back({d.input, d.baby});
    const auto [group, new_group] = grouped.try_emplace({d.output, d.giant}, groups_.size());
    if (new_group) groups_.push_back({d.output, d.giant, {}});
    group_of.push_back(group->second);
    terms.push_back(groups_[group->second].rotated.size());
    groups_[group->second].rotated.push_back(baby->second);
  }
  std::vector<std::size_t> first;  // term of each group
  for (std::size_t count = 0; const Group& group : groups_) {
    first.push_back(count);
    count += group.rotated.size();
  }
  for (std::size_t t = 0; t < terms.size(); ++t) terms[t] += first[group_of[t]];
  return terms;
}

std::size_t LinearTransform::kept_coefficients() const { return std::max(distinct_, kShortestTransform); }

// A periodic diagonal is a polynomial in X^(N / distinct_), so its other coefficients are zero. (They could be rounding
// errors above 1/2 only from a scale of 2^50 on; the level of such errors does not depend on whether they are kept.)
void LinearTransform::encode(const Context& context, std::span<const Diagonal> diagonals,
                             std::span<const std::size_t> terms, std::size_t period, double scale) {
  const std::size_t slots = context.encoder().slot_count();
  const std::size_t run = ring_degree_ / distinct_;
  const std::size_t count = kept_coefficients();
  ring::parallel_for(diagonals.size(), [&](std::size_t t) {
    const Diagonal& d = diagonals[t];
    std::vector<ckks::Complex> values(slots);
    // The sum of a group is rotated left by `giant` at the end, so its diagonals are rotated right by as much here.
    for (std::size_t s = 0; s < slots; ++s) {
      const std::size_t at = s % period;
      values[(s + d.giant) % slots] = {d.values[at], d.imaginary == nullptr ? 0.0 : d.imaginary[at]};
    }
    Buffer rounded(ring_degree_);
    double* coefficients = reinterpret_cast<double*>(rounded.data());
    const double largest = context.encoder().round_coefficients(values, scale, limbs_, coefficients);
    for (std::size_t i = 0; i < count; ++i) coefficients[i] = coefficients[i * (ring_degree_ / count)];
    if (form_ == DiagonalForm::coefficients) {
      std::copy(rounded.data(), rounded.data() + count, coefficients_.data() + terms[t] * count);
      largest_[terms[t]] = largest;
      return;
    }
    Buffer row(count);
    for (std::size_t r = 0; r < limbs_.count(); ++r) {
      context.encoder().transform(row.data(), coefficients, largest, count, context.basis().index(limbs_, r));
      for (std::size_t i = 0; i < distinct_; i += block_words_) {
        std::uint64_t* kept = values_.data() + place(r, i * run, terms[t]);
        for (std::size_t k = 0; k < block_words_; ++k) kept[k] = row.data()[(i + k) * (count / distinct_)];
      }
    }
  });
}

std::size_t LinearTransform::place(std::size_t row, std::size_t at, std::size_t term) const {
  const std::size_t word = at / (ring_degree_ / distinct_);
  return (row * distinct_ + word) * term_count_ + term * block_words_;
}

std::size_t LinearTransform::bytes() const { return (values_.size() + coefficients_.size()) * 8; }

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

std::vector<Ciphertext> LinearTransform::apply(const ckks::Evaluator& evaluator,
                                               std::span<const Ciphertext* const> inputs) const {
  const rlwe::Context& context = evaluator.context().rlwe();
  const rlwe::KeyFamily& family = context.family(shape_);
  check_inputs(inputs);
  for (const Ciphertext* input : inputs) {
    for (const NttPoly& part : input->body.parts) context.check_data(part);
  }
  if (context.n() != ring_degree_ || (limbs_.special != 0 && limbs_ != family.extended_limbs(level_))) {
    throw std::invalid_argument("the transform was prepared under other parameters");
  }
  const Steps steps = make_steps(evaluator, inputs);
  std::vector<Pair> sums = accumulate(steps.all, evaluator.context());
  std::vector<std::optional<Pair>> totals(output_count_);
  // Groups without a giant step become the totals, so that no total is cleared first.
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    if (groups_[g].giant == 0) totals[groups_[g].output] = std::move(sums[g]);
  }
  add_giants(totals, sums, evaluator);
  for (std::optional<Pair>& total : totals) {
    if (total) continue;
    total = Pair{NttPoly(context.n(), limbs_), NttPoly(context.n(), limbs_)};
    for (NttPoly& half : *total) half.clear();
  }
  std::vector<Ciphertext> outputs(output_count_);
  for (std::size_t o = 0; o < output_count_; ++o) {
    outputs[o].scale = output_scale_;
    const NttPoly* halves[] = {&(*totals[o])[0], &(*totals[o])[1]};
    const rlwe::Divisor divisor =
        limbs_.special == 0 ? rlwe::last_divisor(level_, context) : rlwe::rescaling_divisor(level_, family);
    outputs[o].body.parts = rlwe::parts_of(rlwe::divide(halves, divisor, context.basis()));
  }
  return outputs;
}

}  // namespace hetorch::circuits
