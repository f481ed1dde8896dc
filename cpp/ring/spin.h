// Waiting without sleeping, for what is microseconds away.
#pragma once

namespace hetorch::ring {

// Looks a few thousand times, some tens of microseconds in all, and says whether `ready` came true: about what it takes
// to put a thread to sleep and to wake it.
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
