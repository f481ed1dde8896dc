#include "ckks/sums.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "ckks/errors.h"

namespace hetorch::ckks {
namespace {

NttPoly encode_periodic(const Context& context, std::span<const double> values, double scale, Limbs limbs) {
  const std::size_t slots = context.encoder().slot_count();
  if (values.empty() || slots % values.size() != 0) {
    throw std::invalid_argument("the values repeat after " + std::to_string(values.size()) +
                                " slots, which does not divide the slot count " + std::to_string(slots));
  }
  std::vector<Complex> all(slots);
  for (std::size_t j = 0; j < slots; ++j) all[j] = values[j % values.size()];
  return context.encoder().encode(all, scale, limbs);
}

struct Shape {
  std::size_t level;
  std::size_t parts;
};

// What a sum over these ciphertexts has: all of one scale, under one context.
Shape common_shape(const char* what, CiphertextRefs cts, const Context& context) {
  if (cts.empty()) throw std::invalid_argument(std::string(what) + " needs at least one ciphertext");
  Shape shape{context.max_level(), 2};
  for (const Ciphertext* ct : cts) {
    if (ct == nullptr) throw std::invalid_argument(std::string(what) + ": a ciphertext is None");
    for (const NttPoly& part : ct->body.parts) context.rlwe().check(part);
    if (std::fabs(ct->scale - cts[0]->scale) > kScaleTolerance * cts[0]->scale) {
      throw LevelError(std::string(what) + ": the scales differ, 2^" + std::to_string(std::log2(ct->scale)) +
                       " and 2^" + std::to_string(std::log2(cts[0]->scale)));
    }
    shape.level = std::min(shape.level, ct->level());
    shape.parts = std::max(shape.parts, ct->size());
  }
  return shape;
}

void check_scale(const char* what, double scale, std::size_t level, const Context& context) {
  if (!(scale > 0) || !std::isfinite(scale) || std::log2(scale) >= context.log2_modulus(level)) {
    throw LevelError(std::string(what) + ": the product would have scale 2^" + std::to_string(std::log2(scale)) +
                     ", the modulus at level " + std::to_string(level) + " has " +
                     std::to_string(context.log2_modulus(level)) + " bits; rescale first, or use smaller scales");
  }
}

Ciphertext zero(const Shape& shape, double scale, const Context& context) {
  Ciphertext result;
  result.scale = scale;
  for (std::size_t i = 0; i < shape.parts; ++i) {
    NttPoly part(context.basis().n(), {shape.level + 1, 0});
    part.clear();
    result.body.parts.push_back(std::move(part));
  }
  return result;
}

}  // namespace

Ciphertext sum_of_values(const Evaluator& evaluator, CiphertextRefs cts, std::span<const double> values,
                         std::size_t period, double scale) {
  const Context& context = evaluator.context();
  const Shape shape = common_shape("a sum of values", cts, context);
  if (values.size() != period * cts.size()) throw std::invalid_argument("one row of values for each ciphertext");
  Ciphertext result = zero(shape, cts[0]->scale * scale, context);
  check_scale("a sum of values", result.scale, shape.level, context);
  const Limbs limbs{shape.level + 1, 0};
  std::vector<NttPoly> encoded(cts.size());
  ring::parallel_for(cts.size(), [&](std::size_t i) {
    encoded[i] = encode_periodic(context, values.subspan(i * period, period), scale, limbs);
  });
  for (std::size_t i = 0; i < cts.size(); ++i) {
    for (std::size_t p = 0; p < cts[i]->size(); ++p) {
      ring::multiply_add(result.body.parts[p], cts[i]->body.parts[p], encoded[i], context.basis());
    }
  }
  return result;
}

Ciphertext sum_of_weights(const Evaluator& evaluator, CiphertextRefs cts, std::span<const double> weights,
                          double scale) {
  const Context& context = evaluator.context();
  const Shape shape = common_shape("a weighted sum", cts, context);
  if (weights.size() != cts.size()) throw std::invalid_argument("one weight for each ciphertext");
  check_scale("a weighted sum", cts[0]->scale * scale, shape.level, context);
  for (double weight : weights) {
    // Half the modulus: the range of an encoded number.
    if (!std::isfinite(weight) || std::log2(std::fabs(weight) * scale) >= context.log2_modulus(shape.level) - 1) {
      throw LevelError("a weight of " + std::to_string(weight) + " at scale 2^" + std::to_string(std::log2(scale)) +
                       " does not fit under the modulus");
    }
  }
  Ciphertext result = evaluator.multiply(evaluator.drop_level(*cts[0], shape.level), weights[0], scale);
  for (std::size_t i = 1; i < cts.size(); ++i) {
    Ciphertext term = evaluator.multiply(evaluator.drop_level(*cts[i], shape.level), weights[i], scale);
    if (term.size() > result.size()) std::swap(term, result);
    for (std::size_t p = 0; p < term.size(); ++p) {
      ring::add(result.body.parts[p], result.body.parts[p], term.body.parts[p], context.basis());
    }
  }
  result.scale = cts[0]->scale * scale;
  return result;
}

Ciphertext sum_of_products(const Evaluator& evaluator, CiphertextRefs a, CiphertextRefs b) {
  const Context& context = evaluator.context();
  const Shape left = common_shape("a sum of products", a, context);
  const Shape right = common_shape("a sum of products", b, context);
  if (a.size() != b.size()) throw std::invalid_argument("a sum of products takes as many right factors as left ones");
  if (left.parts != 2 || right.parts != 2) throw LevelError("a product takes relinearised ciphertexts of two parts");
  const Shape shape{std::min(left.level, right.level), 3};
  Ciphertext result = zero(shape, a[0]->scale * b[0]->scale, context);
  check_scale("a sum of products", result.scale, shape.level, context);
  auto& out = result.body.parts;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto& x = a[i]->body.parts;
    const auto& y = b[i]->body.parts;
    ring::multiply_add(out[0], x[0], y[0], context.basis());
    ring::multiply_add(out[1], x[0], y[1], context.basis());
    ring::multiply_add(out[1], x[1], y[0], context.basis());
    ring::multiply_add(out[2], x[1], y[1], context.basis());
  }
  return result;
}

Ciphertext add_values(const Evaluator& evaluator, const Ciphertext& ct, std::span<const double> values) {
  const Context& context = evaluator.context();
  Ciphertext result = evaluator.drop_level(ct, ct.level());
  const NttPoly encoded = encode_periodic(context, values, ct.scale, {ct.level() + 1, 0});
  ring::add(result.body.parts[0], result.body.parts[0], encoded, context.basis());
  return result;
}

}  // namespace hetorch::ckks
