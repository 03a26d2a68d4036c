#include "server/standby.h"

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <map>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/metrics.h"
#include "common/status_macros.h"

namespace navit {

// Refuses every call, whatever its method.
class Standby::Refusal : public grpc::CallbackGenericService {
 public:
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext*) override {
    class Refused : public grpc::ServerGenericBidiReactor {
     public:
      explicit Refused(const std::string& message) {
        Finish({grpc::StatusCode::UNAVAILABLE, message});
      }
      void OnDone() override { delete this; }
    };
    return new Refused(Message());
  }

  void SetReason(const std::string& reason) {
    absl::MutexLock lock(&mutex_);
    reason_ = reason;
  }
  std::string Message() const {
    absl::MutexLock lock(&mutex_);
    return absl::StrCat("this coordinator stands by: ", reason_);
  }

 private:
  mutable absl::Mutex mutex_;
  std::string reason_ ABSL_GUARDED_BY(mutex_) = "it has just started";
};

absl::StatusOr<std::unique_ptr<Standby>> Standby::Start(GrpcServerOptions grpc,
                                                        const std::string& listen_http,
                                                        const ServerMetrics* counted) {
  std::unique_ptr<Standby> standby(new Standby);
  Refusal* const refusal = standby->refusal_.get();
  grpc.serving = false;
  grpc.other_calls = refusal;
  NAVIT_ASSIGN_OR_RETURN(standby->grpc_, GrpcServer::Start(grpc, {}));
  std::map<std::string, HttpHandler> routes;
  routes["/*"] = [refusal](const HttpRequest&) {
    return HttpResponse{503, "text/plain; charset=utf-8", refusal->Message() + "\n"};
  };
  routes["/metrics"] = MetricsRoute("coordinator", std::make_shared<StandbyMetrics>(counted));
  NAVIT_ASSIGN_OR_RETURN(standby->http_, HttpServer::Start(listen_http, std::move(routes)));
  return standby;
}

Standby::Standby() : refusal_(std::make_unique<Refusal>()) {}

Standby::~Standby() {
  // Clients that watch the health would hold it up.
  if (grpc_ != nullptr) grpc_->Shutdown(absl::ZeroDuration());
}

void Standby::SetReason(const std::string& reason) { refusal_->SetReason(reason); }

}  // namespace navit
