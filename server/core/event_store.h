// Where the coordinator's events become durable.
#ifndef NAVIT_SERVER_CORE_EVENT_STORE_H_
#define NAVIT_SERVER_CORE_EVENT_STORE_H_

#include <functional>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "proto/events.pb.h"

namespace navit {

// An append-only list of events with one writer. Calls come from one thread at a time.
class EventStore {
 public:
  virtual ~EventStore() = default;

  // Calls `apply` on every stored event in the order of Append, and ends with the first error of
  // `apply`. Any other error means that the store cannot be read as it was written: the coordinator
  // must not start. Called once, before the first Append.
  virtual absl::Status Load(const std::function<absl::Status(const v1::Event&)>& apply) = 0;

  // Stores all of `events` or none, in order, and returns once they are durable. INVALID_ARGUMENT:
  // they are larger than the store takes at once; nothing was stored, and the store goes on. After
  // any other error it is unknown whether they were stored: the caller must write no more and start
  // again from Load.
  //
  // A JobDeleted event ends what is needed of its job: the store may drop all earlier events of
  // that job, but keeps the JobDeleted itself.
  virtual absl::Status Append(absl::Span<const v1::Event> events) = 0;
};

}  // namespace navit

#endif  // NAVIT_SERVER_CORE_EVENT_STORE_H_
