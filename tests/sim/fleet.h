// One simulated fleet: the real core of the coordinator, trainers and packers as small models
// around the real protocol, and a person who submits, pauses and deletes. World has time, messages
// and chance.
#ifndef NAVIT_TESTS_SIM_FLEET_H_
#define NAVIT_TESTS_SIM_FLEET_H_

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/simulator.h"
#include "tests/sim/world.h"
#include "worker/protocol/trainer_protocol.h"

namespace navit::sim {

inline constexpr char kJob[] = "job";

// One generation's communicator: a model of all-reduce and broadcast.
struct Communicator {
  std::set<uint32_t> arrived;
  std::set<uint32_t> aborted;
  bool broadcast = false;
  // Per step: the ranks that gave their part, and the packs that they used.
  struct Step {
    std::set<uint32_t> ranks;
    std::vector<std::pair<uint64_t, uint64_t>> packs;
    bool complete = false;
  };
  std::map<uint64_t, Step> steps;
};

struct Trainer {
  std::string name;
  uint64_t incarnation = 0;
  bool up = true;
  double hung_until = 0;
  std::unique_ptr<TrainerProtocol> protocol;
  Weights weights;
  uint64_t sequence = 0;
  // The run under way: its number, so that events of older runs are recognised.
  uint64_t run = 0;
  bool running = false;
  bool todo_pending = false;
  uint64_t working_on = 0;
  // Between the last bucket of working_on and its update: the step loop looks at nothing else, so
  // whatever breaks meanwhile is noticed after it.
  bool applying = false;
  bool broke_meanwhile = false;
  bool ending = false;
  std::set<uint64_t> checkpoints_asked;
  bool final_checkpoint_done = false;
};

struct Packer {
  std::string name;
  uint64_t incarnation = 0;
  bool up = true;
  double hung_until = 0;
  // Alive, but no pack of its gets done before.
  double slow_until = 0;
  uint64_t sequence = 0;
  // Whether this process forgets its leases when the coordinator is another one. Some do not.
  bool tidy = true;
  uint64_t coordinator = 0;
  std::map<uint64_t, v1::WindowLease> leases;
  uint64_t stream = 0;
};

class Sim {
 public:
  explicit Sim(const SimOptions& options) : world_(options) {}

  SimResult Run();

 private:
  // --- The user: submits, pauses, cancels, deletes, submits again.
  v1::JobSpec MakeSpec();
  void User();
  void CheckResult(const v1::Job& job);

  // --- Faults.
  void Fault();
  void Crash(Trainer& t);

  // --- Trainers.
  void StartTrainer(const std::string& name);
  template <typename W>
  bool Alive(const std::shared_ptr<W>& w) {
    return w->up && w->hung_until <= world_.now();
  }
  // Runs `what` in the worker's process: later if it hangs, never if it died.
  template <typename W>
  void In(std::shared_ptr<W> w, double delay, std::function<void()> what) {
    world_.After(delay, [this, w, what = std::move(what)] {
      if (!w->up) return;
      if (w->hung_until > world_.now()) {
        In(w, w->hung_until - world_.now() + 0.001, what);
        return;
      }
      what();
    });
  }
  template <typename W>
  v1::WorkerId Id(const W& w) {
    v1::WorkerId id;
    id.set_name(w.name);
    id.set_incarnation(w.incarnation);
    return id;
  }

  void RegisterTrainer(const std::shared_ptr<Trainer>& t);
  void Heartbeat(const std::shared_ptr<Trainer>& t);
  void SendReport(const std::shared_ptr<Trainer>& t);

  // Does what the protocol wants next, after a moment.
  void Act(const std::shared_ptr<Trainer>& t);
  Communicator& Comm(const Trainer& t);
  void AbortRun(Trainer& t);
  void EndRun(const std::shared_ptr<Trainer>& t, TrainerProtocol::RunEnd end,
              const std::string& why);
  void StartRun(const std::shared_ptr<Trainer>& t);

  // Goes on with the next step, or stops, if the protocol lets it.
  void Step(const std::shared_ptr<Trainer>& t);
  void Pull(const std::shared_ptr<Trainer>& t, uint64_t run, uint64_t step);
  TrainerProtocol& p(const std::shared_ptr<Trainer>& t) { return *t->protocol; }

  void Contribute(const std::shared_ptr<Trainer>& t, uint64_t run, uint64_t step,
                  const std::vector<std::pair<uint64_t, uint64_t>>& packs);
  void Apply(const std::shared_ptr<Trainer>& t, uint64_t run, uint64_t step, uint64_t digest,
             uint64_t count);
  void ReportSteps(const std::shared_ptr<Trainer>& t, uint64_t run);
  void WriteCheckpoint(const std::shared_ptr<Trainer>& t, uint64_t run, Weights weights,
                       bool final);
  void Finish(const std::shared_ptr<Trainer>& t);

  // --- Packers.
  void StartPacker(const std::string& name);
  void RegisterPacker(const std::shared_ptr<Packer>& w);
  void Beat(const std::shared_ptr<Packer>& w);
  void OpenPush(const std::shared_ptr<Packer>& w);

  // The coordinator's end of a push stream.
  void Pump(const std::shared_ptr<Packer>& w, uint64_t stream, uint64_t life);
  void OnGrants(const std::shared_ptr<Packer>& w, uint64_t stream, const v1::PushReply& reply);
  void Ask(const std::shared_ptr<Packer>& w);
  void Work(const std::shared_ptr<Packer>& w, const v1::Work& work);

  // Repeated until it is answered.
  void Finish(const std::shared_ptr<Packer>& w, const v1::FinishWorkRequest& request,
              const std::shared_ptr<bool>& answered);

  World world_;
  std::map<std::string, std::shared_ptr<Trainer>> trainers_;
  std::map<std::string, std::shared_ptr<Packer>> packers_;
  std::map<std::pair<uint64_t, uint64_t>, Communicator> communicators_;
  uint64_t incarnations_ = 0;
  uint64_t submissions_ = 0;
  uint64_t requests_ = 0;
  v1::JobSpec spec_;
  // The coordinator has shown the job of spec_.
  bool seen_ = false;
  int ended_ = 0;
  bool done_ = false;
};

}  // namespace navit::sim

#endif  // NAVIT_TESTS_SIM_FLEET_H_
