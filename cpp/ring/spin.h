// Busy waiting, for events that are microseconds away.
#pragma once

namespace hetorch::ring {

// Call ready() until it returns true, a few thousand times at most, and return its last result. This takes some tens of
// microseconds, about as long as it takes to put a thread to sleep and to wake it.
template <class Ready>
bool spin_until(const Ready& ready) {
  for (int look = 0; look < 2000; ++look) {
    if (ready()) return true;
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
  }
  return false;
}

}  // namespace hetorch::ring
