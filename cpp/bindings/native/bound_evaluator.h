// The evaluator of Python: it keeps its context and keys alive.
#pragma once

#include "bindings/convert.h"
#include "ckks/evaluator.h"

namespace hetorch::bindings {

struct BoundEvaluator {
  ContextPtr context;
  std::shared_ptr<const rlwe::EvaluationKeys> keys;

  ckks::Evaluator get() const { return {*context, keys.get()}; }
};

}  // namespace hetorch::bindings
