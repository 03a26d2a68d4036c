#include "tests/sim/world.h"

#include "absl/strings/str_cat.h"

namespace navit::sim {

World::World(const SimOptions& o)
    : options(o),
      store([this]() -> int {
        if (!faulty() || !Chance(0.002)) return 0;
        return 1 + static_cast<int>(Draw() % 2);
      }),
      state_(Mix(o.seed, 77)) {}

bool World::Run() {
  if (queue_.empty() || !result.violation.empty()) return false;
  // The handler may push: take it out first.
  Item item = queue_.top();
  queue_.pop();
  now_ = item.at;
  ++result.events;
  item.what();
  return result.violation.empty();
}

bool World::Lost(const std::string& link, bool to_coordinator) {
  if (!faulty()) return false;
  auto it = partitions.find({link, to_coordinator});
  if (it != partitions.end() && it->second > now_) return true;
  return Chance(0.01);
}

void World::ToCoordinator(const std::string& link, std::function<void(Coordinator&)> what) {
  if (Lost(link, true)) return;
  auto arrive = [this, what = std::move(what)] {
    if (coordinator == nullptr) return;
    what(*coordinator);
    AfterCall();
  };
  if (faulty() && Chance(0.01)) After(Delay(), arrive);  // Sent twice.
  After(Delay(), arrive);
}

void World::ToWorker(const std::string& link, std::function<void()> what) {
  if (!Lost(link, false)) After(Delay(), std::move(what));
}

void World::StartCoordinator() {
  CoordinatorOptions coordinator_options;
  coordinator_options.heartbeat_interval_seconds = 0.25;
  coordinator_options.heartbeat_timeout_seconds = 2;
  coordinator_options.join_timeout_seconds = 8;
  coordinator_options.gang_settle_seconds = 0.5;
  coordinator_options.lookahead_steps = 4;
  coordinator_options.hedge_seconds = 1;
  coordinator_options.max_work_failures = 100000;
  coordinator_options.broken_rules = options.broken_rules;
  coordinator_options.log = [this](absl::string_view, absl::string_view line) {
    Trace(std::string(line));
  };
  coordinator = std::make_unique<Coordinator>(coordinator_options, &store);
  relay.clear();
  seen_ = CoordinatorCounters();
  const absl::Status status = coordinator->Start(instant());
  if (absl::IsDataLoss(status)) {
    Violate(absl::StrCat("replay failed: ", status.ToString()));
  } else if (!status.ok()) {
    CrashCoordinator();
    return;
  }
  ++life;
  // I3: all that was acknowledged is there.
  const v1::ListReply jobs = coordinator->List();
  for (const v1::Job& job : jobs.jobs()) {
    for (const auto& [uid, oracle] : oracles) {
      if (oracle.spec.name() != job.name() || oracle.spec.seed() != job.spec().seed()) continue;
      const auto [generation, step] = acknowledged_steps[uid];
      if (job.generation() == generation && job.committed_step() < step) {
        Violate(absl::StrCat("I3: step ", step, " was acknowledged, committed is ",
                             job.committed_step()));
      }
      uint64_t newest = 0;
      const auto checkpoints = coordinator->ListCheckpoints(job.name());
      for (const auto& c : checkpoints->checkpoints()) {
        newest = std::max<uint64_t>(newest, c.step());
      }
      if (newest < acknowledged_checkpoint[uid]) {
        Violate(absl::StrCat("I3: checkpoint of step ", acknowledged_checkpoint[uid], " is gone"));
      }
    }
  }
  const uint64_t mine = life;
  // A tick every tenth of a second as long as this life lasts.
  struct Ticker {
    World* world;
    uint64_t mine;
    void operator()() const {
      if (world->coordinator == nullptr || world->life != mine) return;
      world->coordinator->Tick(world->instant());
      world->AfterCall();
      world->After(0.1, Ticker{world, mine});
    }
  };
  After(0.1, Ticker{this, mine});
}

void World::CrashCoordinator() {
  if (coordinator == nullptr) return;
  Trace("coordinator crashes");
  ++result.coordinator_crashes;
  coordinator = nullptr;
  ++life;
  relay.clear();
  After(0.2 + 3 * Uniform(), [this] { StartCoordinator(); });
}

void World::AfterCall() {
  if (coordinator == nullptr) return;
  for (const PackKey& key : coordinator->TakeDropped()) relay.erase(key);
  const CoordinatorCounters& counters = coordinator->counters();
  result.generations += counters.generations_opened - seen_.generations_opened;
  result.steps_rolled_back += counters.steps_rolled_back - seen_.steps_rolled_back;
  result.packs_evicted += counters.packs_evicted - seen_.packs_evicted;
  result.packs_hedged += counters.packs_hedged - seen_.packs_hedged;
  for (const auto& [kind, count] : counters.stale_writes_rejected) {
    auto it = seen_.stale_writes_rejected.find(kind);
    result.stale_rejected += count - (it == seen_.stale_writes_rejected.end() ? 0 : it->second);
  }
  seen_ = counters;
  // I5: what the relay holds is what the ledger says, and within the budget.
  const CoordinatorGauges gauges = coordinator->gauges(instant());
  std::map<std::string, uint64_t> bytes;
  for (const auto& [key, pack] : relay) bytes[key.job] += pack.second;
  for (const auto& [job, ledger] : gauges.relay) {
    if (bytes[job] != ledger.present_bytes || ledger.present_bytes > ledger.budget_bytes) {
      Violate(absl::StrCat("I5: job ", job, " has ", bytes[job], " bytes in the relay, ",
                           ledger.present_bytes, " in the ledger, budget ", ledger.budget_bytes));
    }
    bytes.erase(job);
  }
  for (const auto& [job, left] : bytes) {
    if (left > 0) Violate(absl::StrCat("I5: ", left, " bytes of job ", job, " are never dropped"));
  }
  if (!coordinator->healthy()) CrashCoordinator();
}

void World::Violate(const std::string& what) {
  if (!result.violation.empty()) return;
  result.violation = absl::StrCat("seed ", options.seed, " at ", now_, " s: ", what);
  Trace(result.violation);
}

}  // namespace navit::sim
