// The run of a simulation: what the user does, and the faults that are drawn.
#include "tests/sim/simulator.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "server/core/limits.h"
#include "tests/sim/fleet.h"

namespace navit::sim {

SimResult Sim::Run() {
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

v1::JobSpec Sim::MakeSpec() {
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
  spec.mutable_workers()->mutable_packers()->set_max(1 + world_.Draw() % 3);
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

void Sim::User() {
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

void Sim::CheckResult(const v1::Job& job) {
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

void Sim::Fault() {
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

void Sim::Crash(Trainer& t) {
  if (!t.up) return;
  t.up = false;
  ++world_.result.worker_crashes;
  AbortRun(t);
  world_.After(0.1 + 3 * world_.Uniform(), [this, name = t.name] { StartTrainer(name); });
}

SimResult Simulate(const SimOptions& options) { return Sim(options).Run(); }

}  // namespace navit::sim
