#include "tests/sim/simulator.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "server/core/limits.h"
#include "tests/sim/world.h"
#include "worker/protocol/trainer_protocol.h"

namespace navit::sim {
namespace {

constexpr double kCollectiveSeconds = 3;
constexpr char kJob[] = "job";

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

class Sim;

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

  SimResult Run() {
    world_.StartCoordinator();
    const int trainers = 2 + world_.Draw() % 3;
    const int packers = 1 + world_.Draw() % 3;
    for (int i = 0; i < trainers; ++i) StartTrainer(absl::StrCat("t", i));
    for (int i = 0; i < packers; ++i) StartPacker(absl::StrCat("p", i));
    world_.After(0.1, [this] { User(); });
    if (world_.options.faults) world_.After(2, [this] { Fault(); });
    const double end = world_.options.fault_seconds + world_.options.settle_seconds;
    while (!done_ && world_.Run()) {
      if (world_.now() > end) {
        std::string why = "no coordinator";
        if (world_.coordinator != nullptr) {
          why = world_.coordinator->List().ShortDebugString().substr(0, 200);
          if (auto lines = world_.coordinator->Explain(kJob, world_.instant()); lines.ok()) {
            why = lines->ShortDebugString();
          }
        }
        for (const auto& [name, t] : trainers_) {
          absl::StrAppend(&why, "\n", name, " up ", t->up, " running ", t->running, " ending ",
                          t->ending, " works on ", t->working_on, " todo ",
                          static_cast<int>(t->protocol->todo()), " stop after ",
                          t->protocol->stop_after_step(), ": ",
                          t->protocol->State().ShortDebugString());
        }
        world_.Violate(absl::StrCat("I7: not over: ", why));
      }
    }
    return world_.result;
  }

 private:
  // --- The user: submits, pauses, cancels, deletes, submits again.
  v1::JobSpec MakeSpec() {
    v1::JobSpec spec;
    spec.set_name(kJob);
    spec.set_seed(Mix(world_.options.seed, ++submissions_));
    spec.mutable_data()->add_train()->set_weight(1);
    spec.mutable_packing()->set_sequence_length(16);
    spec.mutable_packing()->set_sequences_per_step(1 + world_.Draw() % 5);
    spec.mutable_packing()->set_max_examples_per_sequence(2);
    spec.mutable_packing()->set_window_samples(16);
    spec.mutable_packing()->set_windows_per_group(1 + world_.Draw() % 4);
    spec.mutable_packing()->set_plan_version(1);
    spec.mutable_model()->mutable_image()->set_patch_size(4);
    if (world_.Chance(0.5)) {
      spec.mutable_train_for()->set_epochs(2 + world_.Draw() % 3);
    } else {
      spec.mutable_train_for()->set_steps(20 + world_.Draw() % 40);
    }
    const uint32_t min = 1 + world_.Draw() % 2;
    spec.mutable_workers()->mutable_trainers()->set_min(min);
    spec.mutable_workers()->mutable_trainers()->set_max(min + world_.Draw() % 2);
    spec.mutable_workers()->mutable_packers()->set_min(1);
    spec.mutable_checkpoints()->set_directory("/c");
    spec.mutable_checkpoints()->set_every_steps(7);
    spec.mutable_checkpoints()->set_keep_last(2);
    spec.mutable_budgets()->set_bad_sample_fraction(1);
    spec.mutable_budgets()->set_recoveries_without_progress(1000);
    spec.mutable_budgets()->set_relay_bytes(2 * spec.packing().sequences_per_step() *
                                            MaxFrameBytes(spec));
    spec.mutable_timeouts()->set_heartbeat_seconds(2);
    spec.mutable_timeouts()->set_lease_seconds(3);
    return spec;
  }

