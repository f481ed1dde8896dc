// Bootstrapping and its stages.
#include "circuits/bootstrap.h"

#include "bindings/native/bound_evaluator.h"
#include "bindings/native/module.h"

namespace hetorch::bindings {
namespace {

using circuits::Bootstrap;
using ckks::Ciphertext;
using Pair = std::pair<std::size_t, std::size_t>;

std::shared_ptr<Bootstrap> prepare(const ckks::Context& context, std::size_t slots,
                                   const std::vector<std::size_t>& to_coefficients,
                                   const std::vector<std::size_t>& to_slots, const Pair& babies, const Pair& low_family,
                                   double input_scale, double output_scale, double message_ratio, double range,
                                   const std::vector<double>& cosine, std::size_t doublings) {
  const circuits::BootstrapShape shape{.slots = slots,
                                       .to_coefficients = to_coefficients,
                                       .to_slots = to_slots,
                                       .babies_to_coefficients = babies.first,
                                       .babies_to_slots = babies.second,
                                       .input_scale = input_scale,
                                       .output_scale = output_scale,
                                       .message_ratio = message_ratio,
                                       .series = {range, cosine, doublings},
                                       .low_family = {low_family.first, low_family.second},
                                       .sparse_family = {1, 1}};
  nb::gil_scoped_release release;
  return std::make_shared<Bootstrap>(context, shape);
}

using Stage = Ciphertext (Bootstrap::*)(const ckks::Evaluator&, const Ciphertext&) const;
using BoundStage = Ciphertext (Bootstrap::*)(const ckks::Evaluator&, const Ciphertext&, double) const;

template <Stage stage>
Ciphertext run(const Bootstrap& bootstrap, const BoundEvaluator& evaluator, const Ciphertext& input) {
  return (bootstrap.*stage)(evaluator.get(), input);
}

template <BoundStage stage>
Ciphertext run_within(const Bootstrap& bootstrap, const BoundEvaluator& evaluator, const Ciphertext& input,
                      double bound) {
  return (bootstrap.*stage)(evaluator.get(), input, bound);
}

}  // namespace

void bind_bootstrap(nb::module_& m) {
  using Release = nb::call_guard<nb::gil_scoped_release>;
  nb::class_<Bootstrap>(m, "Bootstrap")
      .def_static("prepare", &prepare, "context"_a, "slots"_a, "to_coefficients"_a, "to_slots"_a, "babies"_a,
                  "low_family"_a, "input_scale"_a, "output_scale"_a, "message_ratio"_a, "range"_a, "cosine"_a,
                  "doublings"_a)
      .def_prop_ro("input_level", &Bootstrap::input_level)
      .def_prop_ro("output_level", &Bootstrap::output_level)
      .def_prop_ro("reduction_level", &Bootstrap::reduction_level, "The level of the input of reduce().")
      .def_prop_ro("reduction_scale", &Bootstrap::reduction_scale, "The scale of the input of reduce().")
      .def_prop_ro("bytes", &Bootstrap::bytes)
      .def(
          "key_links",
          [](const Bootstrap& b) {
            std::vector<std::tuple<rlwe::KeyEnd, rlwe::KeyEnd, std::uint32_t, Pair, std::size_t>> keys;
            for (const circuits::KeyNeed& need : b.keys()) {
              keys.emplace_back(need.name.from, need.name.to, need.name.element,
                                Pair(need.family.special_count, need.family.digit_size), need.level);
            }
            return keys;
          },
          "The keys that it needs: (from, to, Galois element, family, level).")
      .def("apply", &run_within<&Bootstrap::apply>, "evaluator"_a, "ciphertext"_a, "bound"_a = 1.0, Release())
      .def("to_coefficients", &run_within<&Bootstrap::to_coefficients>, "evaluator"_a, "ciphertext"_a, "bound"_a = 1.0,
           Release())
      .def("raise_modulus", &run<&Bootstrap::raise>, "evaluator"_a, "ciphertext"_a, Release())
      .def("to_slots", &run<&Bootstrap::to_slots>, "evaluator"_a, "ciphertext"_a, Release())
      .def("reduce", &run_within<&Bootstrap::reduce>, "evaluator"_a, "ciphertext"_a, "bound"_a = 1.0, Release());
}

}  // namespace hetorch::bindings
