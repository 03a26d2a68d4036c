#include "worker/batch_source.h"

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/backoff.h"
#include "common/clock.h"
#include "common/grpc_status.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "proto/batches.grpc.pb.h"
#include "worker/pack_check.h"

namespace navit {
namespace {

absl::Duration Now() { return Clock::Real()->SteadyNow(); }

// A wait this long is said in the log, once per so much time.
constexpr absl::Duration kLongWait = absl::Seconds(30);

// As the coordinator counts them: whole frames.
uint64_t PackBytes(const StepPacks& step) {
  uint64_t bytes = 0;
  for (const v1::Frame& pack : step.packs) bytes += pack.ByteSizeLong();
  return bytes;
}

// The packs of a message, moved out of it: those of its list, or the one that it is.
std::vector<v1::Frame> TakeFrames(v1::PullReply* reply) {
  std::vector<v1::Frame> frames;
  if (reply->has_header()) {
    v1::Frame& frame = frames.emplace_back();
    frame.mutable_header()->Swap(reply->mutable_header());
    frame.set_payload(std::move(*reply->mutable_payload()));
  }
  for (v1::Frame& frame : *reply->mutable_frames()) frames.push_back(std::move(frame));
  return frames;
}

}  // namespace

class BatchSource::Impl {
 public:
  Impl(RunClient* client, const BatchSourceOptions& options)
      : client_(client),
        options_(options),
        fetcher_(client, options.packers),
        next_step_(options.first_step) {
    thread_ = std::thread([this] { Run(); });
  }