  void User() {
    world_.After(0.5 + world_.Uniform(), [this] { User(); });
    Coordinator* c = world_.coordinator.get();
    if (c == nullptr) return;
    const absl::StatusOr<v1::Job> job = c->Get(kJob);
    v1::JobMutation mutation;
    mutation.set_name(kJob);
    mutation.set_request_id(absl::StrCat("r", ++requests_));
    if (!job.ok()) {
      if (seen_) {
        // Deleted; perhaps by a call whose answer the store's failure swallowed.
        world_.acknowledged_steps.erase(spec_.seed());
        world_.acknowledged_checkpoint.erase(spec_.seed());
        spec_.Clear();
        seen_ = false;
        ++ended_;
      }
      if (ended_ >= 2 && !world_.faulty()) {
        done_ = true;
        return;
      }
      v1::SubmitRequest request;
      request.set_request_id(mutation.request_id());
      if (spec_.name().empty()) spec_ = MakeSpec();
      *request.mutable_spec() = spec_;
      Oracle& oracle = world_.oracles[spec_.seed()];
      oracle.uid = spec_.seed();
      oracle.spec = spec_;
      oracle.samples = 3 * 40;
      if (absl::Status s = c->Submit(request, world_.instant()).status();
          !s.ok() && !absl::IsUnavailable(s)) {
        world_.Violate(absl::StrCat("submit: ", s.ToString()));
      }
      world_.AfterCall();
      return;
    }
    seen_ = true;
    if (job->state() == v1::PAUSED) {
      (void)c->Resume(mutation, world_.instant());
    } else if (job->state() == v1::SUCCEEDED || job->state() == v1::CANCELLED) {
      if (job->state() == v1::SUCCEEDED) CheckResult(*job);
      if (c->Delete(mutation, world_.instant()).ok()) {
        ++(job->state() == v1::SUCCEEDED ? world_.result.jobs_succeeded
                                         : world_.result.jobs_cancelled);
      }
    } else if (job->state() == v1::FAILED) {
      world_.Violate(absl::StrCat("the job failed: ", job->reason()));
    } else if (world_.faulty() && world_.Chance(0.02)) {
      (void)c->Pause(mutation, world_.instant());
    } else if (world_.faulty() && world_.Chance(0.03)) {
      (void)c->Cancel(mutation, world_.instant());
    }
    world_.AfterCall();
  }

  void CheckResult(const v1::Job& job) {
    Oracle* oracle = world_.FindOracle(job.spec().seed());
    v1::HistoryRequest whole;
    whole.set_name(kJob);
    const auto history = world_.coordinator->History(whole);
    const auto& steps = oracle->Steps();
    if (static_cast<size_t>(history->steps_size()) != steps.size()) {
      world_.Violate(
          absl::StrCat("I1: ", history->steps_size(), " steps committed of ", steps.size()));
      return;
    }
    for (size_t i = 0; i < steps.size(); ++i) {
      if (history->steps(i).packs_digest() != steps[i] || history->steps(i).step() != i + 1) {
        world_.Violate(absl::StrCat("I1: the record of step ", i + 1, " is of other packs"));
        return;
      }
    }
    const Weights& weights = world_.files[job.last_checkpoint()];
    if (weights.uid != oracle->uid || weights.steps != steps.size()) {
      world_.Violate(absl::StrCat("I1: the last checkpoint holds ", weights.steps, " steps"));
    }
  }

  // --- Faults.
  void Fault() {
    if (!world_.faulty()) return;
    world_.After(4 * world_.Uniform(), [this] { Fault(); });
    const double kind = world_.Uniform();
    if (kind < 0.1) {
      world_.CrashCoordinator();
    } else if (kind < 0.35) {
      Trainer& t = *std::next(trainers_.begin(), world_.Draw() % trainers_.size())->second;
      Crash(t);
    } else if (kind < 0.5) {
      Packer& p = *std::next(packers_.begin(), world_.Draw() % packers_.size())->second;
      if (p.up) {
        p.up = false;
        ++world_.result.worker_crashes;
        world_.After(3 * world_.Uniform(), [this, name = p.name] { StartPacker(name); });
      }
    } else if (kind < 0.6) {
      Trainer& t = *std::next(trainers_.begin(), world_.Draw() % trainers_.size())->second;
      t.hung_until = world_.now() + 6 * world_.Uniform();
    } else if (kind < 0.7) {
      Packer& p = *std::next(packers_.begin(), world_.Draw() % packers_.size())->second;
      (world_.Chance(0.5) ? p.hung_until : p.slow_until) = world_.now() + 6 * world_.Uniform();
    } else {
      const bool trainer = world_.Chance(0.5);
      const std::string name =
          trainer ? std::next(trainers_.begin(), world_.Draw() % trainers_.size())->first
                  : std::next(packers_.begin(), world_.Draw() % packers_.size())->first;
      const double until = world_.now() + 5 * world_.Uniform();
      if (world_.Chance(0.7)) world_.partitions[{name, true}] = until;
      if (world_.Chance(0.7)) world_.partitions[{name, false}] = until;
    }
  }

