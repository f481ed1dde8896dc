// The parts of the module _native, in the order in which module.cpp binds them.
#pragma once

#include "bindings/convert.h"

namespace hetorch::bindings {

void bind_errors();
void bind_objects(nb::module_& m);
void bind_rows(nb::module_& m);
void bind_evaluator(nb::module_& m);
void bind_bootstrap(nb::module_& m);
void bind_codec(nb::module_& m);
void bind_blocks(nb::module_& m);

}  // namespace hetorch::bindings