  ~Impl() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
      if (context_ != nullptr) context_->TryCancel();
      changed_.notify_all();
    }
    thread_.join();
  }

  absl::StatusOr<std::optional<StepPacks>> Next(uint64_t step) {
    std::unique_lock<std::mutex> lock(mutex_);
    absl::Duration waited = absl::ZeroDuration();
    while (queue_.empty() && !ended_) {
      if (changed_.wait_for(lock, absl::ToChronoNanoseconds(kLongWait),
                            [this] { return !queue_.empty() || ended_; })) {
        break;
      }
      waited += kLongWait;
      NAVIT_LOG(WARNING) << "waiting for the packs of step " << step << " for "
                         << absl::FormatDuration(waited) << ": "
                         << (stream_ == nullptr ? "no stream to the coordinator"
                                                : "the coordinator has not dealt them");
    }
    if (queue_.empty()) {
      if (!end_status_.ok()) return end_status_;
      return std::optional<StepPacks>();
    }
    if (queue_.front().deal.step() != step) {
      return absl::InternalError(
          absl::StrCat("step ", queue_.front().deal.step(), " came where ", step, " is due"));
    }
    return std::optional<StepPacks>(Pop());
  }

  std::optional<StepPacks> TakeIfHere(uint64_t step) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (queue_.empty() || queue_.front().deal.step() != step) return std::nullopt;
    return Pop();
  }

  Queued queued() const {
    std::lock_guard<std::mutex> lock(mutex_);
    Queued queued = {0, queued_bytes_, options_.credit_bytes};
    for (const StepPacks& step : queue_) queued.packs += step.packs.size();
    return queued;
  }

 private:
  using Stream = grpc::ClientReaderWriter<v1::PullRequest, v1::PullReply>;

  void Run() {
    auto stub = v1::Batches::NewStub(client_->channel());
    Backoff backoff({}, SystemUniform(), Now() + client_->options().grace);
    while (true) {
      bool progress = false;
      const absl::Status status = ReadStream(stub.get(), &progress);
      if (progress) backoff.Reset(Now() + client_->options().grace);
      if (status.ok() || client_->cancelled() || Stopping() || !IsTransientCallError(status)) {
        End(client_->cancelled() ? absl::CancelledError("Batches.Pull: the run ended") : status);
        return;
      }
      const std::optional<absl::Duration> delay = backoff.Next(Now());
      if (!delay) {
        End(status);
        return;
      }
      NAVIT_LOG(INFO) << status.message() << "; opening the stream again at step " << next_step_;
      client_->Wait(*delay);
    }
  }

  // Reads until the stream ends. `*progress`: something came.
  absl::Status ReadStream(v1::Batches::Stub* stub, bool* progress) {
    grpc::ClientContext context;
    RunClient::CancellableCall cancellable(client_, &context);
    std::unique_ptr<Stream> stream = stub->Pull(&context);
    v1::PullRequest open;
    *open.mutable_open()->mutable_worker() = client_->options().worker;
    open.mutable_open()->set_job(client_->options().job);
    open.mutable_open()->set_generation(client_->options().generation);
    open.mutable_open()->set_rank(options_.rank);
    open.mutable_open()->set_first_step(next_step_);
    open.mutable_open()->set_takes_frames(true);
    open.mutable_open()->set_takes_sources(true);
    for (const std::string& address : fetcher_.failed()) {
      open.mutable_open()->add_failed_sources(address);
    }
    {
      std::lock_guard<std::mutex> lock(mutex_);
      // What waits here was not given back yet; the coordinator sends at least one step anyway.
      open.set_credit_bytes(
          queued_bytes_ < options_.credit_bytes ? options_.credit_bytes - queued_bytes_ : 0);
      stream->Write(open);
      stream_ = stream.get();
      context_ = &context;
      if (stopping_) context.TryCancel();
    }
    absl::Status fault;
    StepPacks step;
    v1::PullReply reply;
    while (fault.ok() && stream->Read(&reply)) {
      *progress = true;
      fault = Take(&reply, &step);
    }
    if (!fault.ok()) context.TryCancel();
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stream_ = nullptr;
      context_ = nullptr;
    }
    const absl::Status status = FromGrpcStatus(stream->Finish(), "Batches.Pull");
    if (!fault.ok()) return fault;
    if (status.ok() && step.deal.step() != 0) {
      return absl::UnavailableError("Batches.Pull: the stream ended within a step");
    }
    return status;
  }

  // One message of the stream; `*step` is the step under way.
  absl::Status Take(v1::PullReply* reply, StepPacks* step) {
    if (reply->has_deal()) {
      if (step->deal.step() != 0) {
        return absl::InternalError(
            absl::StrCat("a deal came before all packs of step ", step->deal.step()));
      }
      if (reply->deal().step() != next_step_ ||
          options_.rank >= static_cast<uint32_t>(reply->deal().ranks_size())) {
        return absl::InternalError(absl::StrCat("the deal of step ", reply->deal().step(), " for ",
                                                reply->deal().ranks_size(),
                                                " ranks came where step ", next_step_, " is due"));
      }
      step->deal = std::move(*reply->mutable_deal());
    }
    for (v1::Frame& pack : TakeFrames(reply)) {
      if (step->deal.step() == 0) return absl::InternalError("a pack came before its step's deal");
      step->packs.push_back(std::move(pack));
    }
    if (step->deal.step() == 0) return absl::InternalError("an empty message came");
    const int wanted = step->deal.ranks(options_.rank).ordinals_size();
    if (static_cast<int>(step->packs.size()) < wanted) return absl::OkStatus();
    if (static_cast<int>(step->packs.size()) > wanted) {
      return absl::InternalError(absl::StrCat("more packs came than the deal of step ",
                                              step->deal.step(), " gives this rank"));
    }
    for (const v1::Frame& pack : step->packs) {
      if (!pack.has_source()) NAVIT_RETURN_IF_ERROR(CheckPack(pack, v1::SPLIT_TRAIN));
    }
    // A packer that cannot give its packs is named when the stream is opened again.
    NAVIT_RETURN_IF_ERROR(fetcher_.Fetch(&step->packs));
    std::lock_guard<std::mutex> lock(mutex_);
    queued_bytes_ += PackBytes(*step);
    queue_.push_back(std::move(*step));
    *step = StepPacks();
    ++next_step_;
    changed_.notify_all();
    return absl::OkStatus();
  }

  // The first step that waits here. Requires mutex_.
  StepPacks Pop() {
    StepPacks packs = std::move(queue_.front());
    queue_.pop_front();
    const uint64_t bytes = PackBytes(packs);
    queued_bytes_ -= bytes;
    if (stream_ != nullptr && bytes > 0) {
      v1::PullRequest credit;
      credit.set_credit_bytes(bytes);
      // A failed write means a broken stream: the reader opens the next one with all its credit.
      stream_->Write(credit);
    }
    return packs;
  }

  bool Stopping() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return stopping_;
  }

  void End(const absl::Status& status) {
    std::lock_guard<std::mutex> lock(mutex_);
    ended_ = true;
    end_status_ = status;
    changed_.notify_all();
  }

  RunClient* const client_;
  const BatchSourceOptions options_;
  // Of the reading thread.
  PackFetcher fetcher_;

  // Of the reading thread: the first step that is not whole here.
  uint64_t next_step_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // All below guarded by mutex_.
  std::deque<StepPacks> queue_;
  uint64_t queued_bytes_ = 0;
  // The open stream: written to by whoever holds the mutex, read by the reading thread.
  Stream* stream_ = nullptr;
  grpc::ClientContext* context_ = nullptr;
  bool stopping_ = false;
  bool ended_ = false;
  absl::Status end_status_;

  std::thread thread_;
};

