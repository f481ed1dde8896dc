// Gadget decomposition: the digits of a polynomial, extended to all primes. Many key switches can share them
// (hoisting).
#pragma once

#include "rlwe/extension.h"
#include "rlwe/keys.h"

namespace hetorch::rlwe {

// The digits of one polynomial during its key switch, each extended to q_0…q_level and P group by group. Each
// coefficient of digit d is at most Q_d / 2 in magnitude (centred conversion).
class Decomposition {
 public:
  // poly: over q_0…q_level; it must outlive this object, and a row need not be complete before its put().
  Decomposition(const NttPoly& poly, const KeyFamily& family);

  std::size_t level() const { return poly_.limbs().data - 1; }
  std::size_t digit_count() const { return extensions_.size(); }
  std::deque<Extension>& extensions() { return extensions_; }

  // Add row r of the polynomial, 0 <= r <= level, which must be complete now. To be called once for each row.
  void put(std::size_t r);
  // Set digits[d] to digit d at row group.begin + g of extended_limbs(level), in the NTT domain; waits until all rows
  // are put. Rows of a digit's own primes are those of the polynomial. The others are written to scratch, which has
  // room for digit_count() * group.count() rows. To be called once for each g, in order: the first call converts the
  // whole group.
  void extend(const std::uint64_t** digits, const RowGroup& group, std::size_t g, std::uint64_t* scratch) const;

 private:
  // Compute digit d at the rows of a group, as coefficients, in scratch.
  void convert(std::size_t d, const RowGroup& group, std::uint64_t* scratch) const;
  // Transform row g of digit d in scratch to the NTT domain.
  void transform(std::size_t d, const RowGroup& group, std::size_t g, std::uint64_t* scratch) const;
  // True if row r of extended_limbs(level) is of one of digit d's own primes.
  bool owns(std::size_t d, std::size_t r) const {
    return r >= family_.digit_begin(d) && r < family_.digit_end(d, level());
  }

  const NttPoly& poly_;
  const KeyFamily& family_;
  std::deque<Extension> extensions_;
};

// All digits of a polynomial, extended to all rows and kept for many key switches.
class Digits {
 public:
  // poly: over q_0…q_level; it must outlive this object, because its own rows are not copied.
  Digits(const NttPoly& poly, const KeyFamily& family);
  // A polynomial that is small against Q is one digit by itself. poly: over q_0…q_level and special primes; it must
  // outlive this object.
  explicit Digits(const NttPoly& poly);
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
