// Events for tests of stores, and what a store holds.
#ifndef NAVIT_SERVER_STORE_TEST_EVENTS_H_
#define NAVIT_SERVER_STORE_TEST_EVENTS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/events.pb.h"
#include "server/core/event_store.h"

namespace navit {

inline v1::Event StateEvent(const std::string& job, const std::string& reason) {
  v1::Event event;
  event.set_job(job);
  event.mutable_job_state_changed()->set_state(v1::RUNNING);
  event.mutable_job_state_changed()->set_reason(reason);
  return event;
}

inline v1::Event ManifestEvent(const std::string& job, const std::string& hash) {
  v1::Event event;
  event.set_job(job);
  event.mutable_manifest_frozen()->set_hash(hash);
  event.mutable_manifest_frozen()->mutable_manifest()->set_train_samples(785);
  event.mutable_manifest_frozen()->mutable_manifest()->add_train()->set_path("/data/a.tar");
  return event;
}

inline v1::Event Deleted(const std::string& job) {
  v1::Event event;
  event.set_job(job);
  event.mutable_job_deleted()->set_request_id("d");
  return event;
}

inline std::vector<std::string> Strings(const std::vector<v1::Event>& events) {
  std::vector<std::string> strings;
  for (const v1::Event& event : events) strings.push_back(event.DebugString());
  return strings;
}

// Debug strings of all stored events in order.
inline absl::StatusOr<std::vector<std::string>> StoredEvents(EventStore* store) {
  std::vector<std::string> events;
  const absl::Status status = store->Load([&](const v1::Event& event) {
    events.push_back(event.DebugString());
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return events;
}

}  // namespace navit

#endif  // NAVIT_SERVER_STORE_TEST_EVENTS_H_
