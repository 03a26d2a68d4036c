// The coordinator's three gRPC services. Each method decodes, calls core, maps the status.
#ifndef NAVIT_SERVER_SERVICES_SERVICES_H_
#define NAVIT_SERVER_SERVICES_SERVICES_H_

#include <memory>

#include "common/object_store/object_store.h"
#include "server/host.h"
#include "server/logs/job_logs.h"
#include "server/metrics.h"
#include "server/telemetry/telemetry_book.h"

namespace grpc {
class Service;
}  // namespace grpc

namespace navit {

// The pointers must outlive the services. `store`: where tokenizers are read at submit.
std::unique_ptr<grpc::Service> MakeJobsService(CoordinatorHost* host, ServerMetrics* metrics,
                                               TelemetryBook* telemetry, JobLogs* logs,
                                               std::shared_ptr<ObjectStore> store);
std::unique_ptr<grpc::Service> MakeFleetService(CoordinatorHost* host, ServerMetrics* metrics,
                                                TelemetryBook* telemetry, JobLogs* logs);
std::unique_ptr<grpc::Service> MakeBatchesService(CoordinatorHost* host, ServerMetrics* metrics);

}  // namespace navit

#endif  // NAVIT_SERVER_SERVICES_SERVICES_H_
