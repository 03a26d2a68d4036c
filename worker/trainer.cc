#include "worker/trainer.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/clock.h"
#include "common/grpc_channel.h"
#include "common/log.h"
#include "common/status_macros.h"

namespace navit {

using Todo = TrainerProtocol::Todo;

namespace {

// How long a trainer that is told to end tries to say so.
constexpr std::chrono::milliseconds kFarewell(3000);
constexpr absl::Duration kTelemetryEvery = absl::Seconds(1);

}  // namespace

absl::StatusOr<std::unique_ptr<Trainer>> Trainer::Start(TrainerOptions options) {
  std::unique_ptr<Trainer> trainer(new Trainer(std::move(options)));
  TrainerOptions& own = trainer->options_;
  own.run.worker = own.session.registration.worker();
  // Packs travel on a connection of their own; the session keeps one for heartbeats.
  NAVIT_ASSIGN_OR_RETURN(own.run.channel,
                         MakeChannel(own.session.coordinator, own.session.channel));
  NAVIT_ASSIGN_OR_RETURN(trainer->session_, WorkerSession::Start(own.session, trainer.get()));
  trainer->session_to_tell_ = trainer->session_.get();
  trainer->control_ = std::thread([raw = trainer.get()] { raw->Control(); });
  return trainer;
}

Trainer::Trainer(TrainerOptions options) : options_(std::move(options)) {}

Trainer::~Trainer() {
  if (session_ != nullptr) session_->Stop();
  stopping_ = true;
  cell_.Wake();
  if (control_.joinable()) control_.join();
}

void Trainer::ReportChanged() {
  // Null while the session is being made, whose first reports say everything anyway.
  if (WorkerSession* session = session_to_tell_; session != nullptr) session->ReportChanged();
}

void Trainer::Drain() {
  draining_ = true;
  {
    std::lock_guard<std::mutex> lock(run_mutex_);
    if (run_ != nullptr) run_->Drain();
  }
  ReportChanged();
  cell_.Wake();
}

void Trainer::CutOff() {
  session_->Stop();
  std::lock_guard<std::mutex> lock(run_mutex_);
  if (run_ != nullptr) run_->Cancel();
}

absl::Status Trainer::WaitUntilEnded() {
  std::unique_lock<std::mutex> lock(end_mutex_);
  end_signal_.wait(lock, [this] { return ended_; });
  return end_status_;
}

void Trainer::End(const absl::Status& status) {
  std::lock_guard<std::mutex> lock(end_mutex_);
  if (ended_) return;
  ended_ = true;
  end_status_ = status;
  end_signal_.notify_all();
}

void Trainer::OnDirective(const v1::Directive& directive) {
  const TrainerProtocol::Todo todo = cell_.Change([&](TrainerProtocol& protocol) {
    const v1::TrainerState::Kind before = protocol.State().kind();
    const uint64_t generation = protocol.State().generation();
    protocol.OnDirective(directive);
    const v1::TrainerState after = protocol.State();
    return after.kind() != before || after.generation() != generation ? Todo::kStartRun
                                                                      : Todo::kNothing;
  });
  if (todo != Todo::kNothing) ReportChanged();
}

v1::WorkerReport Trainer::BuildReport() {
  v1::WorkerReport report;
  *report.mutable_trainer() =
      cell_.Read([](const TrainerProtocol& protocol) { return protocol.State(); });
  v1::TrainerState* state = report.mutable_trainer();
  phases_.Fill(state);
  if (state->kind() == v1::TrainerState::BROKEN) {
    std::lock_guard<std::mutex> lock(bad_checkpoint_mutex_);
    state->set_bad_checkpoint(bad_checkpoint_);
  }
  report.set_draining(draining_);
  const absl::Duration now = Clock::Real()->SteadyNow();
  metrics_.ForgetEnded(now);
  // Reports also go out at every change; these numbers need not.
  if (state->kind() == v1::TrainerState::RUNNING && now - telemetry_sent_ >= kTelemetryEvery) {
    *report.mutable_trainer_telemetry() = metrics_.Telemetry();
    telemetry_sent_ = now;
  }
  return report;
}

void Trainer::OnReportSent(const v1::WorkerReport& report, absl::Duration /*sent_at*/) {
  if (report.draining() && report.trainer().kind() != v1::TrainerState::RUNNING) {
    drained_report_sent_ = true;
    cell_.Wake();
  }
}

void Trainer::OnEnded(const absl::Status& status) {
  End(status);
  stopping_ = true;
  cell_.Wake();
}

void Trainer::Control() {
  bool cancelled = false;
  while (true) {
    Todo todo = Todo::kNothing;
    cell_.Await([&](const TrainerProtocol& protocol) {
      todo = protocol.todo();
      if (stopping_ || (running_ && run_done_)) return true;
      if (!running_ && draining_) return true;
      if (todo == Todo::kStopRun) return running_ && !cancelled;
      return todo != Todo::kNothing && !running_;
    });
    if (running_ && run_done_) {
      FinishRun();
      cancelled = false;
      const absl::Status device = DeviceStatus();
      if (device.ok()) continue;
      // CUDA recovers from no error of queued work but by a new process.
      End(absl::InternalError(absl::StrCat("the GPU is lost to this process: ", device.message())));
      break;
    }
    if (stopping_ || todo == Todo::kExit) {
      if (running_) {
        run_->Cancel();
        run_thread_.join();
        running_ = false;
      }
      if (todo == Todo::kExit) End(absl::UnauthenticatedError("a newer process has this name"));
      break;
    }
    if (draining_ && !running_ && todo == Todo::kNothing) {
      // Ends once the coordinator was told, or is not there to be told.
      if (cell_.AwaitFor(kFarewell,
                         [&](const TrainerProtocol& protocol) {
                           return stopping_ || drained_report_sent_ ||
                                  protocol.todo() != Todo::kNothing;
                         }) &&
          !drained_report_sent_) {
        continue;
      }
      End(absl::OkStatus());
      break;
    }
    switch (todo) {
      case Todo::kStopRun:
        run_->Cancel();
        cancelled = true;
        break;
      case Todo::kStartRun:
        if (!draining_) {
          StartRun();
          break;
        }
        // A trainer that is to end starts nothing: to the coordinator the generation broke here.
        cell_.Change([](TrainerProtocol& protocol) {
          protocol.OnRunStarted();
          protocol.OnRunEnded(TrainerProtocol::RunEnd::kBroken, "this trainer was told to end");
        });
        ReportChanged();
        break;
      case Todo::kDropState: {
        {
          std::lock_guard<std::mutex> lock(run_mutex_);
          run_.reset();
        }
        model_.reset();
        cell_.Change([](TrainerProtocol& protocol) { protocol.OnStateDropped(); });
        ReportChanged();
        break;
      }
      default:
        break;
    }
  }
  std::lock_guard<std::mutex> lock(run_mutex_);
  run_.reset();
}

absl::Status Trainer::DeviceStatus() const {
  if (options_.run.accelerator == nullptr) return absl::OkStatus();
  return options_.run.accelerator->gpu.device->memory().status();
}

void Trainer::StartRun() {
  const TrainerProtocol::Run run = cell_.Change([](TrainerProtocol& protocol) {
    protocol.OnRunStarted();
    return protocol.run();
  });
  if (model_ == nullptr) {
    const absl::StatusOr<ModelConfig> config = ResolveModelConfig(
        run.job.spec().model(), run.job.spec().preprocess(), run.job.spec().loss());
    if (!config.ok()) {
      cell_.Change([&](TrainerProtocol& protocol) {
        protocol.OnRunEnded(TrainerProtocol::RunEnd::kFatal,
                            std::string(config.status().message()));
      });
      ReportChanged();
      return;
    }
    model_ = std::make_unique<TrainerModel>(*config, run.job.spec().optimizer().ema_decay() > 0);
  }
  {
    std::lock_guard<std::mutex> lock(run_mutex_);
    // Closes the connections of the generation before.
    run_.reset();
    run_ =
        std::make_unique<TrainingRun>(options_.run, run, model_.get(), &cell_, &phases_, &metrics_);
    if (draining_) run_->Drain();
  }
  running_ = true;
  run_done_ = false;
  run_thread_ = std::thread([this, job = run.job.job(), rank = static_cast<int>(run.rank)] {
    LogScope scope(job, rank);
    outcome_ = run_->Execute();
    if (outcome_.end != TrainerProtocol::RunEnd::kStopped) {
      NAVIT_LOG(WARNING) << "the generation ended here: " << outcome_.failure;
    }
    run_done_ = true;
    cell_.Wake();
  });
  ReportChanged();
}

void Trainer::FinishRun() {
  run_thread_.join();
  running_ = false;
  if (outcome_.end != TrainerProtocol::RunEnd::kStopped) {
    std::lock_guard<std::mutex> lock(run_mutex_);
    run_.reset();
  }
  {
    std::lock_guard<std::mutex> lock(bad_checkpoint_mutex_);
    bad_checkpoint_ = outcome_.bad_checkpoint;
  }
  drained_report_sent_ = false;
  cell_.Change(
      [&](TrainerProtocol& protocol) { protocol.OnRunEnded(outcome_.end, outcome_.failure); });
  ReportChanged();
}

}  // namespace navit
