#include "circuits/slot_maps.h"

#include <cmath>
#include <deque>
#include <string>

#include "ckks/errors.h"

namespace hetorch::circuits {
namespace {

// A factor cut into baby and giant steps. Its steps are stride * j; with j = baby + giant and 0 <= baby < babies, the
// giants are multiples of stride * babies without gaps, on either side of 0, so that Horner's rule takes one key for
// each side (giant_steps.cpp).
struct Steps {
  std::int64_t baby;
  std::int64_t giant;
};

Steps cut(std::int64_t steps, const Factor& factor, std::size_t babies) {
  const auto stride = static_cast<std::int64_t>(factor.stride);
  const auto count = static_cast<std::int64_t>(babies);
  const std::int64_t baby = ((steps / stride) % count + count) % count * stride;
  return {baby, steps - baby};
}

// The diagonals of a factor, with the memory of their values.
struct Diagonals {
  std::deque<std::vector<double>> values{};  // its elements stay where they are
  std::vector<Diagonal> all{};

  void add(std::size_t giant, std::size_t baby, const std::vector<std::complex<double>>& diagonal, double multiplier) {
    std::vector<double>& real = values.emplace_back();
    std::vector<double>& imaginary = values.emplace_back();
    for (const std::complex<double>& v : diagonal) {
      real.push_back(multiplier * v.real());
      imaginary.push_back(multiplier * v.imag());
    }
    all.push_back({0, 0, giant, baby, real.data(), imaginary.data()});
  }
};

}  // namespace

LinearTransform make_raised_map(const ckks::Context& context, const Factor& factor, double scale, double multiplier,
                                rlwe::KeyShape family, MapKeys& keys) {
  const auto slots = static_cast<std::int64_t>(context.encoder().slot_count());
  Diagonals diagonals;
  keys = {context.max_level(), {}};
  for (const auto& [steps, diagonal] : factor.diagonals) {
    const std::int64_t left = (steps % slots + slots) % slots;
    diagonals.add(0, static_cast<std::size_t>(left), diagonal, multiplier);
    keys.steps.insert(left);
  }
  return LinearTransform::of_raised(context, diagonals.all, factor.period, scale, context.rlwe().family(family));
}

std::vector<LinearTransform> make_maps(const ckks::Context& context, std::span<const Factor> factors,
                                       const MapChain& chain, std::vector<MapKeys>& keys) {
  if (chain.babies == 0) throw std::invalid_argument("a map needs at least one baby step");
  const double count = static_cast<double>(factors.size());
  const double part = std::pow(chain.multiplier, 1 / count);
  const double ratio = std::pow(chain.output_scale / chain.input_scale, 1 / count);
  const auto slots = static_cast<std::int64_t>(context.encoder().slot_count());
  const rlwe::KeyFamily& family = context.rlwe().family(chain.family);
  std::vector<LinearTransform> maps;
  double scale = chain.input_scale;
  for (std::size_t f = 0; f < factors.size(); ++f) {
    const Factor& factor = factors[f];
    MapKeys needed{chain.level - f, {}};
    Diagonals diagonals;
    for (const auto& [steps, diagonal] : factor.diagonals) {
      const auto [baby, giant] = cut(steps, factor, chain.babies);
      const std::int64_t left = (giant % slots + slots) % slots;
      diagonals.add(static_cast<std::size_t>(left), static_cast<std::size_t>(baby), diagonal, part);
      const auto base = static_cast<std::int64_t>(factor.stride * chain.babies);
      if (baby != 0) needed.steps.insert(baby);
      if (left != 0) needed.steps.insert(2 * left <= slots ? base : slots - base);
    }
    const double next = f + 1 == factors.size() ? chain.output_scale : scale * ratio;
    maps.emplace_back(context, diagonals.all, factor.period, 1, 1, needed.level, scale, next, DiagonalForm::transformed,
                      family);
    keys.push_back(std::move(needed));
    scale = next;
  }
  return maps;
}

ckks::Ciphertext apply_maps(const ckks::Evaluator& evaluator, std::span<const LinearTransform> maps,
                            const ckks::Ciphertext& input) {
  ckks::Ciphertext result = input;
  for (const LinearTransform& map : maps) {
    const ckks::Ciphertext* const inputs[] = {&result};
    result = std::move(map.apply(evaluator, inputs)[0]);
  }
  return result;
}

}  // namespace hetorch::circuits