  void Crash(Trainer& t) {
    if (!t.up) return;
    t.up = false;
    ++world_.result.worker_crashes;
    AbortRun(t);
    world_.After(0.1 + 3 * world_.Uniform(), [this, name = t.name] { StartTrainer(name); });
  }

  // --- Trainers.
  void StartTrainer(const std::string& name) {
    auto& slot = trainers_[name];
    auto t = std::make_shared<Trainer>();
    t->name = name;
    t->incarnation = ++incarnations_;
    TrainerProtocol::Options options;
    options.broken_promise = world_.options.broken_promise;
    t->protocol = std::make_unique<TrainerProtocol>(options);
    slot = t;
    RegisterTrainer(t);
    Heartbeat(t);
  }

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

  void RegisterTrainer(const std::shared_ptr<Trainer>& t) {
    v1::RegisterRequest request;
    *request.mutable_worker() = Id(*t);
    request.set_role(v1::TRAINER);
    world_.ToCoordinator(
        t->name, [this, request](Coordinator& c) { (void)c.Register(request, world_.instant()); });
  }

  void Heartbeat(const std::shared_ptr<Trainer>& t) {
    In(t, 0.2 + 0.1 * world_.Uniform(), [this, t] {
      SendReport(t);
      Heartbeat(t);
    });
  }

  void SendReport(const std::shared_ptr<Trainer>& t) {
    v1::WorkerReport report;
    *report.mutable_worker() = Id(*t);
    *report.mutable_trainer() = t->protocol->State();
    report.set_sequence(++t->sequence);
    world_.ToCoordinator(t->name, [this, t, report](Coordinator& c) {
      const absl::Status status = c.OnReport(report, world_.instant());
      if (absl::IsNotFound(status)) {
        world_.ToWorker(t->name, [this, t] { In(t, 0, [this, t] { RegisterTrainer(t); }); });
        return;
      }
      const absl::StatusOr<v1::Directive> directive =
          c.DirectiveFor(report.worker(), world_.instant());
      if (!directive.ok()) return;
      world_.ToWorker(t->name, [this, t, d = *directive] {
        In(t, 0, [this, t, d] {
          const v1::TrainerState before = t->protocol->State();
          t->protocol->OnDirective(d);
          const v1::TrainerState after = t->protocol->State();
          if (before.kind() != after.kind() || before.generation() != after.generation()) {
            SendReport(t);
          }
          Act(t);
        });
      });
    });
  }

  // Does what the protocol wants next, after a moment.
  void Act(const std::shared_ptr<Trainer>& t) {
    if (t->todo_pending || t->protocol->todo() == TrainerProtocol::Todo::kNothing) {
      if (!t->todo_pending) Step(t);
      return;
    }
    t->todo_pending = true;
    // An aborted collective sometimes takes long to return.
    const double delay = (world_.Chance(0.1) ? 2 : 0.1) * world_.Uniform();
    In(t, delay, [this, t] {
      t->todo_pending = false;
      switch (t->protocol->todo()) {
        case TrainerProtocol::Todo::kStopRun:
          if (t->applying) break;
          EndRun(t, TrainerProtocol::RunEnd::kBroken, "stopped by the coordinator");
          break;
        case TrainerProtocol::Todo::kStartRun:
          StartRun(t);
          break;
        case TrainerProtocol::Todo::kDropState:
          t->weights = Weights();
          t->protocol->OnStateDropped();
          SendReport(t);
          break;
        case TrainerProtocol::Todo::kExit:
          Crash(*t);
          break;
        case TrainerProtocol::Todo::kNothing:
          break;
      }
    });
  }

