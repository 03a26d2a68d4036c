// navitctl preview: a picture of packed sequences.
#include <fstream>
#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/command.h"
#include "common/status_macros.h"

namespace navit {
namespace {

absl::StatusOr<v1::PreviewRequest> RequestOf(const CommandContext& context) {
  const Arguments& arguments = context.arguments;
  v1::PreviewRequest request;
  NAVIT_ASSIGN_OR_RETURN(const double window, arguments.Number("window", 0));
  NAVIT_ASSIGN_OR_RETURN(const double rows, arguments.Number("rows", 8));
  if (window != static_cast<double>(static_cast<uint64_t>(window))) {
    return absl::InvalidArgumentError("--window: must be a whole number");
  }
  if (rows != static_cast<double>(static_cast<uint32_t>(rows)) || rows < 1 || rows > 32) {
    return absl::InvalidArgumentError("--rows: must be a whole number in [1, 32]");
  }
  request.set_window(static_cast<uint64_t>(window));
  request.set_rows(static_cast<uint32_t>(rows));
  if (arguments.Has("job") == !arguments.words().empty()) {
    return absl::InvalidArgumentError("name a job file or --job JOB, one of them");
  }
  if (arguments.Has("job")) {
    if (arguments.Has("set") || arguments.Has("name")) {
      return absl::InvalidArgumentError("--job: a job that exists takes neither --set nor --name");
    }
    request.set_job(arguments.Get("job", ""));
  }
  return request;
}

absl::Status WriteFile(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << bytes;
  file.close();
  if (!file) return absl::InternalError(absl::StrCat(path, ": cannot be written"));
  return absl::OkStatus();
}

// What the picture shows, in a line a sequence.
std::string Summary(const v1::PreviewReply& reply) {
  std::string text;
  for (int i = 0; i < reply.sequences_size(); ++i) {
    const v1::PreviewReply::Sequence& sequence = reply.sequences(i);
    absl::StrAppendFormat(&text, "sequence %d: %.2f %% full, %d images", i,
                          100.0 * sequence.image_tokens() / reply.sequence_length(),
                          sequence.images());
    if (sequence.holes() > 0) absl::StrAppend(&text, ", ", sequence.holes(), " holes");
    text += "\n";
  }
  absl::StrAppendFormat(
      &text, "window: %d sequences, %.2f %% full", reply.window_sequences(),
      100.0 * reply.window_image_tokens() /
          (static_cast<double>(reply.window_sequences()) * reply.sequence_length()));
  if (reply.shards() < reply.shards_total()) {
    absl::StrAppend(&text, ", from ", reply.shards(), " of ", reply.shards_total(), " shards");
  }
  return text + "\n";
}

int Preview(const CommandContext& context) {
  absl::StatusOr<v1::PreviewRequest> request = RequestOf(context);
  if (!request.ok()) return Fail(request.status());
  const std::string out = context.arguments.Get("o", "");
  if (out.empty()) return Fail(absl::InvalidArgumentError("-o: name the PNG file, or -"));
  if (!request->has_job()) {
    const auto spec = ReadJob(context, context.arguments.words()[0]);
    if (!spec.ok()) return FailJobFile(spec.status());
    *request->mutable_spec() = *spec;
  }
  const auto client = MakeClient(context);
  if (!client.ok()) return Fail(client.status());
  const auto reply = (*client)->Preview(*request);
  if (!reply.ok()) return Fail(reply.status());
  if (out == "-") {
    std::cout << reply->png();
    return kExitOk;
  }
  if (const absl::Status written = WriteFile(out, reply->png()); !written.ok()) {
    return Fail(written);
  }
  std::cerr << Summary(*reply);
  std::cout << out << "\n";
  return kExitOk;
}

}  // namespace

Command PreviewCommand() {
  return {"preview",
          "FILE|-|--job JOB -o OUT.png [--window N] [--rows N] [--set FIELD=VALUE]...",
          "draw real packed sequences of a job file or of a job",
          0,
          1,
          {"job", "window", "rows", "set", "name"},
          Preview};
}

}  // namespace navit
