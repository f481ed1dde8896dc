// The giant steps of a linear transform: rotate the inner sums and add them up, over q_0…q_level and P.
#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "circuits/linear_transform.h"
#include "rlwe/extended.h"

namespace hetorch::circuits {
namespace {

using ckks::Evaluator;

// All giant steps in one direction.
struct Side {
  std::size_t base = 0;             // the smallest distance
  std::set<std::size_t> distances;  // of all outputs together
  // True if the distances are base, 2 base, 3 base, … without a gap.
  bool dense() const {
    std::size_t multiple = 0;
    return std::all_of(distances.begin(), distances.end(), [&](std::size_t d) { return d == (multiple += base); });
  }
};

}  // namespace

// A giant step is a rotation to the left or to the right, whichever is shorter. If the distances of a side are dense,
// Horner's rule, sum_j rot^j(S_j) = S_0 + rot(S_1 + rot(S_2 + …)), takes one key for all of them; otherwise each has a
// key of its own. Either way each giant step takes one key switch with one division. hetorch.engine.rotation_schedule
// has the same rule and asks for the keys.
void LinearTransform::add_giants(std::vector<std::optional<Pair>>& totals, const std::vector<Pair>& sums,
                                 const Evaluator& evaluator) const {
  const std::size_t slots = evaluator.context().encoder().slot_count();
  const rlwe::KeyFamily& family = evaluator.context().rlwe().family(shape_);
  const auto turned = [&](const Pair& pair, std::size_t steps, const Pair* addend) {
    const std::uint32_t element = evaluator.galois_element(static_cast<std::int64_t>(steps));
    return rlwe::rotate_extended(pair, evaluator.galois_key(element, level_, family),
                                 family.basis().permutation(element), addend, family);
  };
  for (const bool left : {true, false}) {
    const auto distance = [&](std::size_t giant) { return left ? giant : slots - giant; };
    Side side;
    // The inner sums by output, then by distance, the largest first.
    std::map<std::size_t, std::map<std::size_t, const Pair*, std::greater<>>> by_output;
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      const std::size_t giant = groups_[g].giant;
      if (giant == 0 || (2 * giant <= slots) != left) continue;
      side.distances.insert(distance(giant));
      by_output[groups_[g].output][distance(giant)] = &sums[g];
    }
    if (side.distances.empty()) continue;
    side.base = *side.distances.begin();
    for (const auto& [output, parts] : by_output) {
      std::optional<Pair>& total = totals[output];
      if (!side.dense()) {
        for (const auto& [steps, sum] : parts) total = turned(*sum, distance(steps), total ? &*total : nullptr);
        continue;
      }
      std::optional<Pair> turned_chain;
      const Pair* chain = parts.begin()->second;
      for (std::size_t steps = parts.begin()->first; steps > 0; steps -= side.base) {
        const Pair* next = nullptr;
        if (steps == side.base) {
          next = total ? &*total : nullptr;
        } else if (const auto part = parts.find(steps - side.base); part != parts.end()) {
          next = part->second;
        }
        Pair turn = turned(*chain, distance(side.base), next);
        turned_chain = std::move(turn);
        chain = &*turned_chain;
      }
      total = std::move(turned_chain);
    }
  }
}

}  // namespace hetorch::circuits
