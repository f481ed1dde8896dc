// Chains whose primes take different kernel paths give the same bits as if all took the portable path, and right
// values.
#include <cstdlib>

#include "circuits/polynomial.h"
#include "core_session.h"

namespace {

using namespace session;

// q_0 and the special primes are wide, the others narrow; digits of one kind and of both, one special prime and
// several.
const Shape kShapes[] = {{1024, 40, 3, 1, 1, 60},
                         {1024, 40, 5, 2, 2, 60},
                         {256, 45, 6, 3, 3, 60},
                         {256, 36, 4, 3, 3, 54},
                         {64, 49, 4, 2, 2, 51},
                         {1024, 40, 4, 2, 2},
                         // The chains of TenSEAL's tutorials, and a longer one.
                         {1024, 40, 7, 1, 1, 60},
                         {1024, 26, 7, 1, 1, 31},
                         {1024, 21, 7, 1, 1, 40},
                         // All primes wide, of one width and of two.
                         {256, 59, 4, 1, 1, 60},
                         {256, 55, 5, 2, 2, 60}};

// The results of all that converts between primes: rotation, product, rescaling, polynomial.
std::vector<ckks::Ciphertext> results(Session& owner, const Shape& shape, const Values& a, const Values& b) {
  const std::size_t top = shape.data - 1;
  owner.make_rotation_key(3, top);
  owner.make_relinearisation_key(top);
  const ckks::Evaluator evaluator = owner.evaluator();
  const double scale = shape.scale();
  std::vector<ckks::Ciphertext> outputs;
  for (std::size_t level = top; level >= 1; --level) {
    const ckks::Ciphertext x = owner.encrypt(a, level, scale);
    outputs.push_back(evaluator.rotate(x, 3));
    outputs.push_back(evaluator.rescale(evaluator.multiply(x, owner.encrypt(b, level, scale))));
  }
  const double coefficients[] = {0.5, 0.25, 0, -0.125};
  outputs.push_back(
      hetorch::circuits::evaluate_chebyshev(evaluator, owner.encrypt(a, top, scale), coefficients, scale));
  return outputs;
}

// isa: an instruction set; nullptr: the fastest of this machine.
void same_as_portable(const Shape& shape, const char* isa) {
  const std::string text = shape.describe() + " " + (isa != nullptr ? isa : "fastest");
  setenv("HETORCH_ISA", "portable", 1);
  Session slow(shape);
  unsetenv("HETORCH_ISA");
  if (isa != nullptr) setenv("HETORCH_ISA", isa, 1);
  Session fast(shape);
  CHECK(slow.context.basis().kernel_path() == "portable", text.c_str());
  const Values a = slow.values();
  const Values b = slow.values();
  CHECK(distance(fast.values(), a) == 0 && distance(fast.values(), b) == 0, text.c_str());
  const auto expected = results(slow, shape, a, b);
  const auto seen = results(fast, shape, a, b);
  CHECK(seen.size() == expected.size(), text.c_str());
  for (std::size_t i = 0; i < seen.size(); ++i) {
    CHECK(same_bits(seen[i], expected[i]), (text + " result " + std::to_string(i)).c_str());
  }
  const std::size_t slots = a.size();
  Values turned(slots);
  for (std::size_t j = 0; j < slots; ++j) turned[j] = a[(j + 3) % slots];
  const double bound = fast.switched_bound(shape.data - 1, shape.scale());
  CHECK(distance(fast.decrypt(seen[0]), turned) < bound, text.c_str());
}

}  // namespace

int main() {
  for (const Shape& shape : kShapes) {
    same_as_portable(shape, nullptr);
    if (hetorch::kernels::avx2() != nullptr) same_as_portable(shape, "avx2");
  }
  unsetenv("HETORCH_ISA");
  // The path of a prime depends on that prime alone.
  const Shape mixed{1024, 40, 3, 1, 1, 60};
  Session owner(mixed);
  const ring::RnsBasis& basis = owner.context.basis();
  CHECK(&basis.kernels(1) == &hetorch::kernels::select(basis.prime(1)), "a narrow prime");
  CHECK(&basis.kernels(0) == &hetorch::kernels::select(basis.prime(0)), "a wide prime");
  return check::status();
}
