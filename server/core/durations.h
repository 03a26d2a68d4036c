// A histogram of durations, as plain numbers: what the coordinator's core counts and its metrics
// export.
#ifndef NAVIT_SERVER_CORE_DURATIONS_H_
#define NAVIT_SERVER_CORE_DURATIONS_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace navit {

struct Durations {
  // Upper bounds of the buckets, in seconds; the last bucket has none.
  static constexpr std::array<double, 13> kBounds = {0.5, 1,   2.5, 5,    10,    30,   60,
                                                     120, 300, 900, 3600, 14400, 86400};

  // By bucket, not cumulative.
  std::array<uint64_t, kBounds.size() + 1> counts = {};
  double sum_seconds = 0;

  void Observe(double seconds) {
    size_t bucket = 0;
    while (bucket < kBounds.size() && seconds > kBounds[bucket]) ++bucket;
    ++counts[bucket];
    sum_seconds += seconds;
  }
};

}  // namespace navit

#endif  // NAVIT_SERVER_CORE_DURATIONS_H_
