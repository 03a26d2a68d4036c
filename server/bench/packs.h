// What the relay benchmark sends, the same for every way of sending it.
#ifndef NAVIT_SERVER_BENCH_PACKS_H_
#define NAVIT_SERVER_BENCH_PACKS_H_

#include <time.h>

#include <cstdint>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "proto/pack.pb.h"

namespace navit::bench {

// Every window has as many packs, and groups have two windows, so that everybody knows a pack's
// ordinal.
inline constexpr uint32_t kPacksPerWindow = 64;
inline constexpr uint32_t kWindowsPerGroup = 2;
inline constexpr uint64_t kWindowSamples = 16;
inline constexpr uint64_t kSamples = uint64_t{1} << 24;

inline uint64_t OrdinalOf(uint64_t window, uint32_t index) {
  const uint64_t group = window / kWindowsPerGroup;
  return group * kWindowsPerGroup * kPacksPerWindow + index * kWindowsPerGroup +
         window % kWindowsPerGroup;
}

inline uint64_t Mixed(uint64_t x) {
  x = (x + 0x9E3779B97F4A7C15u) * 0xBF58476D1CE4E5B9u;
  return x ^ (x >> 31);
}

// One run: so many packs, payloads of [min_bytes, max_bytes].
struct Load {
  uint64_t packs = 0;
  uint64_t min_bytes = 0;
  uint64_t max_bytes = 0;
  // Steps, and packs of each; the first two steps are the warm-up.
  uint64_t packs_per_step = 16;
  int trainers = 2;

  uint64_t Bytes(uint64_t ordinal) const {
    return min_bytes + Mixed(ordinal) % (max_bytes - min_bytes + 1);
  }
  uint64_t steps() const { return packs / packs_per_step; }
};

// Random bytes of which every payload is a part.
inline std::string RandomBytes(uint64_t bytes) {
  std::mt19937_64 random(20241125);
  std::string out(bytes, '\0');
  for (size_t i = 0; i + 8 <= out.size(); i += 8) {
    const uint64_t word = random();
    __builtin_memcpy(&out[i], &word, 8);
  }
  return out;
}
inline constexpr uint64_t kSlackBytes = 1 << 16;
inline uint64_t PayloadOffset(uint64_t ordinal) { return Mixed(~ordinal) % kSlackBytes; }

inline v1::PackHeader HeaderOf(const std::string& job, uint64_t window, uint32_t index,
                               uint64_t lease, uint64_t payload_bytes) {
  v1::PackHeader header;
  header.set_job(job);
  header.set_window(window);
  header.set_index(index);
  header.set_lease_epoch(lease);
  header.set_content_hash(Mixed(OrdinalOf(window, index)));
  header.set_payload_bytes(payload_bytes);
  header.set_image_tokens(500 + index % 77);
  header.set_capacity_tokens(576);
  header.set_text_tokens(200);
  header.set_examples(6);
  header.set_valid_examples(6);
  header.set_sum_squares(70000 + index);
  return header;
}

// Counts what a trainer gets after its warm-up. Prints "BYTES BEGIN END" (seconds of the steady
// clock, which all processes share).
class Meter {
 public:
  void Count(uint64_t bytes, bool warm) {
    if (!warm) return;
    const double now = Now();
    if (begin_ == 0) {
      begin_ = now;
      return;  // Its transfer began before.
    }
    bytes_ += bytes;
    end_ = now;
  }
  void Print() const {
    std::printf("%llu %.6f %.6f\n", static_cast<unsigned long long>(bytes_), begin_, end_);
    std::fflush(stdout);
  }

 private:
  static double Now() {
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  }
  uint64_t bytes_ = 0;
  double begin_ = 0;
  double end_ = 0;
};

// Roles of the benchmark's processes, see relay_bench.cc. Each returns when its work is done.
int TcpForwarder(int packers, int trainers);
int TcpPacker(const std::string& address, const Load& load, int number, int packers);
int TcpTrainer(const std::string& address, const Load& load);
int ProtobufRelay();
int ProtobufPacker(const std::string& address, const Load& load, int number, int packers);
int ProtobufTrainer(const std::string& address, const Load& load);
int Submit(const std::string& coordinator, const Load& load, const std::string& folder);
int Packer(const std::string& coordinator, const Load& load, int number);
int Trainer(const std::string& coordinator, int number);

}  // namespace navit::bench

#endif  // NAVIT_SERVER_BENCH_PACKS_H_
