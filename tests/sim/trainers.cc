// Trainers of the simulation: sessions, generations, steps and a model of the collectives.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "server/core/limits.h"
#include "tests/sim/fleet.h"

namespace navit::sim {

namespace {
constexpr double kCollectiveSeconds = 3;
}  // namespace

void Sim::StartTrainer(const std::string& name) {
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

void Sim::RegisterTrainer(const std::shared_ptr<Trainer>& t) {
  v1::RegisterRequest request;
  *request.mutable_worker() = Id(*t);
  request.set_role(v1::TRAINER);
  world_.ToCoordinator(
      t->name, [this, request](Coordinator& c) { (void)c.Register(request, world_.instant()); });
}

void Sim::Heartbeat(const std::shared_ptr<Trainer>& t) {
  In(t, 0.2 + 0.1 * world_.Uniform(), [this, t] {
    SendReport(t);
    Heartbeat(t);
  });
}

void Sim::SendReport(const std::shared_ptr<Trainer>& t) {
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

void Sim::Act(const std::shared_ptr<Trainer>& t) {
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

Communicator& Sim::Comm(const Trainer& t) {
  const TrainerProtocol::Run& run = t.protocol->run();
  return communicators_[{run.job.job_uid(), run.generation}];
}

void Sim::AbortRun(Trainer& t) {
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

void Sim::EndRun(const std::shared_ptr<Trainer>& t, TrainerProtocol::RunEnd end,
                 const std::string& why) {
  if (!t->running) return;
  AbortRun(*t);
  t->protocol->OnRunEnded(end, why);
  SendReport(t);
  Act(t);
}

void Sim::StartRun(const std::shared_ptr<Trainer>& t) {
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

void Sim::Step(const std::shared_ptr<Trainer>& t) {
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

void Sim::Pull(const std::shared_ptr<Trainer>& t, uint64_t run, uint64_t step) {
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

void Sim::Contribute(const std::shared_ptr<Trainer>& t, uint64_t run, uint64_t step,
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

void Sim::Apply(const std::shared_ptr<Trainer>& t, uint64_t run, uint64_t step, uint64_t digest,
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

void Sim::ReportSteps(const std::shared_ptr<Trainer>& t, uint64_t run) {
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

void Sim::WriteCheckpoint(const std::shared_ptr<Trainer>& t, uint64_t run, Weights weights,
                          bool final) {
  if (!t->running || t->run != run || (final && t->final_checkpoint_done)) return;
  if (!final && t->checkpoints_asked.count(weights.steps) > 20) return;
  v1::CommitCheckpointRequest request;
  *request.mutable_worker() = Id(*t);
  request.set_job(kJob);
  request.set_generation(p(t).run().generation);
  request.set_step(weights.steps);
  request.set_path(absl::StrCat("/c/", weights.uid, "/", request.generation(), "-", weights.steps));
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

void Sim::Finish(const std::shared_ptr<Trainer>& t) {
  if (t->ending) return;
  t->ending = true;
  if (p(t).run().rank != 0) {
    EndRun(t, TrainerProtocol::RunEnd::kStopped, "");
    return;
  }
  ReportSteps(t, t->run);
  WriteCheckpoint(t, t->run, t->weights, true);
}

}  // namespace navit::sim
