// Contexts, plaintexts, ciphertexts and keys; encoding and public-key encryption.
#include <cmath>

#include "bindings/native/module.h"
#include "ckks/errors.h"
#include "rlwe/public_key.h"

namespace hetorch::bindings {
namespace {

std::shared_ptr<const ckks::Context> make_context(std::size_t ring_degree, const std::vector<std::uint64_t>& chain,
                                                  const std::vector<std::uint64_t>& special, std::size_t digit_size,
                                                  std::uint64_t slot_generator,
                                                  const std::vector<std::pair<std::size_t, std::size_t>>& families) {
  std::vector<rlwe::KeyShape> shapes;
  for (const auto& [special_count, size] : families) shapes.push_back({special_count, size});
  nb::gil_scoped_release release;
  return std::make_shared<const ckks::Context>(ring_degree, chain, special, digit_size, slot_generator, shapes);
}

void check_level(const ckks::Context& context, std::size_t level) {
  if (level > context.max_level()) {
    throw std::invalid_argument("level " + std::to_string(level) + " is above the chain's " +
                                std::to_string(context.max_level()));
  }
}

ckks::Plaintext encode(const ckks::Context& context, const ComplexArray& values, std::size_t level, double scale) {
  check_level(context, level);
  nb::gil_scoped_release release;
  return {context.encoder().encode({values.data(), values.size()}, scale, {level + 1, 0}), scale};
}

ckks::Plaintext lift(const ckks::Context& context, const RealArray& coefficients, std::size_t level, double scale) {
  check_level(context, level);
  nb::gil_scoped_release release;
  return {context.encoder().lift({coefficients.data(), coefficients.size()}, {level + 1, 0}), scale};
}

auto decode(const ckks::Context& context, const ckks::Plaintext& plaintext) {
  std::vector<std::complex<double>> values;
  {
    nb::gil_scoped_release release;
    values = context.encoder().decode(plaintext.poly, plaintext.scale);
  }
  return to_array(std::move(values));
}

ckks::Ciphertext encrypt(const ckks::Context& context, const ckks::Plaintext& message, const rlwe::PublicKey& key,
                         const nb::bytes& random) {
  const auto bytes = view(random);
  nb::gil_scoped_release release;
  return {rlwe::encrypt(message.poly, key, bytes, context.rlwe()), message.scale};
}

// The residues of one row, in the NTT domain and our order, for comparisons with other libraries.
auto row(const ring::NttPoly& poly, std::size_t r) {
  if (r >= poly.limbs().count()) throw std::invalid_argument("row out of range");
  return to_array(std::vector<std::uint64_t>(poly.row(r), poly.row(r) + poly.n()));
}

ckks::Ciphertext ciphertext_of_rows(const ckks::Context& context, std::size_t level, std::size_t parts, double scale,
                                    nb::ndarray<const std::uint64_t, nb::ndim<3>, nb::c_contig> rows) {
  check_level(context, level);
  if (!(scale > 0) || !std::isfinite(scale))
    throw ckks::LevelError("scale is " + std::to_string(scale) + ", expected above 0");
  const std::size_t n = context.basis().n();
  if (parts < 2 || parts > ckks::kMostParts || rows.shape(0) != parts || rows.shape(1) != level + 1 ||
      rows.shape(2) != n) {
    throw std::invalid_argument("rows must have shape (parts, level + 1, ring_degree), parts 2 to 16");
  }
  ckks::Ciphertext result;
  result.scale = scale;
  const std::uint64_t* from = rows.data();
  for (std::size_t i = 0; i < parts; ++i) {
    ring::NttPoly part(n, {level + 1, 0});
    for (std::size_t r = 0; r <= level; ++r) {
      for (std::size_t j = 0; j < n; ++j, ++from) {
        if (*from >= context.basis().prime(r)) throw std::invalid_argument("a residue is not below its prime");
        part.row(r)[j] = *from;
      }
    }
    result.body.parts.push_back(std::move(part));
  }
  return result;
}

// Return a list or tuple of floats and ints as an array, several times faster than numpy, which must expect objects of
// any type. Returns None for everything else; the caller then leaves the conversion and its errors to numpy.
nb::object array_of_reals(const nb::sequence& numbers) {
  PyObject* const sequence = numbers.ptr();
  const bool list = PyList_CheckExact(sequence);
  if (!list && !PyTuple_CheckExact(sequence)) return nb::none();
  const std::size_t count = nb::len(numbers);
  std::vector<double> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto at = static_cast<Py_ssize_t>(i);
    PyObject* const item = list ? PyList_GetItem(sequence, at) : PyTuple_GetItem(sequence, at);
    if (!PyFloat_Check(item) && !PyLong_CheckExact(item)) return nb::none();
    values[i] = PyFloat_AsDouble(item);
    if (values[i] == -1.0 && PyErr_Occurred() != nullptr) {
      PyErr_Clear();  // an int beyond the range of doubles
      return nb::none();
    }
  }
  return nb::cast(to_array(std::move(values)));
}

// Return the key of this name, of the family with the fewest special primes.
std::shared_ptr<rlwe::SwitchingKey> smallest(const rlwe::EvaluationKeys& keys, const rlwe::KeyName& name) {
  for (const auto& [entry, key] : keys.all()) {
    if (entry.first == name) return std::const_pointer_cast<rlwe::SwitchingKey>(key);
  }
  return nullptr;
}

void bind_evaluation_keys(nb::module_& m) {
  using KeyPtr = std::shared_ptr<rlwe::SwitchingKey>;
  using Named = std::tuple<rlwe::KeyEnd, rlwe::KeyEnd, std::uint32_t, KeyPtr>;
  nb::enum_<rlwe::KeyEnd>(m, "KeyEnd", "The ends of a switching key.")
      .value("DENSE", rlwe::KeyEnd::dense)
      .value("DENSE_SQUARED", rlwe::KeyEnd::dense_squared)
      .value("SPARSE", rlwe::KeyEnd::sparse)
      .value("SPARSE_SCALED", rlwe::KeyEnd::sparse_scaled);
  nb::class_<rlwe::EvaluationKeys>(m, "EvaluationKeys")
      .def(
          "__init__",
          [](rlwe::EvaluationKeys* self, const KeyPtr& relinearisation,
             const std::vector<std::pair<std::uint32_t, KeyPtr>>& galois, const std::vector<Named>& others) {
            rlwe::EvaluationKeys keys;
            if (relinearisation != nullptr) keys.add(rlwe::kRelinearisation, relinearisation);
            for (const auto& [element, key] : galois) {
              if (key == nullptr)
                throw std::invalid_argument("the key of Galois element " + std::to_string(element) + " is None");
              keys.add(rlwe::galois_name(element), key);
            }
            for (const auto& [from, to, element, key] : others) keys.add({from, to, element}, key);
            new (self) rlwe::EvaluationKeys(std::move(keys));
          },
          "relinearisation"_a.none(), "galois"_a, "others"_a = std::vector<Named>(),
          "others: (from, to, Galois element, key); a key of a name that exists is added if it is of another family.")
      .def_prop_ro(
          "relinearisation", [](const rlwe::EvaluationKeys& k) { return smallest(k, rlwe::kRelinearisation); },
          nb::sig("def relinearisation(self) -> SwitchingKey | None"))
      .def("galois_elements",
           [](const rlwe::EvaluationKeys& k) {
             std::vector<std::uint32_t> elements;
             for (const auto& [entry, key] : k.all()) {
               const rlwe::KeyName& name = entry.first;
               if (name != rlwe::galois_name(name.element)) continue;
               if (elements.empty() || elements.back() != name.element) elements.push_back(name.element);
             }
             return elements;
           })
      .def(
          "galois",
          [](const rlwe::EvaluationKeys& k, std::uint32_t element) {
            const KeyPtr key = smallest(k, rlwe::galois_name(element));
            if (key == nullptr) throw ckks::KeyMissingError("no key of Galois element " + std::to_string(element));
            return key;
          },
          "element"_a);
}

}  // namespace

