// Compares kernels with the limits of the machine: transforms with the peak rate of 52-bit multiply-adds, key products
// with the memory's bandwidth. With `--rows` each line is tab-separated: name, least milliseconds of the repetitions,
// number of repetitions, meaning of the value, value.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>

#include "kernels/packed.h"
#include "residues.h"

#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
// The intrinsics themselves set these off: see cpp/kernels/vec512.h.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#endif

namespace {

using namespace residues;

bool as_rows = false;

void row(const std::string& name, double seconds, int repetitions, const char* column, double value) {
  std::printf("%s\t%.9g\t%d\t%s\t%.6g\n", name.c_str(), seconds * 1e3, repetitions, column, value);
  std::fflush(stdout);
}

constexpr const char* kPeakShare = "% of the peak";

// Return the least time of many calls, that of the undisturbed machine.
double least_seconds(const std::function<void()>& work, int repetitions) {
  double least = 1e9;
  for (int i = 0; i < repetitions; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    least = std::min(least, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return least;
}

#if defined(__x86_64__)
// Multiply-adds at the processor's peak rate: twelve independent sums in registers hide their latency.
__attribute__((target("avx512f,avx512ifma"))) void multiply_adds(long rounds) {
  __m512i sums[12];
  for (int i = 0; i < 12; ++i) sums[i] = _mm512_set1_epi64(i);
  const __m512i a = _mm512_set1_epi64(rounds);
  for (long r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (int i = 0; i < 12; ++i) {
      sums[i] = i % 2 == 0 ? _mm512_madd52lo_epu64(sums[i], a, a) : _mm512_madd52hi_epu64(sums[i], a, a);
    }
  }
  for (int i = 1; i < 12; ++i) sums[0] = _mm512_add_epi64(sums[0], sums[i]);
  volatile u64 sink = static_cast<u64>(_mm512_reduce_add_epi64(sums[0]));
  static_cast<void>(sink);
}

// Return the number of 512-bit multiply-adds in a second.
double peak_rate() {
  const long rounds = 20000;
  return 12.0 * static_cast<double>(rounds) / least_seconds([&] { multiply_adds(rounds); }, 200);
}

__attribute__((target("avx512f"))) void read_all(const u64* a, std::size_t n) {
  __m512i sums[8];
  for (int i = 0; i < 8; ++i) sums[i] = _mm512_setzero_si512();
  for (std::size_t j = 0; j < n; j += 64) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) sums[i] = _mm512_xor_si512(sums[i], _mm512_load_si512(a + j + 8 * i));
  }
  for (int i = 1; i < 8; ++i) sums[0] = _mm512_xor_si512(sums[0], sums[i]);
  volatile u64 sink = static_cast<u64>(_mm512_reduce_add_epi64(sums[0]));
  static_cast<void>(sink);
}

// Print the read bandwidth of the caches and the memory; return the memory's, in bytes in a second.
double bandwidths() {
  double slowest = 0;
  const std::size_t sizes[] = {std::size_t{32} << 10, std::size_t{512} << 10, std::size_t{8} << 20,
                               std::size_t{512} << 20};
  for (std::size_t bytes : sizes) {
    Array a(bytes / 8);
    const int calls = std::max<int>(1, static_cast<int>((std::size_t{4} << 20) / bytes));
    const double t = least_seconds(
        [&] {
          for (int i = 0; i < calls; ++i) read_all(a.data(), a.size());
        },
        bytes > (std::size_t{64} << 20) ? 7 : 100);
    slowest = static_cast<double>(bytes) * calls / t;
    if (as_rows) {
      row("read " + std::to_string(bytes >> 10) + " KiB", t / calls, bytes > (std::size_t{64} << 20) ? 7 : 100, "GB/s",
          slowest * 1e-9);
      continue;
    }
    std::printf("read %7zu KiB: %7.1f GB/s\n", bytes >> 10, slowest * 1e-9);
  }
  return slowest;
}

// A butterfly of eight lanes takes three multiply-adds (two products for the quotient and the remainder's first part,
// one for the multiple of q), so a transform takes 3 n log2(n) / 16. The final reductions are not counted as work.
void transforms(const Kernels& path, double peak) {
  if (!as_rows) {
    std::printf("%-10s %-6s %12s %12s %8s %12s %8s\n", "n", "bits", "IFMA", "forward us", "% peak", "inverse us",
                "% peak");
  }
  for (std::size_t n : {4096, 8192, 16384, 32768, 65536}) {
    for (int bits : {40, 45, 48, 50}) {
      const u64 q = prime_below(u64{1} << bits, n);
      const Tables tables(path, n, q);
      Stream stream(1);
      Array a = filled(n, q, Fill::kRandom, stream);
      int log2_n = 0;
      while (std::size_t{1} << log2_n < n) ++log2_n;
      const double count = 3.0 * static_cast<double>(n) * log2_n / 16;
      const int calls = std::max<int>(1, static_cast<int>(200000 / n));
      const auto time = [&](void (*transform)(u64*, const NttView&)) {
        return least_seconds(
                   [&] {
                     for (int i = 0; i < calls; ++i) transform(a.data(), tables.view);
                   },
                   300) /
               calls;
      };
      const double forward = time(path.ntt_forward);
      const double inverse = time(path.ntt_inverse);
      if (as_rows) {
        const std::string size = ", n=" + std::to_string(n) + ", " + std::to_string(bits) + " bits";
        row("ntt_forward" + size, forward, 300, kPeakShare, 100 * count / forward / peak);
        row("ntt_inverse" + size, inverse, 300, kPeakShare, 100 * count / inverse / peak);
        continue;
      }
      std::printf("%-10zu %-6d %12.0f %12.2f %8.1f %12.2f %8.1f\n", n, bits, count, forward * 1e6,
                  100 * count / forward / peak, inverse * 1e6, 100 * count / inverse / peak);
    }
  }
}

// The same with the tables of many primes in turn, as a key switch uses them: this adds the cost of the caches.
void many_primes(const Kernels& path, std::size_t n, std::size_t primes, double peak) {
  std::vector<std::unique_ptr<Tables>> tables;
  std::vector<Array> rows;
  Stream stream(2);
  u64 q = u64{1} << 45;
  for (std::size_t i = 0; i < primes; ++i) {
    q = prime_below(q, n);
    tables.push_back(std::make_unique<Tables>(path, n, q));
    rows.push_back(filled(n, q, Fill::kRandom, stream));
  }
  int log2_n = 0;
  while (std::size_t{1} << log2_n < n) ++log2_n;
  const double count = 3.0 * static_cast<double>(n) * log2_n / 16;
  const auto time = [&](void (*transform)(u64*, const NttView&)) {
    return least_seconds(
               [&] {
                 for (std::size_t i = 0; i < primes; ++i) transform(rows[i].data(), tables[i]->view);
               },
               50) /
           static_cast<double>(primes);
  };
  const double forward = time(path.ntt_forward);
  const double inverse = time(path.ntt_inverse);
  if (as_rows) {
    const std::string size = ", " + std::to_string(primes) + " primes in turn, n=" + std::to_string(n) + ", 45 bits";
    row("ntt_forward" + size, forward, 50, kPeakShare, 100 * count / forward / peak);
    row("ntt_inverse" + size, inverse, 50, kPeakShare, 100 * count / inverse / peak);
    return;
  }
  std::printf("%zu primes in turn, n=%zu, 45 bits: forward %.2f us (%.1f %%), inverse %.2f us (%.1f %%)\n", primes, n,
              forward * 1e6, 100 * count / forward / peak, inverse * 1e6, 100 * count / inverse / peak);
}

// Key products of the same digits with many keys, as the rotations of a linear map have them: keys come from memory,
// everything else from the caches. The share of the bandwidth counts the keys' bytes.
void hoisted_products(const Kernels& path, std::size_t n, std::size_t digits, std::size_t rows, std::size_t keys,
                      double bandwidth) {
  const u64 q = prime_below(u64{1} << 45, n);
  const ModulusConstants m = hetorch::kernels::make_modulus_constants(q);
  Stream stream(5);
  std::vector<Array> digit_rows;
  std::vector<const u64*> pointers;
  for (std::size_t d = 0; d < digits; ++d) {
    digit_rows.push_back(filled(n, q, Fill::kRandom, stream));
    pointers.push_back(digit_rows.back().data());
  }
  const int bits = hetorch::kernels::packed_bits(q);
  const std::size_t block = static_cast<std::size_t>(bits);
  const std::size_t row_bytes = 2 * digits * n / 8 * block;
  std::vector<std::uint8_t> key(keys * rows * row_bytes + hetorch::kernels::kPackedPadding);
  for (std::size_t at = 0; at < keys * rows * row_bytes; at += block) {
    hetorch::kernels::pack_block(key.data() + at, filled(8, q, Fill::kRandom, stream).data(), bits);
  }
  Array out(2 * n);
  const double t =
      least_seconds(
          [&] {
            for (std::size_t r = 0; r < rows; ++r) {
              for (std::size_t k = 0; k < keys; ++k) {
                const std::uint8_t* row = key.data() + (k * rows + r) * row_bytes;
                path.key_product(
                    out.data(), out.data() + n,
                    {.digits = pointers.data(), .count = digits, .key = {row, bits, digits}, .ahead = row + 8192}, n,
                    m);
              }
            }
          },
          7) /
      static_cast<double>(keys);
  const double rate = static_cast<double>(rows * row_bytes) / t;
  if (as_rows) {
    row("hoisted key product of " + std::to_string(digits) + " digits over " + std::to_string(rows) +
            " rows, n=" + std::to_string(n),
        t, 7, "% of the memory's bandwidth", 100 * rate / bandwidth);
    return;
  }
  std::printf(
      "hoisted key product of %zu digits over %zu rows, n=%zu: %.3f ms, keys at %.1f GB/s, %.0f %% of the memory\n",
      digits, rows, n, t * 1e3, rate * 1e-9, 100 * rate / bandwidth);
}

// Print the speed of a path's transforms relative to the portable ones.
void against_portable(const Kernels& path) {
  for (std::size_t n : {4096, 16384, 65536}) {
    const u64 q = prime_below(u64{1} << 45, n);
    const Tables slow(hetorch::kernels::portable(), n, q);
    const Tables fast(path, n, q);
    Stream stream(4);
    Array a = filled(n, q, Fill::kRandom, stream);
    const auto time = [&](void (*transform)(u64*, const NttView&), const Tables& tables) {
      return least_seconds([&] { transform(a.data(), tables.view); }, 100);
    };
    const Kernels& portable = hetorch::kernels::portable();
    std::printf("%s against portable, n=%zu: forward %.2fx, inverse %.2fx\n", path.name, n,
                time(portable.ntt_forward, slow) / time(path.ntt_forward, fast),
                time(portable.ntt_inverse, slow) / time(path.ntt_inverse, fast));
  }
}
#endif

}  // namespace

int main(int count, char** arguments) {
  as_rows = count > 1 && std::strcmp(arguments[1], "--rows") == 0;
  const Kernels* avx2 = hetorch::kernels::avx2();
  const Kernels* ifma = hetorch::kernels::avx512ifma();
#if defined(__x86_64__)
  if (avx2 != nullptr && !as_rows) against_portable(*avx2);
  if (ifma != nullptr) {
    if (!as_rows) against_portable(*ifma);
    const double peak = peak_rate();
    if (!as_rows) std::printf("peak: %.2f thousand million 512-bit 52-bit multiply-adds a second\n", peak * 1e-9);
    const double bandwidth = bandwidths();
    transforms(*ifma, peak);
    many_primes(*ifma, 16384, 12, peak);
    many_primes(*ifma, 65536, 32, peak);
    hoisted_products(*ifma, 16384, 4, 10, 16, bandwidth);
    hoisted_products(*ifma, 65536, 2, 36, 4, bandwidth);
  }
#endif
  if (ifma == nullptr && !as_rows) std::printf("no AVX-512 IFMA here: no roofline\n");
  return 0;
}
