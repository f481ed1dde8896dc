// Errors of the CKKS scheme. The bindings translate them to the Python errors of the same name.
#pragma once

#include <stdexcept>

namespace hetorch::ckks {

// An operation that the level or the scale of its operands does not allow.
struct LevelError : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

// An operation whose evaluation key is missing, or ends below the level of its operand.
struct KeyMissingError : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

}  // namespace hetorch::ckks
