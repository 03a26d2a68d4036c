#include "server/core/worker_table.h"

#include "absl/strings/str_cat.h"

namespace navit {

absl::Status WorkerTable::Register(const v1::RegisterRequest& request, double now, bool* replaced) {
  *replaced = false;
  const std::string& name = request.worker().name();
  auto it = workers_.find(name);
  if (it != workers_.end()) {
    WorkerEntry& old = it->second;
    if (request.worker().incarnation() < old.incarnation()) {
      return absl::UnauthenticatedError(absl::StrCat("a newer process has the worker name ", name));
    }
    if (request.worker().incarnation() == old.incarnation()) {
      old.last_heard = now;
      old.lost = false;
      return absl::OkStatus();
    }
    *replaced = true;
    workers_.erase(it);
  }
  WorkerEntry entry;
  entry.registration = request;
  entry.last_heard = now;
  workers_.emplace(name, std::move(entry));
  return absl::OkStatus();
}

absl::Status WorkerTable::Check(const v1::WorkerId& worker, WorkerEntry** entry) {
  WorkerEntry* found = Find(worker.name());
  if (found == nullptr || worker.incarnation() > found->incarnation() || found->lost) {
    return absl::NotFoundError(absl::StrCat("worker ", worker.name(), " is not registered"));
  }
  if (worker.incarnation() < found->incarnation()) {
    return absl::UnauthenticatedError(
        absl::StrCat("a newer process has the worker name ", worker.name()));
  }
  *entry = found;
  return absl::OkStatus();
}

WorkerEntry* WorkerTable::Find(absl::string_view name) {
  auto it = workers_.find(name);
  return it == workers_.end() ? nullptr : &it->second;
}

const WorkerEntry* WorkerTable::Find(absl::string_view name) const {
  auto it = workers_.find(name);
  return it == workers_.end() ? nullptr : &it->second;
}

std::vector<const WorkerEntry*> WorkerTable::Live(v1::Role role) const {
  std::vector<const WorkerEntry*> live;
  for (const auto& [name, entry] : workers_) {
    if (entry.role() == role && entry.live()) live.push_back(&entry);
  }
  return live;
}

void WorkerTable::Forget(double before) {
  for (auto it = workers_.begin(); it != workers_.end();) {
    it = it->second.lost && it->second.last_heard < before ? workers_.erase(it) : std::next(it);
  }
}

}  // namespace navit
