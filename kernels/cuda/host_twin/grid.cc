#include "kernels/cuda/host_twin/grid.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "kernels/cuda/host_twin/fiber.h"

namespace navit::kernels::cuda::twin {
namespace {

constexpr int kLanes = 32;

enum class State { kRunnable, kAtBlockBarrier, kAtLanes, kEnded };

struct PendingCopy {
  Region* region;
  std::byte* to;
  std::array<std::byte, 16> bytes;
};

struct ThreadState {
  State state = State::kRunnable;
  Site site;
  void* operands = nullptr;
  std::vector<PendingCopy> open;                 // not committed
  std::deque<std::vector<PendingCopy>> commits;  // oldest first; a commit may hold no copy

  bool HasCopies() const {
    return !open.empty() || std::any_of(commits.begin(), commits.end(),
                                        [](const auto& commit) { return !commit.empty(); });
  }
};

struct WarpState {
  int arrived = 0;
  uint16_t epoch = 0;
};

std::string Name(const Site& site) {
  return std::string(site.file_name()) + ":" + std::to_string(site.line());
}

// The grid under way on this host thread, its block and its thread.
class Grid {
 public:
  Grid(const LaunchShape& shape, const std::function<void()>& body);
  void RunBlock(int64_t block);

  LaunchShape shape;
  const std::function<void()>& body;
  Region shared;
  std::vector<ThreadState> threads;
  std::vector<WarpState> warps;
  std::vector<int> runnable;
  int64_t block = 0;
  int thread = 0;  // that runs
  int at_barrier = 0;
  uint32_t launch_begin, block_begin = 0, interval = 0;

  void Wake(int index) {
    threads[index].state = State::kRunnable;
    runnable.push_back(index);
  }

 private:
  int TakeRunnable();
  void ReportStuck();
  std::vector<std::unique_ptr<Fiber>>& Fibers();

