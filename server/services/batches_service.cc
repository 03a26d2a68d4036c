#include <deque>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/frame_bytes.h"
#include "common/log.h"
#include "proto/batches.grpc.pb.h"
#include "server/relay/frame.h"
#include "server/relay/send_window.h"
#include "server/services/calls.h"
#include "server/services/services.h"

namespace navit {
namespace {

using grpc::ByteBuffer;
using BytesStream = ServerStream<grpc::ServerBidiReactor<ByteBuffer, ByteBuffer>>;

constexpr absl::Duration kFirstMessageWithin = absl::Seconds(10);
// Messages of the relay that are not frames: opens and credits.
constexpr size_t kMaxControlBytes = 64 << 10;

template <typename Message>
absl::Status Parse(ByteBuffer* bytes, Message* message) {
  if (bytes->Length() > kMaxControlBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a ", bytes->Length(), "-byte message where a small one must stand"));
  }
  if (!grpc::SerializationTraits<Message>::Deserialize(bytes, message).ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("message is not a ", Message::descriptor()->name()));
  }
  return absl::OkStatus();
}

class PushStream : public BytesStream {
 public:
  PushStream(const ServiceContext& context, grpc::CallbackServerContext* call)
      : ServerStream(context, call, "Batches.Push"), opened_at_(context.host->SteadyNow()) {
    StartRead(&in_);
  }

  void OnReadDone(bool ok) override {
    absl::MutexLock lock(&mutex_);
    if (ending()) return;
    if (!ok) return End(absl::OkStatus());
    const absl::Status status = stream_ == 0 ? Open() : TakeFrames();
    if (!status.ok()) return End(status);
    in_.Clear();
    Continue();
    if (!ending()) StartRead(&in_);
  }

 private:
  absl::Status Open() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    v1::PushRequest request;
    const absl::Status parsed = Parse(&in_, &request);
    if (!parsed.ok()) return parsed;
    if (request.worker().name().empty()) {
      return absl::InvalidArgumentError("worker: the first message of Push must name it");
    }
    worker_ = request.worker();
    const absl::StatusOr<uint64_t> stream = host()->Call(
        [&](Coordinator& core, PackBytes&, Instant now) { return core.OpenPush(worker_, now); });
    if (stream.ok()) stream_ = *stream;
    return stream.status();
  }

  absl::Status TakeFrames() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const absl::StatusOr<std::vector<ReceivedFrame>> frames = ReadFrames(in_);
    if (!frames.ok()) return frames.status();
    metrics()->AddRelayBytesIn(in_.Length());
    return host()->Call([&](Coordinator& core, PackBytes& packs, Instant now) {
      for (const ReceivedFrame& frame : *frames) {
        const absl::Status status = TakeFrame(frame, core, packs, now);
        if (!status.ok()) return status;
      }
      return absl::OkStatus();
    });
  }

  absl::Status TakeFrame(const ReceivedFrame& frame, Coordinator& core, PackBytes& packs,
                         Instant now) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    const absl::StatusOr<PackVerdict> verdict =
        core.OnPack(worker_, frame.header, frame.whole_bytes, now, frame.direct);
    // Room is made before the bytes are stored.
    CoordinatorHost::DropNamed(&core, &packs);
    if (verdict.ok() && verdict->keep) packs.Put(verdict->key, frame.bytes);
    const absl::Status& status = verdict.status();
    // A void lease costs the frame, different bytes cost the job; the stream goes on.
    if (absl::IsDataLoss(status)) {
      NAVIT_LOG(ERROR) << "pack from " << worker_.name() << ": " << status.message();
    }
    return absl::IsFailedPrecondition(status) || absl::IsDataLoss(status) ? absl::OkStatus()
                                                                          : status;
  }

  void Continue() override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing()) return;
    if (stream_ == 0) {
      if (host()->SteadyNow() - opened_at_ > kFirstMessageWithin) {
        End(absl::InvalidArgumentError("no first message came on the stream"));
      }
      return;
    }
    const absl::StatusOr<v1::PushReply> reply =
        host()->Call([&](Coordinator& core, PackBytes&, Instant now) {
          return core.NextGrants(worker_, stream_, now);
        });
    if (!reply.ok()) return End(reply.status());
    if (reply->ByteSizeLong() == 0) return;
    out_ = ToBytes(*reply);
    Write(&out_);
  }

  void Closed() override ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if (stream_ == 0) return;
    host()->Call([&](Coordinator& core, PackBytes&, Instant) {
      core.ClosePush(worker_, stream_);
      return 0;
    });
  }

  const absl::Duration opened_at_;
  ByteBuffer in_;
  v1::WorkerId worker_ ABSL_GUARDED_BY(mutex_);
  // 0: the first message has not come.
  uint64_t stream_ ABSL_GUARDED_BY(mutex_) = 0;
  ByteBuffer out_ ABSL_GUARDED_BY(mutex_);
};

