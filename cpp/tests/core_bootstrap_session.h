// A key holder with the keys of a bootstrap on a small ring, for the tests of bootstrapping.
#pragma once

#include <numbers>

#include "circuits/bootstrap.h"
#include "core_session.h"

namespace session {

using hetorch::circuits::Bootstrap;
using hetorch::circuits::BootstrapShape;
using hetorch::circuits::KeyNeed;

constexpr std::size_t kWeight = 8;      // of the sparse secret
constexpr double kRange = 4.3;          // |I| is 4 at most with that weight, so one doubling suffices
constexpr double kRatio = 64;           // q_0 over the scale of a coefficient
constexpr double kBound = 2;            // slots of up to 2 at half the scale take the maps of slots of up to 1
inline const double kScale = 0x1.0p45;  // of slots of up to 1
inline const double kAmplitude = std::sqrt(1 / (2 * std::numbers::pi));

// The series of cos(2 pi u / 2) / sqrt(2 pi), u in [-range, range], by interpolation at the nodes of T_16.
inline std::vector<double> cosine(double range, double amplitude) {
  constexpr std::size_t kCount = 16;
  std::vector<double> result(kCount);
  for (std::size_t i = 0; i < kCount; ++i) {
    double sum = 0;
    for (std::size_t k = 0; k < kCount; ++k) {
      const double angle = std::numbers::pi * (static_cast<double>(k) + 0.5) / kCount;
      const double u = range * std::sqrt((1 + std::cos(angle)) / 2);  // w = 2 (u / range)^2 - 1 = cos(angle)
      sum += amplitude * std::cos(std::numbers::pi * u) * std::cos(static_cast<double>(i) * angle);
    }
    result[i] = sum * (i == 0 ? 1.0 : 2.0) / kCount;
  }
  return result;
}

using Radices = std::vector<std::size_t>;

// Primes for the two lists of stages and the reduction, with `more` levels left above the input's.
inline Shape bootstrap_primes(std::size_t n, const Radices& to_coefficients, const Radices& to_slots,
                              std::size_t more) {
  const std::size_t levels = to_coefficients.size() + to_slots.size() - 1 + 6 + more;
  return {n, 45, levels + 1, 5, 4, 0, {{1, 1}, {2, 2}, {5, levels + 1}}};
}

inline BootstrapShape bootstrap_shape(std::size_t slots, Radices to_coefficients, Radices to_slots) {
  return {.slots = slots,
          .to_coefficients = std::move(to_coefficients),
          .to_slots = std::move(to_slots),
          .babies_to_coefficients = 2,
          .babies_to_slots = 4,
          .input_scale = kScale,
          .output_scale = kScale,
          .message_ratio = kRatio,
          .series = {kRange, cosine(kRange, kAmplitude), 1},
          .low_family = {2, 2},
          .sparse_family = {1, 1}};
}

// Add the keys of a bootstrap, with a new sparse secret.
inline void add_keys(Session& owner, const Bootstrap& bootstrap, std::size_t spacing) {
  const rlwe::Context& context = owner.context.rlwe();
  const rlwe::SecretKey sparse(context, bytes_of(5, 0, kWeight * ring::kSparseBytes),
                               rlwe::SparseShape{kWeight, spacing});
  u64 tag = 7000;
  for (const KeyNeed& need : bootstrap.keys()) {
    const rlwe::Seed seed = seed_of(++tag);
    const rlwe::KeyFamily& family = context.family(need.family);
    const auto make = [&] {
      using rlwe::KeyEnd;
      const auto uniform = uniform_of(seed);
      const auto errors = source_of(++tag);
      if (need.name.from == KeyEnd::dense_squared)
        return rlwe::make_relinearisation_key(owner.key, need.level, seed, uniform, errors, context, family);
      if (need.name.from == KeyEnd::sparse_scaled)
        return rlwe::make_scaled_key(sparse, owner.key, need.name.element, seed, uniform, errors, context, family);
      const rlwe::SecretKey& to = need.name.to == KeyEnd::sparse ? sparse : owner.key;
      return rlwe::make_switching_key(owner.key, to, need.name.element, need.level, seed, uniform, errors, context,
                                      family);
    };
    owner.keys.add(need.name, std::make_shared<rlwe::SwitchingKey>(make()));
  }
}

// A bootstrap and its keys. spacing: N / 2 over the number of slots.
struct BootstrapCase {
  BootstrapCase(std::size_t n, std::size_t spacing, const Radices& to_coefficients, const Radices& to_slots,
                std::size_t more = 1)
      : shape(bootstrap_primes(n, to_coefficients, to_slots, more)),
        owner(shape),
        slots(owner.slot_count() / spacing),
        bootstrap(owner.context, bootstrap_shape(slots, to_coefficients, to_slots)) {
    add_keys(owner, bootstrap, spacing);
  }

  // Real slots of up to kBound that repeat after `slots` of them.
  Values values() {
    const Values drawn = owner.values();
    Values result(owner.slot_count());
    for (std::size_t j = 0; j < result.size(); ++j) result[j] = kBound * drawn[j % slots].real();
    return result;
  }
  // What a bootstrap makes of such slots.
  Values expected(const Values& values) const {
    constexpr double kPeriod = kBound * kRatio / (2 * std::numbers::pi);
    Values result(values.size());
    for (std::size_t j = 0; j < values.size(); ++j) result[j] = kPeriod * std::sin(values[j].real() / kPeriod);
    return result;
  }
  // A rounding in w makes N / 18^(1/2) of a slot at the scale 2^45, which the reduction multiplies by range^2 and the
  // period: 2^-27.7 for N = 256. Sixteen of these, and the error of the series, which doubles this for N = 256.
  double error_bound() const { return static_cast<double>(shape.n) / 256 * 0x1.0p-23 + 0x1.0p-23; }

  Shape shape;
  Session owner;
  std::size_t slots;
  Bootstrap bootstrap;
};

}  // namespace session