void bind_objects(nb::module_& m) {
  nb::class_<ckks::Context>(m, "Context")
      .def(nb::new_(&make_context), "ring_degree"_a, "modulus_chain"_a, "special_primes"_a, "digit_size"_a,
           "slot_generator"_a = 5, "families"_a = std::vector<std::pair<std::size_t, std::size_t>>(),
           "families: shapes (special primes, digit size) of families of switching keys beside the main one.")
      .def_prop_ro("slot_count", [](const ckks::Context& c) { return c.encoder().slot_count(); })
      .def_prop_ro("max_level", &ckks::Context::max_level)
      .def_prop_ro("kernel_path", [](const ckks::Context& c) { return c.basis().kernel_path(); });
  nb::class_<ckks::Plaintext>(m, "Plaintext")
      .def_prop_ro("level", &ckks::Plaintext::level)
      .def_prop_ro("scale", [](const ckks::Plaintext& p) { return p.scale; })
      .def("row", [](const ckks::Plaintext& p, std::size_t r) { return row(p.poly, r); }, "row"_a);
  nb::class_<ckks::Ciphertext>(m, "Ciphertext")
      .def_prop_ro("level", &ckks::Ciphertext::level)
      .def_prop_ro("scale", [](const ckks::Ciphertext& c) { return c.scale; })
      .def_prop_ro("size", &ckks::Ciphertext::size)
      .def_prop_ro("seeded", [](const ckks::Ciphertext& c) { return c.body.seed.has_value(); })
      .def(
          "row",
          [](const ckks::Ciphertext& c, std::size_t part, std::size_t r) {
            if (part >= c.size()) throw std::invalid_argument("part out of range");
            return row(*c.body.parts[part], r);
          },
          "part"_a, "row"_a);
  nb::class_<rlwe::PublicKey>(m, "PublicKey");
  nb::class_<rlwe::SwitchingKey>(m, "SwitchingKey")
      .def_ro("level", &rlwe::SwitchingKey::level)
      .def_prop_ro(
          "family",
          [](const rlwe::SwitchingKey& k) { return std::pair(k.shape().special_count, k.shape().digit_size); },
          "The shape of the key's family: its number of special primes and its digit size.")
      .def_prop_ro("bytes", &rlwe::SwitchingKey::bytes, "The memory of the packed key in bytes.");
  bind_evaluation_keys(m);
  m.def("encode", &encode, "context"_a, "values"_a, "level"_a, "scale"_a);
  m.def("lift", &lift, "context"_a, "coefficients"_a, "level"_a, "scale"_a);
  m.def("decode", &decode, "context"_a, "plaintext"_a);
  m.def("encrypt", &encrypt, "context"_a, "message"_a, "public_key"_a, "random"_a);
  m.def("array_of_reals", &array_of_reals, "numbers"_a,
        nb::sig("def array_of_reals(numbers: Sequence[float]) -> NDArray[numpy.float64] | None"));
  m.def("ciphertext_of_rows", &ciphertext_of_rows, "context"_a, "level"_a, "parts"_a, "scale"_a, "rows"_a);
}

}  // namespace hetorch::bindings
