#include "ckks/errors.h"

#include "bindings/native/module.h"

namespace hetorch::bindings {
namespace {

// Set the Python exception hetorch.errors.<name>.
void raise(const char* name, const std::exception& error) {
  nb::object type = nb::module_::import_("hetorch.errors").attr(name);
  PyErr_SetString(type.ptr(), error.what());
}

}  // namespace

void bind_errors() {
  nb::register_exception_translator([](const std::exception_ptr& pointer, void*) {
    try {
      std::rethrow_exception(pointer);
    } catch (const ckks::LevelError& error) {
      raise("LevelError", error);
    } catch (const ckks::KeyMissingError& error) {
      raise("KeyMissingError", error);
    } catch (const codec::FormatError& error) {
      raise("WireError", error);
    } catch (const std::invalid_argument& error) {
      raise("ParameterError", error);
    }
  });
}

}  // namespace hetorch::bindings
