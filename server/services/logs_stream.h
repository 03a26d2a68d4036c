// The stream of Jobs.Logs.
#ifndef NAVIT_SERVER_SERVICES_LOGS_STREAM_H_
#define NAVIT_SERVER_SERVICES_LOGS_STREAM_H_

#include "proto/jobs.grpc.pb.h"
#include "server/logs/job_logs.h"
#include "server/services/calls.h"

namespace navit {

// Lines that are kept, then, with `follow`, those that come, until two seconds after the job's end:
// the last words of its workers arrive behind it. NOT_FOUND: no such job; INVALID_ARGUMENT: tail.
grpc::ServerWriteReactor<v1::LogsReply>* StartLogsStream(const ServiceContext& context,
                                                         grpc::CallbackServerContext* call,
                                                         const v1::LogsRequest& request,
                                                         const JobLogs* logs);

}  // namespace navit

#endif  // NAVIT_SERVER_SERVICES_LOGS_STREAM_H_
