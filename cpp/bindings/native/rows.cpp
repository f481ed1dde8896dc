// Conversions between objects and arrays of residues, in the NTT domain and our order, for the formats of other
// libraries.
#include <cmath>
#include <cstring>

#include "bindings/native/module.h"
#include "ckks/errors.h"

namespace hetorch::bindings {
namespace {

using ring::Limbs;
using ring::NttPoly;
using RowArray = nb::ndarray<nb::numpy, std::uint64_t>;
template <std::size_t D>
using Rows = nb::ndarray<const std::uint64_t, nb::ndim<D>, nb::c_contig, nb::device::cpu>;

// Return polynomials of one size as an array of shape (*shape, rows, N).
RowArray to_rows(const std::vector<const NttPoly*>& polys, std::vector<std::size_t> shape) {
  const std::size_t words = polys.empty() ? 0 : polys[0]->words();
  auto* residues = new std::uint64_t[polys.size() * words];
  for (std::size_t i = 0; i < polys.size(); ++i) std::memcpy(residues + i * words, polys[i]->row(0), words * 8);
  nb::capsule owner(residues, [](void* p) noexcept { delete[] static_cast<std::uint64_t*>(p); });
  shape.push_back(polys.empty() ? 0 : polys[0]->limbs().count());
  shape.push_back(polys.empty() ? 0 : polys[0]->n());
  return RowArray(residues, shape.size(), shape.data(), owner);
}

void check_scale(double scale) {
  if (!(scale > 0) || !std::isfinite(scale)) {
    throw ckks::LevelError("scale is " + std::to_string(scale) + ", expected above 0");
  }
}

// Copy the rows of `limbs` from consecutive words; throw std::invalid_argument if a residue is not below its prime.
NttPoly from_words(const std::uint64_t* words, Limbs limbs, const ring::RnsBasis& basis) {
  NttPoly result(basis.n(), limbs);
  std::memcpy(result.row(0), words, result.words() * 8);
  for (std::size_t r = 0; r < limbs.count(); ++r) {
    const std::uint64_t q = basis.prime(basis.index(limbs, r));
    const std::uint64_t* row = result.row(r);
    std::uint64_t outside = 0;
    for (std::size_t j = 0; j < basis.n(); ++j) outside |= static_cast<std::uint64_t>(row[j] >= q);
    if (outside != 0) throw std::invalid_argument("a residue is not below its prime");
  }
  return result;
}

void check_shape(std::size_t seen_rows, std::size_t seen_n, Limbs limbs, const ckks::Context& context) {
  if (seen_rows == limbs.count() && seen_n == context.basis().n()) return;
  throw std::invalid_argument("residues of " + std::to_string(seen_rows) + " rows of " + std::to_string(seen_n) +
                              ", expected " + std::to_string(limbs.count()) + " of " +
                              std::to_string(context.basis().n()));
}

ckks::Plaintext plaintext_of_rows(const ckks::Context& context, double scale, const Rows<2>& rows) {
  check_scale(scale);
  if (rows.shape(0) < 1 || rows.shape(0) > context.max_level() + 1) {
    throw std::invalid_argument("a plaintext has one row for each prime of its level");
  }
  const Limbs limbs{rows.shape(0), 0};
  check_shape(rows.shape(0), rows.shape(1), limbs, context);
  nb::gil_scoped_release release;
  return {from_words(rows.data(), limbs, context.basis()), scale};
}

rlwe::PublicKey public_key_of_rows(const ckks::Context& context, const Rows<3>& rows) {
  // It is an extended key if it has a row for every prime, the special ones included.
  const std::size_t top = context.max_level();
  const Limbs all = context.rlwe().all_limbs();
  const Limbs limbs = rows.shape(1) == all.count() ? all : context.rlwe().data_limbs(top);
  if (rows.shape(0) != 2) throw std::invalid_argument("a public key has two halves");
  check_shape(rows.shape(1), rows.shape(2), limbs, context);
  nb::gil_scoped_release release;
  rlwe::PublicKey key;
  key.seeded = false;
  key.b = from_words(rows.data(), limbs, context.basis());
  key.a = from_words(rows.data() + key.b.words(), limbs, context.basis());
  return key;
}

std::shared_ptr<rlwe::SwitchingKey> switching_key_of_rows(const ckks::Context& context, std::size_t level,
                                                          const Rows<4>& rows) {
  if (level > context.max_level()) throw std::invalid_argument("the key's level is above the chain");
  if (context.basis().special_count() == 0) throw std::invalid_argument("switching keys need special primes");
  const rlwe::KeyFamily& family = context.rlwe().main();
  const Limbs limbs = family.extended_limbs(level);
  const std::size_t digits = family.digit_count(level);
  if (rows.shape(0) != digits || rows.shape(1) != 2) {
    throw std::invalid_argument("a switching key for level " + std::to_string(level) + " has " +
                                std::to_string(digits) + " digits of two halves");
  }
  check_shape(rows.shape(2), rows.shape(3), limbs, context);
  nb::gil_scoped_release release;
  auto key = std::make_shared<rlwe::SwitchingKey>(level, family);
  key->seeded = false;
  const std::size_t words = limbs.count() * context.basis().n();
  for (std::size_t d = 0; d < digits; ++d) {
    const NttPoly b = from_words(rows.data() + 2 * d * words, limbs, context.basis());
    key->set(d, b, from_words(rows.data() + (2 * d + 1) * words, limbs, context.basis()));
  }
  return key;
}

}  // namespace

void bind_rows(nb::module_& m) {
  m.def("plaintext_of_rows", &plaintext_of_rows, "context"_a, "scale"_a, "rows"_a,
        "Make a plaintext of (level + 1, ring_degree) residues.");
  m.def("public_key_of_rows", &public_key_of_rows, "context"_a, "rows"_a,
        "Make a public key of (2, max_level + 1, ring_degree) residues, b then a; with the rows of the special primes "
        "too, "
        "an extended key.");
  m.def("switching_key_of_rows", &switching_key_of_rows, "context"_a, "level"_a, "rows"_a,
        "Make a switching key of (digits, 2, level + 1 + special primes, ring_degree) residues, b then a.");
  m.def("plaintext_rows", [](const ckks::Plaintext& p) { return to_rows({&p.poly}, {}); }, "plaintext"_a);
  m.def(
      "ciphertext_rows",
      [](const ckks::Ciphertext& c) {
        std::vector<const NttPoly*> parts;
        for (const auto& part : c.body.parts) parts.push_back(&*part);
        return to_rows(parts, {parts.size()});
      },
      "ciphertext"_a, "Return (parts, level + 1, ring_degree) residues.");
  m.def("public_key_rows", [](const rlwe::PublicKey& k) { return to_rows({&k.b, &k.a}, {2}); }, "public_key"_a);
  m.def(
      "switching_key_rows",
      [](const rlwe::SwitchingKey& k) {
        std::vector<NttPoly> halves;
        for (std::size_t d = 0; d < k.digit_count(); ++d) {
          halves.push_back(k.b(d));
          halves.push_back(k.a(d));
        }
        std::vector<const NttPoly*> listed;
        for (const NttPoly& half : halves) listed.push_back(&half);
        return to_rows(listed, {k.digit_count(), 2});
      },
      "key"_a);
}

}  // namespace hetorch::bindings
