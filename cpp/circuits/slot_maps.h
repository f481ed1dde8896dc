// Factors of the embedding as linear maps of ciphertexts.
#pragma once

#include <set>

#include "circuits/embedding_factors.h"
#include "circuits/linear_transform.h"

namespace hetorch::circuits {

// A chain of maps, each one level below the one before it.
struct MapChain {
  std::size_t level = 0;  // of the input
  double input_scale = 1;
  double output_scale = 1;  // the scales between the maps are a geometric series
  double multiplier = 1;    // of the whole chain; each map gets the same part of it
  std::size_t babies = 4;   // number of baby steps of each map: raised, fewer key switches and more keys
  rlwe::KeyShape family;    // of the Galois keys
};

// Rotation steps whose keys a map needs, and the level of its input.
struct MapKeys {
  std::size_t level;
  std::set<std::int64_t> steps;
};

// Encode the factors; keys: what each needs is added to it. Throws as LinearTransform.
std::vector<LinearTransform> make_maps(const ckks::Context& context, std::span<const Factor> factors,
                                       const MapChain& chain, std::vector<MapKeys>& keys);

// Encode a factor as a map of raised polynomials, which keep `scale`, with its elements times `multiplier`.
LinearTransform make_raised_map(const ckks::Context& context, const Factor& factor, double scale, double multiplier,
                                rlwe::KeyShape family, MapKeys& keys);

// Apply the maps one after the other.
ckks::Ciphertext apply_maps(const ckks::Evaluator& evaluator, std::span<const LinearTransform> maps,
                            const ckks::Ciphertext& input);

}  // namespace hetorch::circuits