  Communicator& Comm(const Trainer& t) {
    const TrainerProtocol::Run& run = t.protocol->run();
    return communicators_[{run.job.job_uid(), run.generation}];
  }

  void AbortRun(Trainer& t) {
    if (!t.running) return;
    t.running = false;
    t.applying = false;
    t.broke_meanwhile = false;
    ++t.run;
    Comm(t).aborted.insert(t.protocol->run().rank);
    // The failure reaches the others.
    for (auto& [name, other] : trainers_) {
      if (other.get() == &t || !other->running) continue;
      if (&Comm(*other) != &Comm(t)) continue;
      const uint64_t run = other->run;
      In(other, 0.5 * world_.Uniform(), [this, other = other, run] {
        if (other->applying) {
          other->broke_meanwhile = other->broke_meanwhile || other->run == run;
        } else if (other->running && other->run == run && !other->ending) {
          EndRun(other, TrainerProtocol::RunEnd::kBroken, "connection closed by peer");
        }
      });
    }
  }

  void EndRun(const std::shared_ptr<Trainer>& t, TrainerProtocol::RunEnd end,
              const std::string& why) {
    if (!t->running) return;
    AbortRun(*t);
    t->protocol->OnRunEnded(end, why);
    SendReport(t);
    Act(t);
  }

  void StartRun(const std::shared_ptr<Trainer>& t) {
    t->protocol->OnRunStarted();
    t->running = true;
    t->ending = false;
    t->final_checkpoint_done = false;
    t->working_on = 0;
    t->checkpoints_asked.clear();
    const uint64_t run = ++t->run;
    SendReport(t);
    Communicator& comm = Comm(*t);
    comm.arrived.insert(t->protocol->run().rank);
    In(t, kCollectiveSeconds, [this, t, run] {
      if (t->running && t->run == run && !t->protocol->has_state()) {
        EndRun(t, TrainerProtocol::RunEnd::kBroken, "rendezvous timed out");
      }
    });
    In(t, kCollectiveSeconds, [this, t, run] {
      if (t->running && t->run == run && !Comm(*t).broadcast) {
        EndRun(t, TrainerProtocol::RunEnd::kBroken, "rendezvous timed out");
      }
    });
    if (comm.arrived.size() < t->protocol->run().members.size() || !comm.aborted.empty()) return;
    comm.broadcast = true;
    // All are there: the source's weights, or the checkpoint's, go to all.
    const TrainerProtocol::Run& mine = t->protocol->run();
    for (auto& [name, other] : trainers_) {
      if (!other->running || &Comm(*other) != &comm) continue;
      const uint64_t other_run = other->run;
      const bool is_source = static_cast<int>(other->protocol->run().rank) == mine.source_rank;
      if (!is_source) {
        In(other, 0.05 * world_.Uniform(), [other = other, other_run] {
          if (other->running && other->run == other_run) other->protocol->OnLoading();
        });
      }
      Weights weights;
      weights.uid = mine.job.spec().seed();
      if (mine.source_rank >= 0) {
        weights = trainers_[mine.members[mine.source_rank]]->weights;
      } else if (!mine.checkpoint.empty()) {
        weights = world_.files[mine.checkpoint];
      }
      In(other, 0.06 + 0.1 * world_.Uniform(), [this, other = other, other_run, weights] {
        if (!other->running || other->run != other_run) return;
        other->weights = weights;
        if (weights.steps != other->protocol->run().committed_step) {
          world_.Violate(absl::StrCat(
              "I1: generation ", other->protocol->run().generation, " starts at committed step ",
              other->protocol->run().committed_step, " with weights of ", weights.steps, " steps"));
        }
        other->protocol->OnLoaded(weights.steps);
        SendReport(other);
        Step(other);
      });
    }
  }

