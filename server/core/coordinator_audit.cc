// Audits: started by people, done by packers.
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "server/core/coordinator_impl.h"

namespace navit {

absl::StatusOr<uint64_t> Coordinator::Impl::StartAudit(const v1::AuditRequest& request) {
  NAVIT_RETURN_IF_ERROR(CheckHealthy());
  const JobState* job = state_.Find(request.name());
  if (job == nullptr) return absl::NotFoundError(absl::StrCat("no job ", request.name()));
  if (workers_.Live(v1::PACKER).empty()) {
    return absl::UnavailableError("an audit needs a packer, and none is registered");
  }
  NAVIT_ASSIGN_OR_RETURN(Audit audit,
                         Audit::Start(*job, request.first_step(), request.last_step()));
  const uint64_t number = next_audit_++;
  audits_.emplace(number, std::move(audit));
  Changed();
  return number;
}

std::optional<absl::StatusOr<v1::AuditReply>> Coordinator::Impl::AuditResult(uint64_t number) {
  auto it = audits_.find(number);
  if (it == audits_.end()) {
    return absl::StatusOr<v1::AuditReply>(absl::NotFoundError("no such audit"));
  }
  std::optional<absl::StatusOr<v1::AuditReply>> result = it->second.Result();
  if (result.has_value()) DropAudit(number);
  return result;
}

void Coordinator::Impl::DropAudit(uint64_t number) {
  auto it = audits_.find(number);
  if (it == audits_.end()) return;
  const std::string job = it->second.job();
  audits_.erase(it);
  for (uint64_t epoch : leases_.OfJob(job)) {
    if (leases_.Find(epoch)->item.audit == number) ReleaseLease(epoch);
  }
}

}  // namespace navit