class PullStream : public BytesStream {
 public:
  PullStream(const ServiceContext& context, grpc::CallbackServerContext* call)
      : ServerStream(context, call, "Batches.Pull"), opened_at_(context.host->SteadyNow()) {
    StartRead(&in_);
  }

  void OnReadDone(bool ok) override {
    absl::MutexLock lock(&mutex_);
    if (ending()) return;
    // The trainer has said all that it will; steps that its credit covers still go out.
    if (!ok) return;
    v1::PullRequest request;
    const absl::Status parsed = Parse(&in_, &request);
    if (!parsed.ok()) return End(parsed);
    if (request.has_open() == opened_) {
      return End(absl::InvalidArgumentError("open: must stand in the first message, only there"));
    }
    if (!opened_) {
      open_ = request.open();
      next_step_ = open_.first_step();
      opened_ = true;
      if (next_step_ == 0) return End(absl::InvalidArgumentError("open.first_step: is 0"));
      const absl::Status status = host()->Call(
          [&](Coordinator& core, PackBytes&, Instant now) { return core.OpenPull(open_, now); });
      if (!status.ok()) return End(status);
    }
    window_.AddCredit(request.credit_bytes());
    Continue();
    if (!ending()) StartRead(&in_);
  }

 private:
  void Continue() override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!opened_) {
      if (host()->SteadyNow() - opened_at_ > kFirstMessageWithin) {
        End(absl::InvalidArgumentError("no first message came on the stream"));
      }
      return;
    }
    if (queue_.empty() && !writing() && window_.MaySend(step_bytes_)) {
      NextStep();
    } else {
      const absl::Status member = host()->Call(
          [&](Coordinator& core, PackBytes&, Instant) { return core.CheckPull(open_); });
      if (!member.ok()) return End(member);
    }
    if (ending() || writing() || queue_.empty()) return;
    out_ = std::move(queue_.front());
    queue_.pop_front();
    metrics()->AddRelayBytesOut(out_.Length());
    Write(&out_, /*more=*/!queue_.empty());
  }

  // Puts the next step's deal and frames into queue_, if they are there and fit.
  void NextStep() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::vector<ByteBuffer> frames;
    absl::StatusOr<StepForRank> step = host()->Call(
        [&](Coordinator& core, PackBytes& packs, Instant) -> absl::StatusOr<StepForRank> {
          const absl::Status member = core.CheckPull(open_);
          if (!member.ok()) return member;
          absl::StatusOr<StepForRank> next =
              core.NextStep(open_.job(), open_.generation(), open_.rank(), next_step_);
          if (!next.ok() || next->kind != StepForRank::kReady) return next;
          for (const PackKey& key : next->packs) {
            const ByteBuffer* frame = packs.Find(key);
            if (frame == nullptr) {
              return absl::InternalError(absl::StrCat("pack ", key.window, "/", key.index, " of ",
                                                      key.job, " is counted but not held"));
            }
            frames.push_back(*frame);
          }
          return next;
        });
    if (!step.ok()) return End(step.status());
    if (step->kind == StepForRank::kEnd) return End(absl::OkStatus());
    if (step->kind == StepForRank::kWait) return;
    // Too large for now: ask again when the credit has grown.
    const uint64_t bytes = step->bytes;
    step_bytes_ = bytes;
    if (!window_.MaySend(bytes)) return;
    v1::PullReply deal;
    *deal.mutable_deal() = std::move(step->deal);
    Enqueue(ToBytes(deal), std::move(frames));
    window_.OnSent(bytes);
    step_bytes_ = 0;
    ++next_step_;
  }

  void Enqueue(ByteBuffer deal, std::vector<ByteBuffer> frames)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!open_.takes_frames()) {
      queue_.push_back(std::move(deal));
      for (ByteBuffer& frame : frames) queue_.push_back(std::move(frame));
      return;
    }
    FrameMessage message;
    message.AddFields(deal);
    for (const ByteBuffer& frame : frames) {
      if (!message.HasRoom(frame.Length())) queue_.push_back(message.Take());
      message.Add(frame);
    }
    queue_.push_back(message.Take());
  }

  const absl::Duration opened_at_;
  ByteBuffer in_;
  bool opened_ ABSL_GUARDED_BY(mutex_) = false;
  v1::PullRequest::Open open_ ABSL_GUARDED_BY(mutex_);
  SendWindow window_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_step_ ABSL_GUARDED_BY(mutex_) = 0;
  // Size of the next step, once known; 0: not known.
  uint64_t step_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  // At most one step: what a consumer that stopped can hold on to.
  std::deque<ByteBuffer> queue_ ABSL_GUARDED_BY(mutex_);
  ByteBuffer out_ ABSL_GUARDED_BY(mutex_);
};