  // Goes on with the next step, or stops, if the protocol lets it.
  void Step(const std::shared_ptr<Trainer>& t) {
    TrainerProtocol& p = *t->protocol;
    if (!t->running || t->ending || t->working_on != 0) return;
    if (p.ShouldStop()) {
      Finish(t);
      return;
    }
    const uint64_t step = p.applied_step() + 1;
    if (!p.MayStartStep(step)) return;
    t->working_on = step;
    Pull(t, t->run, step);
  }

  void Pull(const std::shared_ptr<Trainer>& t, uint64_t run, uint64_t step) {
    if (!t->running || t->run != run || t->working_on != step) return;
    v1::PullRequest::Open open;
    *open.mutable_worker() = Id(*t);
    open.set_job(kJob);
    open.set_generation(p(t).run().generation);
    open.set_rank(p(t).run().rank);
    world_.ToCoordinator(t->name, [this, t, run, step, open](Coordinator& c) {
      if (!c.CheckPull(open).ok()) return;
      const absl::StatusOr<StepForRank> next =
          c.NextStep(open.job(), open.generation(), open.rank(), step);
      if (!next.ok() || next->kind == StepForRank::kWait) return;
      if (next->kind == StepForRank::kEnd) {
        world_.ToWorker(t->name, [this, t, run, step] {
          In(t, 0, [this, t, run, step] {
            if (t->running && t->run == run && t->working_on == step) Finish(t);
          });
        });
        return;
      }
      std::vector<std::pair<uint64_t, uint64_t>> packs;
      for (size_t i = 0; i < next->packs.size(); ++i) {
        auto bytes = world_.relay.find(next->packs[i]);
        if (bytes == world_.relay.end()) {
          world_.Violate(absl::StrCat("a dealt pack of step ", step, " is not in the relay"));
          return;
        }
        packs.emplace_back(next->deal.ranks(open.rank()).ordinals(i), bytes->second.first);
      }
      world_.ToWorker(t->name, [this, t, run, step, packs] {
        In(t, 0.01 * world_.Uniform(),
           [this, t, run, step, packs] { Contribute(t, run, step, packs); });
      });
    });
    // The stream may break, and waits: ask again.
    In(t, 0.1 + 0.1 * world_.Uniform(), [this, t, run, step] {
      if (Comm(*t).steps[step].ranks.count(p(t).run().rank) == 0) Pull(t, run, step);
    });
  }
  TrainerProtocol& p(const std::shared_ptr<Trainer>& t) { return *t->protocol; }

  void Contribute(const std::shared_ptr<Trainer>& t, uint64_t run, uint64_t step,
                  const std::vector<std::pair<uint64_t, uint64_t>>& packs) {
    if (!t->running || t->run != run || t->working_on != step || t->ending) return;
    Communicator& comm = Comm(*t);
    Communicator::Step& all = comm.steps[step];
    if (!all.ranks.insert(p(t).run().rank).second) return;
    all.packs.insert(all.packs.end(), packs.begin(), packs.end());
    In(t, kCollectiveSeconds, [this, t, run, step] {
      if (t->running && t->run == run && t->working_on == step && !t->ending && !t->applying) {
        EndRun(t, TrainerProtocol::RunEnd::kBroken, "collective timed out");
      }
    });
    if (all.ranks.size() < p(t).run().members.size()) return;
    all.complete = true;
    const uint64_t digest = PacksDigest(all.packs);
    const uint64_t count = all.packs.size();
    for (auto& [name, other] : trainers_) {
      if (!other->running || &Comm(*other) != &comm) continue;
      const uint64_t other_run = other->run;
      // The time between the last bucket and the update differs by rank: a rank may die in it.
      other->applying = true;
      In(other, (world_.faulty() && world_.Chance(0.05) ? 4 : 0.01) * world_.Uniform(),
         [this, other = other, other_run, step, digest, count] {
           Apply(other, other_run, step, digest, count);
         });
    }
  }

