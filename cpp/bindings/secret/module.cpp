// The Python module hetorch.engine._secret: key generation, secret-key encryption and decryption. Only
// hetorch.engine.secret and hetorch.federated.party import it.
#include "bindings/secret/module.h"

#include "rlwe/secret_key.h"

namespace hetorch::bindings {
namespace {

// Wrap a Python callable (index, length) that returns bytes, or an iterator of bytes with `length` in all.
rlwe::ByteSource to_source(nb::callable draw) {
  return [draw](std::size_t index, std::size_t length) {
    nb::gil_scoped_acquire acquire;
    // Memory from the pool: new memory for each digit would cost the system's clearing of all its pages.
    hetorch::ring::Buffer words(length / sizeof(std::uint64_t));
    std::size_t filled = 0;
    const auto take = [&](const nb::bytes& piece) {
      if (piece.size() > length - filled) throw std::invalid_argument("a source of randomness gave too many bytes");
      std::memcpy(reinterpret_cast<char*>(words.data()) + filled, piece.c_str(), piece.size());
      filled += piece.size();
    };
    const nb::object result = draw(index, length);
    if (nb::isinstance<nb::bytes>(result)) {
      take(nb::cast<nb::bytes>(result));
    } else {
      for (nb::handle piece : nb::iter(result)) take(nb::cast<nb::bytes>(piece));
    }
    if (filled != length) throw std::invalid_argument("a source of randomness gave too few bytes");
    return words;
  };
}

using KeyRows = nb::ndarray<const std::uint64_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

// Make a key of its residues over all primes, in the NTT domain and our order. Throws std::invalid_argument unless they
// are those of one ternary polynomial.
std::unique_ptr<rlwe::SecretKey> key_of_rows(const ckks::Context& context, const KeyRows& rows) {
  const ring::Limbs all = context.rlwe().all_limbs();
  if (rows.shape(0) != all.count() || rows.shape(1) != context.basis().n()) {
    throw std::invalid_argument("a secret key has a row of " + std::to_string(context.basis().n()) +
                                " residues for each of " + std::to_string(all.count()) + " primes");
  }
  ring::NttPoly poly(context.basis().n(), all);
  std::memcpy(poly.row(0), rows.data(), poly.words() * 8);
  std::vector<std::int8_t> coefficients = rlwe::coefficients(poly, context.rlwe());
  auto key = std::make_unique<rlwe::SecretKey>(context.rlwe(), coefficients);
  ring::wipe(coefficients.data(), coefficients.size());
  std::uint64_t difference = 0;
  for (std::size_t i = 0; i < poly.words(); ++i) difference |= poly.row(0)[i] ^ key->s().row(0)[i];
  poly.wipe();
  if (difference != 0) throw std::invalid_argument("these residues are not those of a key with coefficients -1, 0, 1");
  return key;
}

void check_element(std::uint32_t element, const ckks::Context& context) {
  if (element % 2 == 0 || element >= 2 * context.basis().n()) {
    throw std::invalid_argument("a Galois element is odd and below twice the ring degree");
  }
}

using KeyPtr = std::shared_ptr<rlwe::SwitchingKey>;

KeyPtr relinearisation_key(const ckks::Context& context, const rlwe::SecretKey& key, std::size_t level,
                           const nb::bytes& seed, SourceCallable uniform, SourceCallable errors, const Shape& family) {
  if (level > context.max_level()) throw std::invalid_argument("the key's level is above the chain");
  const rlwe::Seed key_seed = to_seed(seed);
  const auto uniform_source = to_source(std::move(uniform));
  const auto error_source = to_source(std::move(errors));
  nb::gil_scoped_release release;
  return std::make_shared<rlwe::SwitchingKey>(rlwe::make_relinearisation_key(
      key, level, key_seed, uniform_source, error_source, context.rlwe(), family_of(context, family)));
}

KeyPtr switching_key(const ckks::Context& context, const rlwe::SecretKey& from, const rlwe::SecretKey& to,
                     std::uint32_t element, std::size_t level, const nb::bytes& seed, SourceCallable uniform,
                     SourceCallable errors, const Shape& family) {
  if (level > context.max_level()) throw std::invalid_argument("the key's level is above the chain");
  check_element(element, context);
  const rlwe::Seed key_seed = to_seed(seed);
  const auto uniform_source = to_source(std::move(uniform));
  const auto error_source = to_source(std::move(errors));
  nb::gil_scoped_release release;
  return std::make_shared<rlwe::SwitchingKey>(rlwe::make_switching_key(
      from, to, element, level, key_seed, uniform_source, error_source, context.rlwe(), family_of(context, family)));
}

KeyPtr scaled_key(const ckks::Context& context, const rlwe::SecretKey& sparse, const rlwe::SecretKey& dense,
                  std::uint32_t element, const nb::bytes& seed, SourceCallable uniform, SourceCallable errors,
                  const Shape& family) {
  check_element(element, context);
  const rlwe::Seed key_seed = to_seed(seed);
  const auto uniform_source = to_source(std::move(uniform));
  const auto error_source = to_source(std::move(errors));
  nb::gil_scoped_release release;
  return std::make_shared<rlwe::SwitchingKey>(rlwe::make_scaled_key(
      sparse, dense, element, key_seed, uniform_source, error_source, context.rlwe(), family_of(context, family)));
}

rlwe::PublicKey public_key(const ckks::Context& context, const rlwe::SecretKey& key, const nb::bytes& seed,
                           SourceCallable uniform, const nb::bytes& error, bool extended) {
  const rlwe::Seed key_seed = to_seed(seed);
  const auto uniform_source = to_source(std::move(uniform));
  const auto error_bytes = view(error);
  nb::gil_scoped_release release;
  return rlwe::make_public_key(key, key_seed, uniform_source, error_bytes, context.rlwe(), extended);
}

ckks::Ciphertext encrypt(const ckks::Context& context, const rlwe::SecretKey& key, const ckks::Plaintext& message,
                         const nb::bytes& seed, SourceCallable uniform, const nb::bytes& error) {
  const rlwe::Seed ciphertext_seed = to_seed(seed);
  const auto uniform_source = to_source(std::move(uniform));
  const auto error_bytes = view(error);
  nb::gil_scoped_release release;
  return {rlwe::encrypt(message.poly, key, ciphertext_seed, uniform_source, error_bytes, context.rlwe()),
          message.scale};
}

}  // namespace
}  // namespace hetorch::bindings

