// The coordinator's page: one HTML file that is part of the program, and the JSON that it asks for
// once a second. Needs neither Prometheus nor anything from elsewhere.
//
//   /                 the page
//   /api/overview     v1.Overview: jobs and workers
//   /api/jobs/NAME    v1.JobPage; 404 {"error": …} when there is no such job
#ifndef NAVIT_SERVER_PAGE_PAGE_ROUTES_H_
#define NAVIT_SERVER_PAGE_PAGE_ROUTES_H_

#include <map>
#include <string>

#include "common/http_server.h"
#include "server/host.h"
#include "server/telemetry/telemetry_book.h"

namespace navit {

// Both must outlive the routes.
std::map<std::string, HttpHandler> PageRoutes(CoordinatorHost* host,
                                              const TelemetryBook* telemetry);

}  // namespace navit

#endif  // NAVIT_SERVER_PAGE_PAGE_ROUTES_H_
