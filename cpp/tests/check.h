// CHECK(expression, context) counts a failure and prints it with its context. A test program returns check::status()
// from main: 0 if all checks passed.
#pragma once

#include <cstdio>

namespace check {

inline int failures = 0;

inline void report(bool ok, const char* expression, const char* file, int line, const char* context) {
  if (ok) return;
  ++failures;
  if (failures <= 20) std::fprintf(stderr, "%s:%d: failed: %s (%s)\n", file, line, expression, context);
}

inline int status() {
  if (failures != 0) std::fprintf(stderr, "%d checks failed\n", failures);
  return failures == 0 ? 0 : 1;
}

}  // namespace check

#define CHECK(expression, context) check::report((expression), #expression, __FILE__, __LINE__, (context))
