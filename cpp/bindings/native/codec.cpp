#include "bindings/native/module.h"
#include "codec/objects.h"

namespace hetorch::bindings {
namespace {

// Parse bytes with the GIL released; the expander acquires it for each piece.
template <class Load>
auto load_with(const nb::bytes& bytes, nb::callable expand, const Load& load) {
  const auto data = view(bytes);
  const codec::Expander expander = to_expander(std::move(expand));
  nb::gil_scoped_release release;
  return load(data, expander);
}

}  // namespace

void bind_codec(nb::module_& m) {
  m.def(
      "ciphertext_bytes",
      [](const ckks::Context& c, std::size_t level, std::size_t parts, bool seeded) {
        return codec::ciphertext_bytes(level, parts, seeded, c);
      },
      "context"_a, "level"_a, "parts"_a, "seeded"_a);
  m.def(
      "dump_ciphertext",
      [](const ckks::Context& c, const ckks::Ciphertext& ct) { return to_bytes(codec::dump_ciphertext(ct, c)); },
      "context"_a, "ciphertext"_a);
  m.def(
      "load_ciphertext",
      [](const ckks::Context& c, const nb::bytes& bytes, ExpanderCallable expand) {
        return load_with(bytes, std::move(expand), [&](codec::ByteView data, const codec::Expander& expander) {
          return codec::load_ciphertext(data, c, expander);
        });
      },
      "context"_a, "data"_a, "expand"_a);
  m.def(
      "switching_key_bytes",
      [](const ckks::Context& c, std::size_t level, const Shape& family) {
        return codec::switching_key_bytes(level, family_of(c, family));
      },
      "context"_a, "level"_a, "family"_a = nb::none());
  m.def(
      "dump_switching_key",
      [](const ckks::Context& c, const rlwe::SwitchingKey& key) { return to_bytes(codec::dump_switching_key(key, c)); },
      "context"_a, "key"_a);
  m.def(
      "load_switching_key",
      [](const ckks::Context& c, const nb::bytes& bytes, std::size_t level, ExpanderCallable expand,
         const Shape& family) {
        return load_with(bytes, std::move(expand), [&](codec::ByteView data, const codec::Expander& expander) {
          return std::make_shared<rlwe::SwitchingKey>(
              codec::load_switching_key(data, level, family_of(c, family), expander));
        });
      },
      "context"_a, "data"_a, "level"_a, "expand"_a, "family"_a = nb::none());
  m.def("public_key_bytes", [](const ckks::Context& c) { return codec::public_key_bytes(c); }, "context"_a);
  m.def(
      "dump_public_key",
      [](const ckks::Context& c, const rlwe::PublicKey& key) { return to_bytes(codec::dump_public_key(key, c)); },
      "context"_a, "key"_a);
  m.def(
      "load_public_key",
      [](const ckks::Context& c, const nb::bytes& bytes, ExpanderCallable expand) {
        return load_with(bytes, std::move(expand), [&](codec::ByteView data, const codec::Expander& expander) {
          return codec::load_public_key(data, c, expander);
        });
      },
      "context"_a, "data"_a, "expand"_a);
}

}  // namespace hetorch::bindings
