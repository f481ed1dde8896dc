// The evaluator, prepared linear maps and prepared weighted sums.
#include "ckks/evaluator.h"

#include "bindings/native/bound_evaluator.h"
#include "bindings/native/module.h"
#include "circuits/linear_transform.h"
#include "circuits/polynomial.h"
#include "circuits/weighted_sums.h"
#include "ckks/batched_ops.h"

namespace hetorch::bindings {
namespace {

using ckks::Ciphertext;
using ckks::Plaintext;
using Refs = std::vector<const Ciphertext*>;
using Release = nb::call_guard<nb::gil_scoped_release>;

using IndexArray = nb::ndarray<const std::int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using ValueArray = nb::ndarray<const double, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using ImaginaryArray = std::optional<ValueArray>;

std::shared_ptr<circuits::LinearTransform> prepare(const ckks::Context& context, const IndexArray& outputs,
                                                   const IndexArray& inputs, const IndexArray& giants,
                                                   const IndexArray& babies, const ValueArray& values,
                                                   std::size_t input_count, std::size_t output_count, std::size_t level,
                                                   double input_scale, double output_scale, bool coefficients,
                                                   const ImaginaryArray& imaginary, const Shape& family) {
  const std::size_t count = values.shape(0);
  for (const IndexArray* array : {&outputs, &inputs, &giants, &babies}) {
    if (array->shape(0) != count) throw std::invalid_argument("index arrays must have one entry for each diagonal");
    for (std::size_t t = 0; t < count; ++t) {
      if ((*array)(t) < 0) throw std::invalid_argument("an index is negative");
    }
  }
  if (imaginary && (imaginary->shape(0) != count || imaginary->shape(1) != values.shape(1))) {
    throw std::invalid_argument("the imaginary parts of the diagonals must have the shape of the real parts");
  }
  std::vector<circuits::Diagonal> diagonals;
  for (std::size_t t = 0; t < count; ++t) {
    diagonals.push_back({static_cast<std::size_t>(outputs(t)), static_cast<std::size_t>(inputs(t)),
                         static_cast<std::size_t>(giants(t)), static_cast<std::size_t>(babies(t)),
                         values.data() + t * values.shape(1),
                         imaginary ? imaginary->data() + t * values.shape(1) : nullptr});
  }
  const std::size_t period = values.shape(1);
  nb::gil_scoped_release release;
  return std::make_shared<circuits::LinearTransform>(
      context, diagonals, period, input_count, output_count, level, input_scale, output_scale,
      coefficients ? circuits::DiagonalForm::coefficients : circuits::DiagonalForm::transformed,
      family_of(context, family));
}

std::shared_ptr<circuits::WeightedSums> prepare_sums(const ckks::Context& context, const IndexArray& outputs,
                                                     const IndexArray& inputs, const RealArray& values,
                                                     std::size_t input_count, std::size_t output_count,
                                                     std::size_t level, double input_scale, double output_scale) {
  const std::size_t count = values.shape(0);
  if (outputs.shape(0) != count || inputs.shape(0) != count) {
    throw std::invalid_argument("index arrays must have one entry for each weight");
  }
  std::vector<circuits::Weight> weights;
  for (std::size_t t = 0; t < count; ++t) {
    if (outputs(t) < 0 || inputs(t) < 0) throw std::invalid_argument("an index is negative");
    weights.push_back({static_cast<std::size_t>(outputs(t)), static_cast<std::size_t>(inputs(t)), values(t)});
  }
  nb::gil_scoped_release release;
  return std::make_shared<circuits::WeightedSums>(context, weights, input_count, output_count, level, input_scale,
                                                  output_scale);
}

// Encoded linear maps and matrices of weights.
void bind_maps(nb::module_& m) {
  nb::class_<circuits::LinearTransform>(m, "LinearTransform")
      .def_static("prepare", &prepare, "context"_a, "outputs"_a, "inputs"_a, "giants"_a, "babies"_a, "values"_a,
                  "input_count"_a, "output_count"_a, "level"_a, "input_scale"_a, "output_scale"_a,
                  "coefficients"_a = false, "imaginary"_a = nb::none(), "family"_a = nb::none())
      .def_prop_ro("level", &circuits::LinearTransform::level)
      .def_prop_ro("bytes", &circuits::LinearTransform::bytes);

  nb::class_<circuits::WeightedSums>(m, "WeightedSums")
      .def_static("prepare", &prepare_sums, "context"_a, "outputs"_a, "inputs"_a, "values"_a, "input_count"_a,
                  "output_count"_a, "level"_a, "input_scale"_a, "output_scale"_a)
      .def_prop_ro("level", &circuits::WeightedSums::level)
      .def_prop_ro("bytes", &circuits::WeightedSums::bytes);
}

void bind_arithmetic(nb::class_<BoundEvaluator>& evaluator) {
  evaluator
      .def(
          "__init__",
          [](BoundEvaluator* self, std::shared_ptr<ckks::Context> context, std::shared_ptr<rlwe::EvaluationKeys> keys) {
            new (self) BoundEvaluator{std::move(context), std::move(keys)};
          },
          "context"_a, "keys"_a.none())
      .def(
          "add", [](const BoundEvaluator& e, const Ciphertext& a, const Ciphertext& b) { return e.get().add(a, b); },
          Release())
      .def(
          "subtract",
          [](const BoundEvaluator& e, const Ciphertext& a, const Ciphertext& b) { return e.get().subtract(a, b); },
          Release())
      .def(
          "negate", [](const BoundEvaluator& e, const Ciphertext& a) { return e.get().negate(a); }, Release())
      .def(
          "add_plaintext",
          [](const BoundEvaluator& e, const Ciphertext& a, const Plaintext& p) { return e.get().add(a, p); }, Release())
      .def(
          "multiply_plaintext",
          [](const BoundEvaluator& e, const Ciphertext& a, const Plaintext& p) { return e.get().multiply(a, p); },
          Release())
      .def(
          "multiply",
          [](const BoundEvaluator& e, const Ciphertext& a, const Ciphertext& b) { return e.get().multiply(a, b); },
          Release())
      .def(
          "multiply_raw",
          [](const BoundEvaluator& e, const Ciphertext& a, const Ciphertext& b) { return e.get().multiply_raw(a, b); },
          Release())
      .def(
          "relinearise", [](const BoundEvaluator& e, const Ciphertext& a) { return e.get().relinearise(a); }, Release())
      .def(
          "rescale", [](const BoundEvaluator& e, const Ciphertext& a) { return e.get().rescale(a); }, Release())
      .def(
          "drop_level",
          [](const BoundEvaluator& e, const Ciphertext& a, std::size_t level) { return e.get().drop_level(a, level); },
          Release())
      .def(
          "rotate",
          [](const BoundEvaluator& e, const Ciphertext& a, std::int64_t steps) { return e.get().rotate(a, steps); },
          Release())
      .def(
          "rotate_many",
          [](const BoundEvaluator& e, const Ciphertext& a, const std::vector<std::int64_t>& steps) {
            return e.get().rotate_many(a, steps);
          },
          "ciphertext"_a, "steps"_a, Release())
      .def(
          "conjugate", [](const BoundEvaluator& e, const Ciphertext& a) { return e.get().conjugate(a); }, Release())
      .def(
          "relinearise_rescale",
          [](const BoundEvaluator& e, const Ciphertext& a) { return e.get().relinearise_rescale(a); }, "a"_a, Release())
      .def(
          "add_constant",
          [](const BoundEvaluator& e, const Ciphertext& a, double value) { return e.get().add(a, value); }, "a"_a,
          "value"_a, Release());
}

// Sums of products, of one result and of many.
void bind_sums(nb::class_<BoundEvaluator>& evaluator) {
  evaluator
      .def(
          "add_values",
          [](const BoundEvaluator& e, const Ciphertext& a, const RealArray& values) {
            return ckks::add_values(e.get(), a, {values.data(), values.size()});
          },
          "a"_a, "values"_a, Release())
      .def(
          "sum_of_weights",
          [](const BoundEvaluator& e, const Refs& cts, const RealArray& weights, double scale) {
            return ckks::sum_of_weights(e.get(), cts, {weights.data(), weights.size()}, scale);
          },
          "ciphertexts"_a, "weights"_a, "scale"_a, Release())
      .def(
          "sum_of_values",
          [](const BoundEvaluator& e, const Refs& cts, const ValueArray& values, double scale) {
            return ckks::sum_of_values(e.get(), cts, {values.data(), values.size()}, values.shape(1), scale);
          },
          "ciphertexts"_a, "values"_a, "scale"_a, Release())
      .def(
          "sum_of_products",
          [](const BoundEvaluator& e, const Refs& a, const Refs& b) { return ckks::sum_of_products(e.get(), a, b); },
          "a"_a, "b"_a, Release())
      .def(
          "negate_each", [](const BoundEvaluator& e, const Refs& a) { return ckks::negate_each(e.get(), a); }, "a"_a,
          Release())
      .def(
          "add_each",
          [](const BoundEvaluator& e, const Refs& a, const Refs& b) { return ckks::add_each(e.get(), a, b); }, "a"_a,
          "b"_a, Release())
      .def(
          "subtract_each",
          [](const BoundEvaluator& e, const Refs& a, const Refs& b) { return ckks::subtract_each(e.get(), a, b); },
          "a"_a, "b"_a, Release())
      .def(
          "add_constants",
          [](const BoundEvaluator& e, const Refs& a, const RealArray& values) {
            return ckks::add_constants(e.get(), a, {values.data(), values.size()});
          },
          "a"_a, "values"_a, Release())
      .def(
          "sums_of_weights",
          [](const BoundEvaluator& e, const Refs& cts, const RealArray& weights, std::size_t terms, double scale,
             bool rescale) {
            return ckks::sums_of_weights(e.get(), cts, {weights.data(), weights.size()}, terms, scale, rescale);
          },
          "ciphertexts"_a, "weights"_a, "terms"_a, "scale"_a, "rescale"_a, Release())
      .def(
          "sums_of_products",
          [](const BoundEvaluator& e, const Refs& a, const Refs& b, std::size_t terms, bool relinearise, bool rescale) {
            return ckks::sums_of_products(e.get(), a, b, terms, relinearise, rescale);
          },
          "a"_a, "b"_a, "terms"_a, "relinearise"_a, "rescale"_a, Release());
}

void bind_circuits(nb::class_<BoundEvaluator>& evaluator) {
  evaluator
      .def(
          "linear_transform",
          [](const BoundEvaluator& e, const circuits::LinearTransform& transform,
             const std::vector<const Ciphertext*>& inputs) { return transform.apply(e.get(), inputs); },
          Release())
      .def(
          "weighted_sums",
          [](const BoundEvaluator& e, const circuits::WeightedSums& sums,
             const std::vector<const Ciphertext*>& inputs) { return sums.apply(e.get(), inputs); },
          Release())
      .def(
          "polynomial",
          [](const BoundEvaluator& e, const Ciphertext& a, const std::vector<double>& coefficients,
             double output_scale) { return circuits::evaluate_chebyshev(e.get(), a, coefficients, output_scale); },
          Release());
}

}  // namespace

void bind_evaluator(nb::module_& m) {
  bind_maps(m);
  nb::class_<BoundEvaluator> evaluator(m, "Evaluator");
  bind_arithmetic(evaluator);
  bind_sums(evaluator);
  bind_circuits(evaluator);
}

}  // namespace hetorch::bindings
