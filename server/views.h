// What people look at, put together from core and from what workers say of their own work: for the
// Jobs service and for the page.
#ifndef NAVIT_SERVER_VIEWS_H_
#define NAVIT_SERVER_VIEWS_H_

#include <string>

#include "absl/status/statusor.h"
#include "proto/jobs.pb.h"
#include "proto/page.pb.h"
#include "server/host.h"
#include "server/telemetry/telemetry_book.h"

namespace navit {

// NOT_FOUND: no such job.
absl::StatusOr<v1::TelemetryReply> TelemetryOf(const std::string& job, CoordinatorHost* host,
                                               const TelemetryBook& telemetry);

// At most 200 jobs and 500 workers.
v1::Overview OverviewOf(CoordinatorHost* host);

// Everything but the curve, which is long to make. NOT_FOUND: no such job.
absl::StatusOr<v1::JobPage> JobPageOf(const std::string& job, CoordinatorHost* host,
                                      const TelemetryBook& telemetry);

}  // namespace navit

#endif  // NAVIT_SERVER_VIEWS_H_
