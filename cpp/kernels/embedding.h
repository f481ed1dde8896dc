// The canonical embedding, a fast Fourier transform of complex numbers: plain loops, compiled into every path with that
// path's instructions. All operations are single additions and products in a fixed order, never contracted to a fused
// multiply-add, so all paths give the same bits.
//
// With B blocks of `length` numbers each, number j of block b is stored at j B + b (Stockham's order: C. Van Loan,
// "Computational frameworks for the fast Fourier transform", 1992, section 1.7). A stage of the inverse splits block b
// into block b (sums) and block B + b (differences times roots), so the blocks come out in natural order and no
// bit-reversal permutation is needed. Each stage reads one of two buffers and writes the other.
#pragma once

#include <cstring>
#include <utility>

#include "kernels/api.h"

namespace hetorch::kernels {
namespace {

struct ComplexRows {
  double* re;
  double* im;
};

// A stage of the inverse: B blocks of 2 * half numbers -> 2 B blocks of `half` numbers, with the conjugate roots.
// kBlocks is B if it is known when this is compiled, or 0.
template <std::size_t kBlocks>
void split_blocks(ComplexRows from, ComplexRows to, const double* cosines, const double* sines, std::size_t half,
                  std::size_t blocks) {
  if (kBlocks != 0) blocks = kBlocks;
  const double* __restrict re = from.re;
  const double* __restrict im = from.im;
  double* __restrict out_re = to.re;
  double* __restrict out_im = to.im;
  for (std::size_t j = 0; j < half; ++j) {
    const double c = cosines[j];
    const double s = sines[j];
    const std::size_t x = j * blocks;
    const std::size_t y = (j + half) * blocks;
    for (std::size_t b = 0; b < blocks; ++b) {
      const double dr = re[x + b] - re[y + b];
      const double di = im[x + b] - im[y + b];
      out_re[2 * x + b] = re[x + b] + re[y + b];
      out_im[2 * x + b] = im[x + b] + im[y + b];
      out_re[2 * x + blocks + b] = dr * c + di * s;
      out_im[2 * x + blocks + b] = di * c - dr * s;
    }
  }
}

// A stage of the embedding, which undoes split_blocks() but for a factor of 2.
template <std::size_t kBlocks>
void join_blocks(ComplexRows from, ComplexRows to, const double* cosines, const double* sines, std::size_t half,
                 std::size_t blocks) {
  if (kBlocks != 0) blocks = kBlocks;
  const double* __restrict re = from.re;
  const double* __restrict im = from.im;
  double* __restrict out_re = to.re;
  double* __restrict out_im = to.im;
  for (std::size_t j = 0; j < half; ++j) {
    const double c = cosines[j];
    const double s = sines[j];
    const std::size_t x = j * blocks;
    const std::size_t y = (j + half) * blocks;
    for (std::size_t b = 0; b < blocks; ++b) {
      const double vr = re[2 * x + blocks + b] * c - im[2 * x + blocks + b] * s;
      const double vi = re[2 * x + blocks + b] * s + im[2 * x + blocks + b] * c;
      out_re[x + b] = re[2 * x + b] + vr;
      out_im[x + b] = im[2 * x + b] + vi;
      out_re[y + b] = re[2 * x + b] - vr;
      out_im[y + b] = im[2 * x + b] - vi;
    }
  }
}

using Stage = void (*)(ComplexRows, ComplexRows, const double*, const double*, std::size_t, std::size_t);

// Return the version of a stage for this number of blocks, which is a constant of the version if it is less than a
// vector's length.
inline Stage choose_stage(std::size_t blocks, Stage one, Stage two, Stage four, Stage any) {
  if (blocks == 1) return one;
  if (blocks == 2) return two;
  return blocks == 4 ? four : any;
}

// Return the buffer that the first stage must read so that the last one writes `values`; copy the values there if it is
// `other`.
inline ComplexRows begin_stages(ComplexRows values, ComplexRows other, std::size_t slots) {
  if (__builtin_ctzll(slots) % 2 == 0) return values;
  std::memcpy(other.re, values.re, slots * sizeof(double));
  std::memcpy(other.im, values.im, slots * sizeof(double));
  return other;
}

void embed_inverse(double* re, double* im, double* scratch, const EmbeddingView& t) {
  ComplexRows to = {scratch, scratch + t.slots};
  ComplexRows from = begin_stages({re, im}, to, t.slots);
  if (from.re == to.re) to = {re, im};
  for (std::size_t half = t.slots / 2; half > 0; half /= 2) {
    const std::size_t blocks = t.slots / (2 * half);
    const Stage stage = choose_stage(blocks, split_blocks<1>, split_blocks<2>, split_blocks<4>, split_blocks<0>);
    stage(from, to, t.cosines + half - 1, t.sines + half - 1, half, blocks);
    std::swap(from, to);
  }
}

void embed(double* re, double* im, double* scratch, const EmbeddingView& t) {
  ComplexRows to = {scratch, scratch + t.slots};
  ComplexRows from = begin_stages({re, im}, to, t.slots);
  if (from.re == to.re) to = {re, im};
  for (std::size_t half = 1; half < t.slots; half *= 2) {
    const std::size_t blocks = t.slots / (2 * half);
    const Stage stage = choose_stage(blocks, join_blocks<1>, join_blocks<2>, join_blocks<4>, join_blocks<0>);
    stage(from, to, t.cosines + half - 1, t.sines + half - 1, half, blocks);
    std::swap(from, to);
  }
}

}  // namespace
}  // namespace hetorch::kernels
