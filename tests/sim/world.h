// The simulated world: clock, network, store, oracle.
#ifndef NAVIT_TESTS_SIM_WORLD_H_
#define NAVIT_TESTS_SIM_WORLD_H_

#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "common/packs_digest.h"
#include "server/core/coordinator.h"
#include "tests/sim/simulator.h"

namespace navit::sim {

inline uint64_t Mix(uint64_t a, uint64_t b) {
  uint64_t x = a * 0x9E3779B97F4A7C15u + b + 0x632BE59BD9B4E019u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

// What is acknowledged survives. A drawn failure leaves it open whether the event was stored.
class SimStore : public EventStore {
 public:
  explicit SimStore(std::function<int()> draw_fault) : draw_fault_(std::move(draw_fault)) {}
  absl::Status Load(const std::function<absl::Status(const v1::Event&)>& apply) override {
    for (const v1::Event& event : events_) {
      if (absl::Status status = apply(event); !status.ok()) return status;
    }
    return absl::OkStatus();
  }
  absl::Status Append(absl::Span<const v1::Event> events) override {
    const int fault = draw_fault_();  // 0: none, 1: lost before the sync, 2: stored, unanswered
    if (fault != 1) events_.insert(events_.end(), events.begin(), events.end());
    return fault == 0 ? absl::OkStatus() : absl::InternalError("drawn store failure");
  }

 private:
  std::function<int()> draw_fault_;
  std::vector<v1::Event> events_;
};

// The data of one submission, known from its uid alone.
struct Oracle {
  uint64_t uid = 0;
  v1::JobSpec spec;
  uint64_t samples = 0;

  uint32_t Packs(uint64_t window) const { return Mix(uid, window) % 5; }
  uint64_t PlanDigest(uint64_t window) const { return Mix(Mix(uid, window), 1); }
  uint64_t Hash(uint64_t window, uint32_t index) const {
    return Mix(Mix(uid, window), 100 + index);
  }
  // Digests of all steps, by a plain walk over the windows.
  const std::vector<uint64_t>& Steps() {
    if (!steps.empty()) return steps;
    const StreamLayoutView layout = View();
    const uint64_t g = spec.packing().sequences_per_step();
    const uint64_t k = spec.packing().windows_per_group();
    std::vector<std::pair<uint64_t, uint64_t>> packs;
    uint64_t ordinal = 0;
    for (uint64_t first = 0; first < layout.windows; first += k) {
      for (uint32_t round = 0; round < 5; ++round) {
        for (uint64_t w = first; w < std::min(first + k, layout.windows); ++w) {
          if (round >= Packs(w)) continue;
          packs.emplace_back(ordinal++, Hash(w, round));
          if (packs.size() < g) continue;
          steps.push_back(PacksDigest(packs));
          packs.clear();
        }
      }
    }
    if (!packs.empty()) steps.push_back(PacksDigest(packs));
    if (spec.train_for().has_steps()) steps.resize(spec.train_for().steps());
    return steps;
  }

 private:
  struct StreamLayoutView {
    uint64_t windows = 0;
  };
  StreamLayoutView View() const {
    const uint64_t per_epoch =
        (samples + spec.packing().window_samples() - 1) / spec.packing().window_samples();
    // Far enough for a job given in steps.
    return {spec.train_for().has_steps() ? per_epoch * 40 : per_epoch * spec.train_for().epochs()};
  }
  std::vector<uint64_t> steps;
};

// The steps that went into weights, newest first.
struct Weights {
  uint64_t uid = 0;
  uint64_t steps = 0;
  uint64_t chain = 0;
};

class World {
 public:
  explicit World(const SimOptions& options);

  // --- Time and chance.
  double now() const { return now_; }
  Instant instant() const { return {now_, 1.6e9 + now_}; }
  uint64_t Draw() { return state_ = Mix(state_, ++draws_); }
  double Uniform() { return static_cast<double>(Draw() >> 11) * 0x1p-53; }
  bool Chance(double p) { return Uniform() < p; }
  void After(double seconds, std::function<void()> what) {
    queue_.push({now_ + seconds, ++sequence_, std::move(what)});
  }
  bool faulty() const { return options.faults && now_ < options.fault_seconds; }
  // Runs the next event; false: none left, or a violation.
  bool Run();

  // --- Network. A message takes a drawn time, sometimes long, and may be lost. `link` names the
  // worker at the far end: a partition of it in that direction loses everything.
  double Delay() { return Chance(faulty() ? 0.02 : 0) ? 6 * Uniform() : 0.001 + 0.02 * Uniform(); }
  bool Lost(const std::string& link, bool to_coordinator);
  // To the coordinator, if one is up when the message arrives.
  void ToCoordinator(const std::string& link, std::function<void(Coordinator&)> what);
  void ToWorker(const std::string& link, std::function<void()> what);

  // --- The coordinator and its host.
  void StartCoordinator();
  void CrashCoordinator();
  // After every call: the host drops bytes, dies with its store, and invariants are checked.
  void AfterCall();
  void Violate(const std::string& what);
  void Trace(const std::string& what) {
    if (options.trace) std::fprintf(stderr, "%10.3f %s\n", now_, what.c_str());
  }
  Oracle* FindOracle(uint64_t uid) {
    auto it = oracles.find(uid);
    return it == oracles.end() ? nullptr : &it->second;
  }

  const SimOptions options;
  SimResult result;
  SimStore store;
  std::unique_ptr<Coordinator> coordinator;
  uint64_t life = 0;
  // Bytes that the relay holds: hash per pack.
  std::map<PackKey, std::pair<uint64_t, uint64_t>> relay;
  std::map<uint64_t, Oracle> oracles;
  // Files: checkpoint path to weights.
  std::map<std::string, Weights> files;
  // What was acknowledged to somebody: uid to (generation, step), and the newest checkpoint's step.
  std::map<uint64_t, std::pair<uint64_t, uint64_t>> acknowledged_steps;
  std::map<uint64_t, uint64_t> acknowledged_checkpoint;
  std::map<std::pair<std::string, bool>, double> partitions;

 private:
  struct Item {
    double at;
    uint64_t sequence;
    std::function<void()> what;
    bool operator<(const Item& other) const {
      return std::tie(other.at, other.sequence) < std::tie(at, sequence);
    }
  };
  uint64_t state_;
  uint64_t draws_ = 0;
  double now_ = 0;
  uint64_t sequence_ = 0;
  std::priority_queue<Item> queue_;
  CoordinatorCounters seen_;
};

}  // namespace navit::sim

#endif  // NAVIT_TESTS_SIM_WORLD_H_