class EvaluationStream : public ServerStream<grpc::ServerWriteReactor<ByteBuffer>> {
 public:
  EvaluationStream(const ServiceContext& context, grpc::CallbackServerContext* call,
                   const ByteBuffer& bytes)
      : ServerStream(context, call, "Batches.PullEvaluation") {
    ByteBuffer copy = bytes;
    absl::MutexLock lock(&mutex_);
    absl::Status status = Parse(&copy, &request_);
    if (status.ok()) {
      const absl::StatusOr<uint64_t> opened =
          host()->Call([&](Coordinator& core, PackBytes&, Instant now) {
            return core.OpenEvaluation(request_, now);
          });
      if (opened.ok()) evaluation_ = *opened;
      status = opened.status();
    }
    if (!status.ok()) End(status);
  }

 private:
  void Continue() override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing()) return;
    bool ready = false;
    const absl::StatusOr<EvaluationPack> pack = host()->Call(
        [&](Coordinator& core, PackBytes& packs, Instant) -> absl::StatusOr<EvaluationPack> {
          if (sent_) core.EvaluationPackSent(evaluation_, *std::exchange(sent_, std::nullopt));
          const absl::Status member =
              core.CheckMember(request_.worker(), request_.job(), request_.generation());
          if (!member.ok()) return member;
          absl::StatusOr<EvaluationPack> next = core.NextEvaluationPack(evaluation_);
          if (!next.ok() || next->kind != EvaluationPack::kReady) return next;
          const ByteBuffer* frame = packs.Find(next->key);
          if (frame == nullptr) return absl::InternalError("evaluation pack is not held");
          out_ = *frame;
          packs.Drop(next->key);
          ready = true;
          return next;
        });
    if (!pack.ok()) return End(pack.status());
    if (pack->kind == EvaluationPack::kEnd) return End(absl::OkStatus());
    if (!ready) return;
    // Told to core with the next question, when the write is done.
    sent_ = pack->key;
    metrics()->AddRelayBytesOut(out_.Length());
    Write(&out_);
  }

  void Closed() override ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if (evaluation_ == 0) return;
    host()->Call([&](Coordinator& core, PackBytes&, Instant) {
      core.CloseEvaluation(evaluation_);
      return 0;
    });
  }

  v1::PullEvaluationRequest request_ ABSL_GUARDED_BY(mutex_);
  uint64_t evaluation_ ABSL_GUARDED_BY(mutex_) = 0;
  std::optional<PackKey> sent_ ABSL_GUARDED_BY(mutex_);
  ByteBuffer out_ ABSL_GUARDED_BY(mutex_);
};

// All three methods on raw bytes, so that no frame is parsed or copied.
using RawBatches = v1::Batches::WithRawCallbackMethod_Push<v1::Batches::WithRawCallbackMethod_Pull<
    v1::Batches::WithRawCallbackMethod_PullEvaluation<v1::Batches::Service>>>;

class BatchesService : public RawBatches {
 public:
  explicit BatchesService(ServiceContext context) : context_(context) {}

  grpc::ServerBidiReactor<ByteBuffer, ByteBuffer>* Push(
      grpc::CallbackServerContext* call) override {
    return Start(std::make_shared<PushStream>(context_, call));
  }
  grpc::ServerBidiReactor<ByteBuffer, ByteBuffer>* Pull(
      grpc::CallbackServerContext* call) override {
    return Start(std::make_shared<PullStream>(context_, call));
  }
  grpc::ServerWriteReactor<ByteBuffer>* PullEvaluation(grpc::CallbackServerContext* call,
                                                       const ByteBuffer* request) override {
    return Start(std::make_shared<EvaluationStream>(context_, call, *request));
  }

 private:
  template <typename Stream>
  static Stream* Start(std::shared_ptr<Stream> stream) {
    stream->Begin(stream);
    return stream.get();
  }

  const ServiceContext context_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeBatchesService(CoordinatorHost* host, ServerMetrics* metrics) {
  return std::make_unique<BatchesService>(ServiceContext{host, metrics});
}

}  // namespace navit