NB_MODULE(_secret, m) {
  using namespace hetorch::bindings;
  namespace rlwe = hetorch::rlwe;
  nb::module_::import_("hetorch.engine._native");  // the types of arguments and results
  m.doc() = "The part of the core that holds secret keys, and the secrets of training together.";
  bind_rounds(m);
  nb::class_<rlwe::SecretKey>(m, "SecretKey")
      .def(
          "__init__",
          [](rlwe::SecretKey* self, const hetorch::ckks::Context& context, const nb::bytes& random) {
            new (self) rlwe::SecretKey(context.rlwe(), view(random));
          },
          "context"_a, "random"_a)
      .def_static(
          "from_coefficients",
          [](const hetorch::ckks::Context& context,
             nb::ndarray<const std::int8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu> coefficients) {
            return std::make_unique<rlwe::SecretKey>(
                context.rlwe(), std::span<const std::int8_t>(coefficients.data(), coefficients.size()));
          },
          "context"_a, "coefficients"_a)
      .def_static(
          "sparse",
          [](const hetorch::ckks::Context& context, const nb::bytes& random, std::size_t weight, std::size_t spacing) {
            return std::make_unique<rlwe::SecretKey>(context.rlwe(), view(random), rlwe::SparseShape{weight, spacing});
          },
          "context"_a, "random"_a, "weight"_a, "spacing"_a = 1,
          "Make a key with `weight` nonzero coefficients, at multiples of `spacing`, from 24 random bytes for each.")
      .def_static("from_rows", &key_of_rows, "context"_a, "rows"_a)
      .def(
          "coefficients",
          [](const rlwe::SecretKey& key, const hetorch::ckks::Context& context) {
            return to_array(rlwe::coefficients(key.s(), context.rlwe()));
          },
          "context"_a);
  m.def("make_relinearisation_key", &relinearisation_key, "context"_a, "secret_key"_a, "level"_a, "seed"_a, "uniform"_a,
        "errors"_a, "family"_a = nb::none());
  m.def("make_switching_key", &switching_key, "context"_a, "from_key"_a, "to_key"_a, "element"_a, "level"_a, "seed"_a,
        "uniform"_a, "errors"_a, "family"_a = nb::none(),
        "Make the key that switches from a secret to the inverse automorphism of a secret: a Galois key if both are "
        "one.");
  m.def("make_scaled_key", &scaled_key, "context"_a, "sparse_key"_a, "dense_key"_a, "element"_a, "seed"_a, "uniform"_a,
        "errors"_a, "family"_a,
        "Make the key of one digit from the sparse secret over the last special prime to the inverse automorphism of "
        "the dense one, over all primes.");
  m.def("make_public_key", &public_key, "context"_a, "secret_key"_a, "seed"_a, "uniform"_a, "error"_a,
        "extended"_a = false);
  m.def("encrypt", &encrypt, "context"_a, "secret_key"_a, "message"_a, "seed"_a, "uniform"_a, "error"_a);
  m.def(
      "decrypt",
      [](const hetorch::ckks::Context& context, const rlwe::SecretKey& key,
         const hetorch::ckks::Ciphertext& ciphertext) {
        nb::gil_scoped_release release;
        return hetorch::ckks::Plaintext{rlwe::decrypt(ciphertext.body, key, context.rlwe()), ciphertext.scale};
      },
      "context"_a, "secret_key"_a, "ciphertext"_a);
}
