#include "worker/step_reporter.h"

#include <utility>
#include <vector>

namespace navit {

StepReporter::StepReporter(uint64_t generation, ProtocolCell* cell, RunClient* client,
                           std::function<void()> on_failure)
    : generation_(generation),
      cell_(cell),
      client_(client),
      on_failure_(std::move(on_failure)),
      thread_([this] { Loop(); }) {}

StepReporter::~StepReporter() { Stop(); }

void StepReporter::Stop() {
  stopped_ = true;
  cell_->Wake();
  if (thread_.joinable()) thread_.join();
}

absl::Status StepReporter::status() const {
  absl::MutexLock lock(&mutex_);
  return status_;
}

void StepReporter::Loop() {
  const auto over = [this] { return stopped_ || client_->cancelled(); };
  while (true) {
    std::vector<v1::StepReport> reports;
    cell_->Await([&](const TrainerProtocol& protocol) {
      reports.assign(protocol.unacknowledged().begin(), protocol.unacknowledged().end());
      return !reports.empty() || over();
    });
    if (over()) return;
    const absl::Status status = client_->ReportSteps(reports);
    if (status.ok()) {
      cell_->Change([&](TrainerProtocol& protocol) {
        protocol.OnReportsAcknowledged(generation_, reports.back().step());
      });
      continue;
    }
    if (client_->cancelled()) return;
    {
      absl::MutexLock lock(&mutex_);
      status_ = status;
    }
    on_failure_();
    cell_->Wake();
    return;
  }
}

}  // namespace navit
