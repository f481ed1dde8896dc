#include "bindings/native/module.h"
#include "codec/objects.h"
#include "codec/packed_keys.h"

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

// Read-only bytes of a Python object, such as a mapped file.
using Bytes = nb::ndarray<const std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

std::shared_ptr<rlwe::SwitchingKey> map_switching_key(const ckks::Context& context, const Bytes& data,
                                                      std::size_t offset, std::size_t level, const Shape& shape) {
  const rlwe::KeyFamily& family = family_of(context, shape);
  const std::size_t length = codec::packed_key_bytes(level, family);
  if (offset > data.size() || length > data.size() - offset) throw codec::FormatError("the data ends inside a key");
  // The array is a reference to the Python object; its destructor acquires the GIL where it is needed.
  return std::make_shared<rlwe::SwitchingKey>(
      codec::map_key({data.data() + offset, length}, level, family, std::make_shared<const Bytes>(data)));
}

void bind_packed_keys(nb::module_& m) {
  m.def(
      "packed_key_bytes",
      [](const ckks::Context& c, std::size_t level, const Shape& family) {
        return codec::packed_key_bytes(level, family_of(c, family));
      },
      "context"_a, "level"_a, "family"_a = nb::none());
  m.def(
      "pack_switching_key",
      [](const ckks::Context& c, const rlwe::SwitchingKey& key) { return to_bytes(codec::pack_key(key, c)); },
      "context"_a, "key"_a);
  m.def("map_switching_key", &map_switching_key, "context"_a, "data"_a, "offset"_a, "level"_a, "family"_a = nb::none(),
        "Return the key at `offset` of read-only bytes, which stay in use as long as the key.");
}

}  // namespace

void bind_codec(nb::module_& m) {
  bind_packed_keys(m);
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
