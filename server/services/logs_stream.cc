#include "server/services/logs_stream.h"

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace navit {
namespace {

constexpr uint64_t kPageBytes = uint64_t{64} << 10;
constexpr uint32_t kMaxTail = 10000;
constexpr double kLastWordsSeconds = 2;

bool IsFinal(v1::JobState state) {
  return state == v1::SUCCEEDED || state == v1::FAILED || state == v1::CANCELLED;
}

class LogsStream : public ServerStream<grpc::ServerWriteReactor<v1::LogsReply>> {
 public:
  LogsStream(const ServiceContext& context, grpc::CallbackServerContext* call,
             v1::LogsRequest request, const JobLogs* logs)
      : ServerStream(context, call, "Jobs.Logs"), request_(std::move(request)), logs_(logs) {
    cursor_.sequence = request_.after_sequence();
  }

 private:
  bool Wanted(const v1::LogLine& line) const {
    if (line.seconds() < request_.since_seconds()) return false;
    if (request_.has_rank() && (!line.has_rank() || line.rank() != request_.rank())) return false;
    return request_.packer().empty() ||
           (line.role() == "packer" && line.worker() == request_.packer());
  }

  // The next lines that are wanted, at most a page; none: the end.
  absl::StatusOr<std::vector<v1::LogLine>> NextPage() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    while (true) {
      absl::StatusOr<std::vector<v1::LogLine>> lines =
          logs_->Read(request_.name(), kPageBytes, &cursor_);
      if (!lines.ok() || lines->empty()) return lines;
      std::vector<v1::LogLine> wanted;
      for (v1::LogLine& line : *lines) {
        if (Wanted(line)) wanted.push_back(std::move(line));
      }
      if (!wanted.empty()) return wanted;
    }
  }

  absl::Status ReadTail() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    while (true) {
      absl::StatusOr<std::vector<v1::LogLine>> page = NextPage();
      if (!page.ok()) return page.status();
      if (page->empty()) return absl::OkStatus();
      for (v1::LogLine& line : *page) {
        tail_.push_back(std::move(line));
        if (tail_.size() > request_.tail()) tail_.pop_front();
      }
    }
  }

  // Sets reply_; false: there is nothing now.
  absl::StatusOr<bool> Fill() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    reply_.Clear();
    if (!begun_) {
      begun_ = true;
      if (request_.tail() > kMaxTail) {
        return absl::InvalidArgumentError(absl::StrCat("tail: must be at most ", kMaxTail));
      }
      if (request_.tail() > 0) {
        if (absl::Status status = ReadTail(); !status.ok()) return status;
      }
    }
    for (uint64_t bytes = 0; !tail_.empty() && bytes < kPageBytes; tail_.pop_front()) {
      bytes += tail_.front().ByteSizeLong();
      *reply_.add_lines() = std::move(tail_.front());
    }
    if (reply_.lines_size() > 0) return true;
    absl::StatusOr<std::vector<v1::LogLine>> page = NextPage();
    if (!page.ok()) return page.status();
    for (v1::LogLine& line : *page) *reply_.add_lines() = std::move(line);
    return reply_.lines_size() > 0;
  }

  void Continue() override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing()) return;
    bool final = false;
    absl::Status known;
    host()->Call([&](Coordinator& core, PackBytes&, Instant now) {
      const uint64_t revision = core.JobRevision(request_.name());
      if (revision == 0) {
        known = absl::NotFoundError(absl::StrCat("no job ", request_.name()));
      } else if (revision != revision_) {
        revision_ = revision;
        const absl::StatusOr<v1::Job> job = core.Get(request_.name());
        if (job.ok()) final_ = IsFinal(job->state());
        if (job.ok()) finished_seconds_ = job->finished_seconds();
      }
      final = final_ && now.unix_time > finished_seconds_ + kLastWordsSeconds;
      return 0;
    });
    if (!known.ok()) return End(known);
    // Asked for before the state was: nothing that came before the end is missed.
    const absl::StatusOr<bool> filled = Fill();
    if (!filled.ok()) return End(filled.status());
    if (*filled) return Write(&reply_);
    if (!request_.follow() || final) End(absl::OkStatus());
  }

  const v1::LogsRequest request_;
  const JobLogs* const logs_;
  JobLogs::Cursor cursor_ ABSL_GUARDED_BY(mutex_);
  bool begun_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<v1::LogLine> tail_ ABSL_GUARDED_BY(mutex_);
  uint64_t revision_ ABSL_GUARDED_BY(mutex_) = 0;
  bool final_ ABSL_GUARDED_BY(mutex_) = false;
  double finished_seconds_ ABSL_GUARDED_BY(mutex_) = 0;
  // Owned by the write in flight.
  v1::LogsReply reply_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

grpc::ServerWriteReactor<v1::LogsReply>* StartLogsStream(const ServiceContext& context,
                                                         grpc::CallbackServerContext* call,
                                                         const v1::LogsRequest& request,
                                                         const JobLogs* logs) {
  auto stream = std::make_shared<LogsStream>(context, call, request, logs);
  stream->Begin(stream);
  return stream.get();
}

}  // namespace navit