  void Apply(const std::shared_ptr<Trainer>& t, uint64_t run, uint64_t step, uint64_t digest,
             uint64_t count) {
    if (!t->running || t->run != run) return;
    t->applying = false;
    if (!p(t).MayApply(step)) {
      EndRun(t, TrainerProtocol::RunEnd::kBroken, "stopped by the coordinator");
      return;
    }
    Oracle* oracle = world_.FindOracle(t->weights.uid);
    ++t->weights.steps;
    t->weights.chain = Mix(t->weights.chain, digest);
    ++world_.result.steps_applied;
    if (oracle == nullptr || t->weights.steps != step || step > oracle->Steps().size() ||
        oracle->Steps()[step - 1] != digest) {
      world_.Violate(absl::StrCat("I1: ", t->name, " applied other packs than those of step ",
                                  t->weights.steps, " (as step ", step, ")"));
    }
    v1::StepReport report;
    report.set_generation(p(t).run().generation);
    report.set_step(step);
    report.set_packs_digest(digest);
    report.set_packs(count);
    report.set_samples(count);
    p(t).OnStepApplied(report);
    t->working_on = 0;
    if (p(t).run().rank == 0) {
      ReportSteps(t, run);
      if (step % 7 == 0) WriteCheckpoint(t, run, t->weights, false);
    }
    if (t->broke_meanwhile) {
      EndRun(t, TrainerProtocol::RunEnd::kBroken, "connection closed by peer");
      return;
    }
    Act(t);
  }

  void ReportSteps(const std::shared_ptr<Trainer>& t, uint64_t run) {
    if (!t->running || t->run != run || p(t).unacknowledged().empty()) return;
    v1::ReportStepsRequest request;
    *request.mutable_worker() = Id(*t);
    request.set_job(kJob);
    request.set_generation(p(t).run().generation);
    for (const v1::StepReport& report : p(t).unacknowledged()) *request.add_steps() = report;
    const uint64_t seed = p(t).run().job.spec().seed();
    world_.ToCoordinator(t->name, [this, t, request, seed](Coordinator& c) {
      const absl::Status status = c.ReportSteps(request, world_.instant());
      if (absl::IsAborted(status) || absl::IsDataLoss(status)) {
        world_.Violate(absl::StrCat("I1: ", status.ToString()));
      }
      if (!status.ok()) return;
      const uint64_t last = request.steps(request.steps_size() - 1).step();
      world_.acknowledged_steps[seed] = {request.generation(), last};
      world_.ToWorker(t->name, [this, t, request, last] {
        In(t, 0, [this, t, request, last] {
          p(t).OnReportsAcknowledged(request.generation(), last);
          Step(t);
        });
      });
    });
    In(t, 0.5, [this, t, run] { ReportSteps(t, run); });
  }

  void WriteCheckpoint(const std::shared_ptr<Trainer>& t, uint64_t run, Weights weights,
                       bool final) {
    if (!t->running || t->run != run || (final && t->final_checkpoint_done)) return;
    if (!final && t->checkpoints_asked.count(weights.steps) > 20) return;
    v1::CommitCheckpointRequest request;
    *request.mutable_worker() = Id(*t);
    request.set_job(kJob);
    request.set_generation(p(t).run().generation);
    request.set_step(weights.steps);
    request.set_path(
        absl::StrCat("/c/", weights.uid, "/", request.generation(), "-", weights.steps));
    world_.files[request.path()] = weights;
    world_.ToCoordinator(t->name, [this, t, run, request, weights, final](Coordinator& c) {
      const auto reply = c.CommitCheckpoint(request, world_.instant());
      if (absl::IsFailedPrecondition(reply.status()) && !final) return;
      if (!reply.ok()) return;
      uint64_t& newest = world_.acknowledged_checkpoint[weights.uid];
      if (c.Get(kJob)->spec().seed() == weights.uid) newest = std::max(newest, request.step());
      if (!final) return;
      world_.ToWorker(t->name, [this, t, run] {
        In(t, 0, [this, t, run] {
          if (!t->running || t->run != run) return;
          t->final_checkpoint_done = true;
          EndRun(t, TrainerProtocol::RunEnd::kStopped, "");
        });
      });
    });
    In(t, 0.5, [this, t, run, weights, final] {
      if (final || p(t).applied_step() < weights.steps + 3) {
        WriteCheckpoint(t, run, weights, final);
      }
    });
  }

