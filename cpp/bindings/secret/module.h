// The parts of the module _secret that have a file of their own.
#pragma once

#include "bindings/convert.h"

namespace hetorch::bindings {

void bind_rounds(nb::module_& m);

}  // namespace hetorch::bindings
