// The digits of a polynomial, extended to all primes: made once for many key switches (hoisting).
#pragma once

#include "rlwe/extension.h"
#include "rlwe/keys.h"

namespace hetorch::rlwe {

// The digits of one polynomial while its key switch runs, each extended to q_0…q_level and P. Bound: |digit d| <= Q_d /
// 2 for each coefficient (centred conversion).
class Decomposition {
 public:
  // `poly`, over q_0…q_level, must outlive this object; its rows may come as late as their put().
  Decomposition(const NttPoly& poly, const Context& context);

  std::size_t level() const { return poly_.limbs().data - 1; }
  std::size_t digit_count() const { return extensions_.size(); }
  std::deque<Extension>& extensions() { return extensions_; }

  // The data row r of the polynomial: each once, 0 <= r <= level.
  void put(std::size_t r);
  // digits[d] = digit d at row group.begin + g of extended_limbs(level), in the NTT domain. Rows of a digit's own
  // primes are those of the polynomial; the others are written to scratch, which holds digit_count() * group.count()
  // rows. To be called once for each g, in order: the first call converts for the whole group. Waits for all rows put.
  void extend(const std::uint64_t** digits, const RowGroup& group, std::size_t g, std::uint64_t* scratch) const;

 private:
  // Digit d at the rows of a group, as coefficients.
  void convert(std::size_t d, const RowGroup& group, std::uint64_t* scratch) const;
  // Its row g from there to the NTT domain.
  void transform(std::size_t d, const RowGroup& group, std::size_t g, std::uint64_t* scratch) const;
  // Whether row r of extended_limbs(level) is one of digit d's own primes.
  bool owns(std::size_t d, std::size_t r) const {
    return r >= context_.digit_begin(d) && r < context_.digit_end(d, level());
  }

  const NttPoly& poly_;
  const Context& context_;
  std::deque<Extension> extensions_;
};

// All rows of all digits, kept.
class Digits {
 public:
  // `poly`, over q_0…q_level, must outlive this object: its own rows are not copied.
  Digits(const NttPoly& poly, const Context& context);
  Digits(Digits&&) = default;
  Digits& operator=(Digits&&) = default;
  Digits(const Digits&) = delete;
  Digits& operator=(const Digits&) = delete;

  std::size_t level() const { return level_; }
  std::size_t digit_count() const { return rows_.size() / row_count_; }
  // Digit d at row r of extended_limbs(level).
  const std::uint64_t* row(std::size_t d, std::size_t r) const { return rows_[d * row_count_ + r]; }

 private:
  std::size_t level_;
  std::size_t row_count_;
  ring::Buffer storage_;
  std::vector<const std::uint64_t*> rows_;
};

}  // namespace hetorch::rlwe