  void Finish(const std::shared_ptr<Trainer>& t) {
    if (t->ending) return;
    t->ending = true;
    if (p(t).run().rank != 0) {
      EndRun(t, TrainerProtocol::RunEnd::kStopped, "");
      return;
    }
    ReportSteps(t, t->run);
    WriteCheckpoint(t, t->run, t->weights, true);
  }

  // --- Packers.
  void StartPacker(const std::string& name) {
    auto packer = std::make_shared<Packer>();
    packer->name = name;
    packer->incarnation = ++incarnations_;
    packer->tidy = world_.Chance(0.7);
    packers_[name] = packer;
    RegisterPacker(packer);
    Beat(packer);
    Ask(packer);
  }

  void RegisterPacker(const std::shared_ptr<Packer>& w) {
    v1::RegisterRequest request;
    *request.mutable_worker() = Id(*w);
    request.set_role(v1::PACKER);
    world_.ToCoordinator(w->name, [this, w, request](Coordinator& c) {
      const auto reply = c.Register(request, world_.instant());
      if (!reply.ok()) return;
      world_.ToWorker(w->name, [this, w, incarnation = reply->coordinator_incarnation()] {
        In(w, 0, [w, incarnation] {
          if (w->coordinator != incarnation && w->tidy) w->leases.clear();
          w->coordinator = incarnation;
        });
      });
    });
  }

  void Beat(const std::shared_ptr<Packer>& w) {
    In(w, 0.2 + 0.1 * world_.Uniform(), [this, w] {
      v1::WorkerReport report;
      *report.mutable_worker() = Id(*w);
      report.set_sequence(++w->sequence);
      for (const auto& [epoch, lease] : w->leases) report.add_lease_epochs(epoch);
      world_.ToCoordinator(w->name, [this, w, report](Coordinator& c) {
        if (!absl::IsNotFound(c.OnReport(report, world_.instant()))) return;
        world_.ToWorker(w->name, [this, w] { In(w, 0, [this, w] { RegisterPacker(w); }); });
      });
      Beat(w);
    });
    // The push stream: opened again whenever it broke.
    if (w->stream == 0) OpenPush(w);
  }

  void OpenPush(const std::shared_ptr<Packer>& w) {
    world_.ToCoordinator(w->name, [this, w](Coordinator& c) {
      const auto stream = c.OpenPush(Id(*w), world_.instant());
      if (!stream.ok()) return;
      w->stream = *stream;
      Pump(w, *stream, world_.life);
    });
  }

  // The coordinator's end of a push stream.
  void Pump(const std::shared_ptr<Packer>& w, uint64_t stream, uint64_t life) {
    world_.After(0.05, [this, w, stream, life] {
      if (world_.coordinator == nullptr || world_.life != life) {
        if (w->stream == stream) w->stream = 0;
        return;
      }
      const bool breaks = !w->up || world_.Lost(w->name, false);
      if (breaks || w->stream != stream) {
        if (w->stream == stream) w->stream = 0;
        world_.coordinator->ClosePush(Id(*w), stream);
        world_.AfterCall();
        return;
      }
      const auto reply = world_.coordinator->NextGrants(Id(*w), stream, world_.instant());
      world_.AfterCall();
      if (!reply.ok()) {
        if (w->stream == stream) w->stream = 0;
        return;
      }
      if (reply->grants_size() > 0 || reply->released_size() > 0) {
        world_.After(world_.Delay(), [this, w, stream, r = *reply] {
          In(w, 0, [this, w, stream, r] { OnGrants(w, stream, r); });
        });
      }
      Pump(w, stream, life);
    });
  }