  uint64_t random_;
};

thread_local Grid* grid = nullptr;
thread_local Options options;
thread_local std::set<std::string> sync_sites;
thread_local uint32_t next_interval = 1;

Grid::Grid(const LaunchShape& s, const std::function<void()>& b)
    : shape(s),
      body(b),
      shared("shared memory", s.shared_bytes),
      threads(s.threads),
      warps(s.threads / kLanes),
      launch_begin(next_interval),
      random_(options.seed * 0x9e3779b97f4a7c15u + 1) {}

std::vector<std::unique_ptr<Fiber>>& Grid::Fibers() {
  thread_local std::vector<std::unique_ptr<Fiber>> fibers;
  while (fibers.size() < threads.size()) fibers.push_back(std::make_unique<Fiber>());
  return fibers;
}

int Grid::TakeRunnable() {
  auto pick = runnable.begin();
  if (options.seed == 0) {
    pick = std::min_element(runnable.begin(), runnable.end());
  } else if (options.seed == 1) {
    pick = std::max_element(runnable.begin(), runnable.end());
  } else {  // xorshift64
    random_ ^= random_ << 13;
    random_ ^= random_ >> 7;
    random_ ^= random_ << 17;
    pick += random_ % runnable.size();
  }
  const int taken = *pick;
  *pick = runnable.back();
  runnable.pop_back();
  return taken;
}

void Grid::RunBlock(int64_t index) {
  block = index;
  block_begin = interval = next_interval++;
  at_barrier = 0;
  std::fill(warps.begin(), warps.end(), WarpState{});
  shared.SetUnwritten(0, shared.bytes());
  auto& fibers = Fibers();
  for (int i = 0; i < shape.threads; ++i) {
    threads[i] = {};
    fibers[i]->Start([](void*) { grid->body(); }, nullptr);
    Wake(i);
  }
  int ended = 0;
  while (!runnable.empty()) {
    thread = TakeRunnable();
    fibers[thread]->Resume();
    if (!fibers[thread]->ended()) continue;
    threads[thread].state = State::kEnded;
    ++ended;
    if (threads[thread].HasCopies()) {
      Report(Site::current(), "a thread ended before it waited for its asynchronous copies");
    }
  }
  if (ended < shape.threads) ReportStuck();
  shared.CheckGuards();
}

void Grid::ReportStuck() {
  int ended = 0;
  const ThreadState* waiting = nullptr;
  for (const ThreadState& state : threads) {
    if (state.state == State::kEnded) ++ended;
    if (state.state != State::kEnded && waiting == nullptr) waiting = &state;
  }
  Report(waiting->site, "threads wait here for ever: " + std::to_string(ended) + " of " +
                            std::to_string(shape.threads) + " ended, others wait elsewhere");
}

}  // namespace

Options& GetOptions() { return options; }

std::set<std::string> TakeSyncSites() { return std::exchange(sync_sites, {}); }

void RunGrid(const LaunchShape& shape, const std::function<void()>& body) {
  if (shape.threads % kLanes != 0 || shape.threads < kLanes || shape.threads > 1024) {
    Report(Site::current(), "a block of " + std::to_string(shape.threads) + " threads");
    return;
  }
  if (shape.shared_bytes > options.max_shared_bytes) {
    Report(Site::current(), std::to_string(shape.shared_bytes) + " bytes of shared memory");
    return;
  }
  Grid running(shape, body);
  grid = &running;
  for (int64_t block = 0; block < shape.blocks; ++block) running.RunBlock(block);
  grid = nullptr;
}

int Thread() { return grid->thread; }
int64_t Block() { return grid->block; }
int64_t Blocks() { return grid->shape.blocks; }
Region* SharedRegion() { return &grid->shared; }

Actor CurrentActor() {
  const int thread = grid->thread;
  return {grid->block,
          static_cast<uint16_t>(thread),
          grid->warps[thread / kLanes].epoch,
          grid->interval,
          grid->block_begin,
          grid->launch_begin};
}

bool Skipped(const Site& site) {
  std::string name = Name(site);
  const bool skipped = name == options.skip;
  sync_sites.insert(std::move(name));
  return skipped;
}

void BlockBarrier(const Site& site) {
  if (Skipped(site)) return;
  ThreadState& self = grid->threads[grid->thread];
  self.state = State::kAtBlockBarrier;
  self.site = site;
  if (++grid->at_barrier == grid->shape.threads) {
    grid->at_barrier = 0;
    grid->interval = next_interval++;
    for (WarpState& warp : grid->warps) warp.epoch = 0;
    bool agree = true;
    for (int i = 0; i < grid->shape.threads; ++i) {
      agree = agree && grid->threads[i].site.line() == site.line();
      grid->Wake(i);
    }
    if (!agree) Report(site, "threads of one block meet at different barriers");
  }
  Fiber::Yield();
}

void MeetLanes(void* operands, void (*compute)(void* const (&lanes)[32]), const Site& site) {
  const int first = grid->thread / kLanes * kLanes;
  WarpState& warp = grid->warps[grid->thread / kLanes];
  ThreadState& self = grid->threads[grid->thread];
  self.state = State::kAtLanes;
  self.site = site;
  self.operands = operands;
  if (++warp.arrived == kLanes) {
    warp.arrived = 0;
    bool agree = true;
    void* lanes[kLanes];
    for (int i = 0; i < kLanes; ++i) {
      const ThreadState& lane = grid->threads[first + i];
      agree = agree && lane.site.line() == site.line() && lane.site.column() == site.column();
      lanes[i] = lane.operands;
      grid->Wake(first + i);
    }
    if (agree) {
      compute(lanes);
    } else {
      Report(site, "lanes of one warp meet in different operations");
    }
  }
  Fiber::Yield();
}

void WarpBarrier(const Site& site) {
  if (Skipped(site)) return;
  MeetLanes(
      nullptr, [](void* const(&)[32]) { ++grid->warps[grid->thread / kLanes].epoch; }, site);
}

void CopyAsync(Region* to_region, std::byte* to, const std::byte (&bytes)[16], const Site& site) {
  if (to_region == nullptr || !to_region->BeginCopy(CurrentActor(), to, 16, site)) return;
  PendingCopy copy{to_region, to, {}};
  std::memcpy(copy.bytes.data(), bytes, 16);
  grid->threads[grid->thread].open.push_back(copy);
}

void CopyAsyncCommit() {
  ThreadState& self = grid->threads[grid->thread];
  self.commits.push_back(std::move(self.open));
  self.open.clear();
}

void CopyAsyncWait(int pending_commits, const Site& site) {
  if (Skipped(site)) return;
  auto& commits = grid->threads[grid->thread].commits;
  while (static_cast<int>(commits.size()) > pending_commits) {
    for (const PendingCopy& copy : commits.front()) {
      copy.region->EndCopy(CurrentActor(), copy.to, copy.bytes.data(), copy.bytes.size());
    }
    commits.pop_front();
  }
}

}  // namespace navit::kernels::cuda::twin
