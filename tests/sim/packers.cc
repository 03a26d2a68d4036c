// Packers of the simulation: leases, plans and packs.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "server/core/limits.h"
#include "tests/sim/fleet.h"

namespace navit::sim {

void Sim::StartPacker(const std::string& name) {
  auto packer = std::make_shared<Packer>();
  packer->name = name;
  packer->incarnation = ++incarnations_;
  packer->tidy = world_.Chance(0.7);
  packers_[name] = packer;
  RegisterPacker(packer);
  Beat(packer);
  Ask(packer);
}

void Sim::RegisterPacker(const std::shared_ptr<Packer>& w) {
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

void Sim::Beat(const std::shared_ptr<Packer>& w) {
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

void Sim::OpenPush(const std::shared_ptr<Packer>& w) {
  world_.ToCoordinator(w->name, [this, w](Coordinator& c) {
    const auto stream = c.OpenPush(Id(*w), world_.instant());
    if (!stream.ok()) return;
    w->stream = *stream;
    Pump(w, *stream, world_.life);
  });
}

void Sim::Pump(const std::shared_ptr<Packer>& w, uint64_t stream, uint64_t life) {
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

void Sim::OnGrants(const std::shared_ptr<Packer>& w, uint64_t stream, const v1::PushReply& reply) {
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
          const auto verdict = world_.coordinator->OnPack(Id(*w), header, bytes, world_.instant());
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

void Sim::Ask(const std::shared_ptr<Packer>& w) {
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

void Sim::Work(const std::shared_ptr<Packer>& w, const v1::Work& work) {
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

void Sim::Finish(const std::shared_ptr<Packer>& w, const v1::FinishWorkRequest& request,
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

}  // namespace navit::sim