  void OnGrants(const std::shared_ptr<Packer>& w, uint64_t stream, const v1::PushReply& reply) {
    for (uint64_t epoch : reply.released()) w->leases.erase(epoch);
    double delay = std::max(0.0, w->slow_until - world_.now());
    for (const auto& grant : reply.grants()) {
      auto lease = w->leases.find(grant.lease_epoch());
      if (lease == w->leases.end()) continue;
      Oracle* oracle = world_.FindOracle(lease->second.spec().seed());
      for (uint32_t index : grant.indexes()) {
        v1::PackHeader header;
        header.set_job(kJob);
        header.set_window(lease->second.window());
        header.set_index(index);
        header.set_lease_epoch(grant.lease_epoch());
        header.set_content_hash(oracle->Hash(lease->second.window(), index));
        header.set_examples(1);
        header.set_valid_examples(1);
        header.set_image_tokens(8 + header.content_hash() % 9);
        header.set_capacity_tokens(16);
        header.set_sum_squares(header.content_hash() % 256);
        const uint64_t most = MaxFrameBytes(oracle->spec);
        const uint64_t bytes = most - header.content_hash() % (most / 2);
        delay += 0.01 * world_.Uniform();
        In(w, delay, [this, w, stream, header, bytes] {
          if (world_.Lost(w->name, true)) {
            if (w->stream == stream) w->stream = 0;  // A lost frame is a broken stream.
            return;
          }
          world_.After(world_.Delay(), [this, w, header, bytes] {
            if (world_.coordinator == nullptr) return;
            const auto verdict =
                world_.coordinator->OnPack(Id(*w), header, bytes, world_.instant());
            if (absl::IsDataLoss(verdict.status())) {
              world_.Violate(absl::StrCat("I1: ", verdict.status().ToString()));
            }
            for (const PackKey& key : world_.coordinator->TakeDropped()) world_.relay.erase(key);
            if (verdict.ok() && verdict->keep) {
              world_.relay[verdict->key] = {header.content_hash(), bytes};
            }
            world_.AfterCall();
          });
        });
      }
    }
  }

  void Ask(const std::shared_ptr<Packer>& w) {
    In(w, 0.05 + 0.1 * world_.Uniform(), [this, w] {
      world_.ToCoordinator(w->name, [this, w](Coordinator& c) {
        const auto work = c.LeaseWork(Id(*w), world_.instant());
        if (!work.ok() || work->lease_epoch() == 0) return;
        world_.ToWorker(w->name, [this, w, work = *work] {
          In(w, 0.05 * world_.Uniform(), [this, w, work] { Work(w, work); });
        });
      });
      Ask(w);
    });
  }

  void Work(const std::shared_ptr<Packer>& w, const v1::Work& work) {
    v1::FinishWorkRequest request;
    *request.mutable_worker() = Id(*w);
    request.set_lease_epoch(work.lease_epoch());
    if (world_.faulty() && world_.Chance(0.03)) {
      request.mutable_failure()->set_message("drawn read error");
    } else if (work.has_expand_shards()) {
      for (int i = 0; i < 3; ++i) request.mutable_shards()->add_train(absl::StrCat("s", i));
      request.mutable_shards()->add_train_datasets(3);
    } else if (work.has_index_shard()) {
      request.mutable_shard()->set_path(work.index_shard().shard());
      request.mutable_shard()->set_samples(40);
    } else {
      Oracle* oracle = world_.FindOracle(work.window().spec().seed());
      request.mutable_plan()->set_packs(oracle->Packs(work.window().window()));
      request.mutable_plan()->set_digest(oracle->PlanDigest(work.window().window()));
      request.mutable_plan()->set_plan_version(1);
      w->leases[work.lease_epoch()] = work.window();
    }
    Finish(w, request, std::make_shared<bool>(false));
  }

  // Repeated until it is answered.
  void Finish(const std::shared_ptr<Packer>& w, const v1::FinishWorkRequest& request,
              const std::shared_ptr<bool>& answered) {
    if (*answered) return;
    world_.ToCoordinator(w->name, [this, w, request, answered](Coordinator& c) {
      const absl::Status status = c.FinishWork(request, world_.instant());
      if (!status.ok() && !absl::IsFailedPrecondition(status)) return;
      world_.ToWorker(w->name, [w, request, answered, void_lease = !status.ok()] {
        *answered = true;
        if (void_lease && w->tidy) w->leases.erase(request.lease_epoch());
      });
    });
    In(w, 0.5, [this, w, request, answered] { Finish(w, request, answered); });
  }

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

}  // namespace

SimResult Simulate(const SimOptions& options) { return Sim(options).Run(); }

}  // namespace navit::sim
