// The errors of the scheme; the bindings turn them into the Python ones of the same name.
#pragma once

#include <stdexcept>

namespace hetorch::ckks {

struct LevelError : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

struct KeyMissingError : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

}  // namespace hetorch::ckks