BatchSource::BatchSource(RunClient* client, const BatchSourceOptions& options)
    : impl_(std::make_unique<Impl>(client, options)) {}

BatchSource::~BatchSource() = default;

absl::StatusOr<std::optional<StepPacks>> BatchSource::Next(uint64_t step) {
  return impl_->Next(step);
}

std::optional<StepPacks> BatchSource::TakeIfHere(uint64_t step) { return impl_->TakeIfHere(step); }

BatchSource::Queued BatchSource::queued() const { return impl_->queued(); }

absl::Status PullEvaluation(RunClient* client, uint32_t rank, uint32_t world_size, v1::Split split,
                            const std::function<absl::Status(const v1::Frame&)>& take) {
  v1::PullEvaluationRequest request;
  *request.mutable_worker() = client->options().worker;
  request.set_job(client->options().job);
  request.set_generation(client->options().generation);
  request.set_rank(rank);
  request.set_world_size(world_size);
  request.set_split(split);
  auto stub = v1::Batches::NewStub(client->channel());
  Backoff backoff({}, SystemUniform(), Now() + client->options().grace);
  size_t taken = 0;
  while (true) {
    grpc::ClientContext context;
    absl::Status fault;
    absl::Status status;
    size_t place = 0;
    {
      RunClient::CancellableCall cancellable(client, &context);
      std::unique_ptr<grpc::ClientReader<v1::PullReply>> stream =
          stub->PullEvaluation(&context, request);
      v1::PullReply reply;
      while (fault.ok() && stream->Read(&reply)) {
        backoff.Reset(Now() + client->options().grace);
        for (const v1::Frame& pack : TakeFrames(&reply)) {
          // A stream that is opened again starts at the first pack.
          if (place++ < taken || !fault.ok()) continue;
          fault = CheckPack(pack, split);
          if (fault.ok()) fault = take(pack);
          ++taken;
        }
      }
      if (!fault.ok()) context.TryCancel();
      status = FromGrpcStatus(stream->Finish(), "Batches.PullEvaluation");
    }
    if (!fault.ok()) return fault;
    if (client->cancelled()) return absl::CancelledError("Batches.PullEvaluation: the run ended");
    if (status.ok() || !IsTransientCallError(status)) return status;
    const std::optional<absl::Duration> delay = backoff.Next(Now());
    if (!delay) return status;
    client->Wait(*delay);
  }
}

}  // namespace navit
