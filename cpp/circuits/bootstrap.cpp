#include "circuits/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "ckks/errors.h"
#include "rlwe/key_switch.h"
#include "rlwe/raise.h"

namespace hetorch::circuits {
namespace {

using ckks::Ciphertext;
using ckks::LevelError;
using rlwe::KeyEnd;
using rlwe::KeyName;

constexpr KeyName kToSparse{KeyEnd::dense, KeyEnd::sparse, 1};

void check_positive(double number) {
  if (!(number > 0) || !std::isfinite(number)) {
    throw std::invalid_argument("the scales, bounds and ratio of bootstrapping are above 0 and finite");
  }
}

std::vector<std::uint64_t> all_primes(const ring::RnsBasis& basis) {
  std::vector<std::uint64_t> primes;
  for (std::size_t i = 0; i < basis.data_count() + basis.special_count(); ++i) primes.push_back(basis.prime(i));
  return primes;
}

const BootstrapShape& checked(const BootstrapShape& shape, const ckks::Context& context) {
  if (shape.slots < 2 || context.encoder().slot_count() % shape.slots != 0) {
    throw std::invalid_argument("bootstrapping takes a power of two of slots, at most " +
                                std::to_string(context.encoder().slot_count()) + ", got " +
                                std::to_string(shape.slots));
  }
  if (context.encoder().slot_generator() != 5) {
    throw std::invalid_argument("bootstrapping is for the order of slots with the generator 5");
  }
  if (shape.sparse_family.special_count != 1) {
    throw std::invalid_argument("the key to the sparse secret has one special prime");
  }
  for (double number : {shape.input_scale, shape.output_scale, shape.message_ratio}) check_positive(number);
  if (shape.to_slots.size() < 2) throw std::invalid_argument("CoeffsToSlots has two factors or more");
  if (context.max_level() < shape.to_slots.size()) throw LevelError("the chain is too short for bootstrapping");
  return shape;
}

Ciphertext of_pair(std::array<ring::NttPoly, 2>&& pair, double scale) {
  Ciphertext result;
  result.scale = scale;
  for (ring::NttPoly& part : pair) result.body.parts.push_back(std::move(part));
  return result;
}

// Switch both parts of a ciphertext to another secret.
Ciphertext switched(const ckks::Evaluator& evaluator, const Ciphertext& input, const KeyName& name) {
  const rlwe::SwitchingKey& key = evaluator.key(name, input.level());
  const rlwe::PairFinish finish{rlwe::Finish{&*input.body.parts[0]}, {}};
  const rlwe::KeyFamily& family = key.family(evaluator.context().rlwe());
  return of_pair(rlwe::switch_key(input.body.parts[1], key, finish, family), input.scale);
}

void check_input(const char* stage, const Ciphertext& input, std::size_t level, double scale) {
  if (input.level() == level && input.size() == 2 && std::fabs(input.scale - scale) <= ckks::kScaleTolerance * scale) {
    return;
  }
  throw LevelError(std::string(stage) + " takes two parts at level " + std::to_string(level) + " and scale 2^" +
                   std::to_string(std::log2(scale)) + ", got " + std::to_string(input.size()) + " at level " +
                   std::to_string(input.level()) + " and scale 2^" + std::to_string(std::log2(input.scale)));
}

}  // namespace

Bootstrap::Bootstrap(const ckks::Context& context, const BootstrapShape& shape)
    : shape_(checked(shape, context)),
      main_family_(context.rlwe().main().shape()),
      one_digit_{context.basis().special_count(), context.max_level() + 1},
      max_level_(context.max_level()),
      primes_(all_primes(context.basis())),
      spacing_(context.encoder().slot_count() / shape.slots),
      q0_(context.prime(0)),
      conjugation_(static_cast<std::uint32_t>(2 * context.basis().n() - 1)),
      reduction_(context, shape.series, context.max_level() - (shape.to_slots.size() - 1),
                 shape.output_scale * shape.message_ratio) {
  if (output_level() < input_level()) {
    throw LevelError("bootstrapping ends at level " + std::to_string(output_level()) + ", below its input's " +
                     std::to_string(input_level()) + ": the chain is too short");
  }
  to_coefficients_ = make_maps(context, embedding_factors(shape.slots, shape.to_coefficients),
                               {.level = input_level(),
                                .input_scale = shape.input_scale,
                                .output_scale = low_scale(),
                                .multiplier = 1,
                                .babies = shape.babies_to_coefficients,
                                .family = shape.low_family},
                               low_keys_);
  const std::vector<Factor> factors = inverse_factors(shape.slots, shape.to_slots);
  // Each factor gets the same part of 1 / 2 range; the 2 is that of x + conjugate(x).
  const double part = std::pow(0.5 / shape.series.range, 1 / static_cast<double>(factors.size()));
  first_to_slots_ = make_raised_map(context, factors[0], q0_, part, one_digit_, raised_keys_);
  to_slots_ = make_maps(context, std::span(factors).subspan(1),
                        {.level = max_level_,
                         .input_scale = q0_,
                         .output_scale = reduction_.input_scale(),
                         .multiplier = 0.5 / shape.series.range / part,
                         .babies = shape.babies_to_slots,
                         .family = main_family_},
                        high_keys_);
}

std::vector<KeyNeed> Bootstrap::keys() const {
  std::vector<KeyNeed> result{{kToSparse, shape_.sparse_family, 0},
                              {rlwe::kRelinearisation, main_family_, reduction_.level()},
                              {rlwe::galois_name(conjugation_), main_family_, reduction_.level()}};
  for (std::int64_t steps : raised_keys_.steps) {
    result.push_back({{KeyEnd::sparse_scaled, KeyEnd::dense, element_of(steps)}, one_digit_, max_level_});
  }
  // The highest level for each element and family.
  std::map<std::pair<std::uint32_t, rlwe::KeyShape>, std::size_t> levels;
  const auto collect = [&](const std::vector<MapKeys>& maps, rlwe::KeyShape family) {
    for (const MapKeys& map : maps) {
      for (std::int64_t steps : map.steps) {
        std::size_t& level = levels[{element_of(steps), family}];
        level = std::max(level, map.level);
      }
    }
  };
  collect(low_keys_, shape_.low_family);
  collect(high_keys_, main_family_);
  for (const auto& [key, level] : levels) result.push_back({rlwe::galois_name(key.first), key.second, level});
  return result;
}

std::uint32_t Bootstrap::element_of(std::int64_t steps) const {
  const std::uint64_t mask = 2 * static_cast<std::uint64_t>(conjugation_ / 2 + 1) - 1;
  std::uint64_t element = 1;
  for (std::uint64_t power = 5, left = static_cast<std::uint64_t>(steps); left; left >>= 1) {
    if (left & 1) element = element * power & mask;
    power = power * power & mask;
  }
  return static_cast<std::uint32_t>(element);
}

std::size_t Bootstrap::bytes() const {
  std::size_t sum = first_to_slots_->bytes();
  for (const LinearTransform& map : to_coefficients_) sum += map.bytes();
  for (const LinearTransform& map : to_slots_) sum += map.bytes();
  return sum;
}

void Bootstrap::check_primes(const ckks::Evaluator& evaluator) const {
  const ring::RnsBasis& basis = evaluator.context().basis();
  if (basis.n() != static_cast<std::size_t>(conjugation_ / 2 + 1) || all_primes(basis) != primes_) {
    throw std::invalid_argument("this bootstrap was prepared for other parameters than those of the evaluator");
  }
}

Ciphertext Bootstrap::to_coefficients(const ckks::Evaluator& evaluator, const Ciphertext& input, double bound) const {
  check_primes(evaluator);
  check_positive(bound);
  check_input("bootstrapping", input, input_level(), shape_.input_scale / bound);
  Ciphertext relabelled = input;
  relabelled.scale = shape_.input_scale;
  return apply_maps(evaluator, to_coefficients_, relabelled);
}

Ciphertext Bootstrap::raise(const ckks::Evaluator& evaluator, const Ciphertext& input) const {
  check_primes(evaluator);
  check_input("raising the modulus", input, 0, low_scale());
  const Ciphertext low = switched(evaluator, input, kToSparse);
  const rlwe::Context& context = evaluator.context().rlwe();
  Ciphertext high;
  high.scale = q0_;
  for (const rlwe::Part& part : low.body.parts) {
    high.body.parts.push_back(rlwe::raise(part, spacing_, context));
  }
  return high;
}

Ciphertext Bootstrap::to_slots(const ckks::Evaluator& evaluator, const Ciphertext& input) const {
  check_primes(evaluator);
  check_input("CoeffsToSlots", input, max_level_, q0_);
  const Ciphertext both = apply_maps(evaluator, to_slots_, first_to_slots_->apply_raised(evaluator, input));
  return evaluator.add(both, evaluator.conjugate(both));
}

Ciphertext Bootstrap::reduce(const ckks::Evaluator& evaluator, const Ciphertext& input, double bound) const {
  check_primes(evaluator);
  check_positive(bound);
  Ciphertext result = reduction_.apply(evaluator, input);
  result.scale = shape_.output_scale / bound;
  return result;
}

Ciphertext Bootstrap::apply(const ckks::Evaluator& evaluator, const Ciphertext& input, double bound) const {
  return reduce(evaluator, to_slots(evaluator, raise(evaluator, to_coefficients(evaluator, input, bound))), bound);
}

}  // namespace hetorch::circuits
