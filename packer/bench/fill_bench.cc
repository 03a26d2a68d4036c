// Fill of the sequences over a million drawn samples: PackWindow, as the planner calls it, without
// and with exact fit (a tolerance of 5 %), beside first-fit with 16 open rows. One line per setting
// and packer of rows, `key=value`:
//
//   bazel run //packer/bench:fill_bench
//
// fill: image tokens over places; fill_bound: no packing of these samples in these windows could
// reach more (the last row of a window is rarely full, and images above half a row leave room that
// nothing fits). us_per_image: CPU time, the median of five passes. wait: most samples by which a
// sample's row is later than the sample's own place, which never exceeds the window. digest: of all
// rows, the same on every run.
#define XXH_INLINE_ALL
#include <time.h>
#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "packer/grid.h"
#include "packer/quantile_table.h"
#include "packer/row_packing.h"

namespace navit {
namespace {

constexpr int kSamples = 1'000'000;
constexpr int kRepeats = 5;

struct Setting {
  const char* name;
  uint32_t sequence_length;
  uint32_t max_examples;
  uint32_t window;
  // Sides in pixels, patches of 16.
  bool normal;  // truncated normal(-0.5, 1); else uniform
  uint32_t min_side, max_side;
  // Mean and largest share of dropped patches; mean 0: none.
  double drop_mean, drop_max;
};

// The first two are the job defaults of FIELD.md; then rows where E_max binds, and rows of one or
// two images.
constexpr Setting kSettings[] = {
    {"job_default_576", 576, 72, 8192, true, 64, 384, 0.5, 0.9},
    {"uniform_256", 256, 32, 8192, false, 64, 256, 0.5, 0.9},
    {"no_drop_576", 576, 72, 8192, true, 64, 384, 0, 0},
    {"slots_bind_576", 576, 20, 8192, true, 48, 160, 0.2, 0.5},
    {"slots_bind_576_16k", 576, 20, 16384, true, 48, 160, 0.2, 0.5},
    {"one_or_two_256", 256, 32, 8192, false, 64, 256, 0, 0},
    {"one_or_two_576", 576, 72, 8192, true, 160, 384, 0.1, 0.4},
    {"large_576", 576, 72, 8192, false, 256, 384, 0.1, 0.4},
};

// Token counts of photographs: short sides around 500 pixels, aspect ratios around 1.3 either way.
std::vector<uint32_t> DrawTokens(const Setting& setting) {
  std::mt19937_64 generator(20231);
  std::normal_distribution<double> normal;
  const QuantileTable side =
      setting.normal ? QuantileTable::TruncatedNormal(-0.5) : QuantileTable();
  const QuantileTable drop = setting.drop_mean > 0
                                 ? QuantileTable::Beta(setting.drop_mean / setting.drop_max)
                                 : QuantileTable();
  std::vector<uint32_t> tokens(kSamples);
  for (uint32_t& count : tokens) {
    const double short_side = 500 * std::exp(0.4 * normal(generator));
    const double aspect = std::exp(0.35 * normal(generator));
    const uint32_t width = static_cast<uint32_t>(short_side * std::max(1.0, aspect)) + 16;
    const uint32_t height = static_cast<uint32_t>(short_side * std::max(1.0, 1 / aspect)) + 16;
    const uint64_t u = side(static_cast<uint32_t>(generator()));
    const uint64_t pixels =
        (uint64_t{setting.min_side} << 16) + (u * (setting.max_side - setting.min_side) >> 16);
    const Grid grid =
        ChooseGrid(width, height, AreaInPatches(width, height, pixels * pixels, 1 << 16, 16),
                   setting.sequence_length, 128);
    const uint32_t patches = grid.rows * grid.columns;
    double dropped = 0;
    if (setting.drop_mean > 0) {
      dropped =
          patches * setting.drop_max * drop(static_cast<uint32_t>(generator())) / 4294967296.0;
    }
    count = std::max<uint32_t>(1, patches - static_cast<uint32_t>(std::lround(dropped)));
  }
  return tokens;
}

// Least rows of any packing of `tokens`, uncut (Martello and Toth's bound L2): for each threshold
// a, items above capacity - a have rows of their own, as have those above half; what the latter
// leave free takes the items of a and more.
uint64_t LeastRows(const std::vector<uint32_t>& tokens, uint64_t capacity, uint64_t max_items) {
  std::vector<uint64_t> count(capacity + 2, 0), sum(capacity + 2, 0);  // of items >= size
  for (const uint32_t t : tokens) ++count[t], sum[t] += t;
  for (uint64_t size = capacity; size-- > 0;) {
    count[size] += count[size + 1];
    sum[size] += sum[size + 1];
  }
  uint64_t least = (tokens.size() + max_items - 1) / max_items;
  const uint64_t half = capacity / 2 + 1;
  for (uint64_t a = 0; a < half; ++a) {
    const uint64_t alone = count[capacity - a + 1];
    const uint64_t large = count[half] - alone;
    const uint64_t room = large * capacity - (sum[half] - sum[capacity - a + 1]);
    const uint64_t small = sum[a] - sum[half];
    least = std::max(least, alone + large + (small > room ? (small - room - 1) / capacity + 1 : 0));
  }
  return least;
}

// Of this thread, which other work on the machine hardly changes.
double CpuSeconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

using Packing = std::function<Rows(absl::Span<uint32_t>)>;

void Measure(const Setting& setting, const std::vector<uint32_t>& tokens, const char* packer,
             size_t window, const Packing& pack) {
  std::vector<double> seconds;
  uint64_t rows = 0, least_rows = 0, used = 0, wait = 0;
  uint64_t digest = 0;
  for (int repeat = 0; repeat <= kRepeats; ++repeat) {  // the first is the warm-up
    rows = least_rows = used = wait = 0;
    XXH3_state_t hash;
    XXH3_64bits_reset(&hash);
    double spent = 0;
    for (size_t begin = 0; begin < tokens.size(); begin += window) {
      std::vector<uint32_t> samples(tokens.begin() + begin,
                                    tokens.begin() + std::min(begin + window, tokens.size()));
      least_rows += LeastRows(samples, setting.sequence_length, setting.max_examples);
      const double start = CpuSeconds();
      const Rows packed = pack(absl::MakeSpan(samples));
      spent += CpuSeconds() - start;
      rows += packed.size();
      uint64_t placed = 0;
      for (const std::vector<uint32_t>& row : packed) {
        XXH3_64bits_update(&hash, row.data(), row.size() * sizeof(row[0]));
        for (const uint32_t item : row) {
          used += samples[item];
          if (placed > item) wait = std::max(wait, placed - item);
        }
        placed += row.size();
      }
    }
    digest = XXH3_64bits_digest(&hash);
    if (repeat > 0) seconds.push_back(spent);
  }
  std::sort(seconds.begin(), seconds.end());
  std::printf(
      "setting=%s packer=%s images_per_row=%.2f fill=%.5f fill_bound=%.5f us_per_image=%.3f "
      "wait=%llu window=%zu digest=%016llx\n",
      setting.name, packer, static_cast<double>(tokens.size()) / static_cast<double>(rows),
      static_cast<double>(used) / static_cast<double>(rows * setting.sequence_length),
      static_cast<double>(std::accumulate(tokens.begin(), tokens.end(), uint64_t{0})) /
          static_cast<double>(least_rows * setting.sequence_length),
      seconds[kRepeats / 2] / static_cast<double>(tokens.size()) * 1e6,
      static_cast<unsigned long long>(wait), window, static_cast<unsigned long long>(digest));
}

void Run() {
  for (const Setting& setting : kSettings) {
    const std::vector<uint32_t> tokens = DrawTokens(setting);
    for (const auto& [name, tolerance] : {std::pair{"window", 0.0}, {"window_exact_fit", 0.05}}) {
      Measure(setting, tokens, name, setting.window, [&](absl::Span<uint32_t> samples) {
        return PackWindow(samples, setting.sequence_length, setting.max_examples,
                          static_cast<uint32_t>(tolerance * 65536));
      });
    }
    // A stream without windows.
    Measure(setting, tokens, "first_fit_16", tokens.size(), [&](absl::Span<uint32_t> samples) {
      return PackFirstFit(samples, setting.sequence_length, setting.max_examples, 16);
    });
  }
}

}  // namespace
}  // namespace navit

int main() {
  navit::Run();
  return 0;
}
