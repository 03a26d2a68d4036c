// navit-embed: embeddings of images or captions, with the weights of a checkpoint or an export.
#include <deque>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "common/lifecycle.h"
#include "common/object_store/object_store.h"
#include "common/status_macros.h"
#include "embed/embedder.h"
#include "embed/row_writer.h"
#include "packer/limits.h"
#include "worker/weights/stored_model.h"

ABSL_FLAG(std::string, model, "",
          "checkpoint or exported folder; a path or an s3:// URL. Of a checkpoint with a moving "
          "average of the weights, that is used");
ABSL_FLAG(bool, captions, false, "embed captions, a line each, instead of images");
ABSL_FLAG(bool, features, false,
          "give the tower's pooled features instead of embeddings of unit length");
ABSL_FLAG(uint32_t, token_budget, 0,
          "patches of an image, which is scaled to them; default: that of the job's evaluation");
ABSL_FLAG(std::string, format, "jsonl", "jsonl, or npy, which needs --output");
ABSL_FLAG(std::string, output, "", "file to write; default: standard output");
ABSL_FLAG(int, threads, 1, "compute threads");
ABSL_FLAG(int64_t, batch_tokens, 4096, "inputs are embedded together up to this many tokens");

namespace navit {
namespace {

// Lines of the files named, or of standard input.
class Lines {
 public:
  explicit Lines(std::vector<std::string> files) : files_(files.begin(), files.end()) {
    if (files.empty()) stream_ = &std::cin;
  }

  // False: there are no more.
  absl::StatusOr<bool> Next(std::string* line) {
    while (stream_ == nullptr || !std::getline(*stream_, *line)) {
      if (files_.empty()) return false;
      file_ = std::ifstream(files_.front());
      if (!file_) return absl::NotFoundError(absl::StrCat(files_.front(), ": cannot be read"));
      files_.pop_front();
      stream_ = &file_;
    }
    return true;
  }

 private:
  std::deque<std::string> files_;
  std::ifstream file_;
  std::istream* stream_ = nullptr;
};

class Run {
 public:
  Run(ObjectStore* store, Embedder* embedder, RowWriter* writer)
      : store_(store), embedder_(embedder), writer_(writer) {}

  // Names of images, or captions.
  absl::Status Add(const std::string& input) {
    const bool captions = absl::GetFlag(FLAGS_captions);
    const absl::Status added = captions ? embedder_->AddCaption(input) : AddFile(input);
    if (!added.ok()) std::cerr << "navit-embed: " << input << ": " << added.message() << "\n";
    pending_.push_back({input, added});
    failures_ += !added.ok();
    if (embedder_->tokens() < absl::GetFlag(FLAGS_batch_tokens)) return absl::OkStatus();
    return Flush();
  }

  // Runs and writes what is pending.
  absl::Status Flush() {
    const bool captions = absl::GetFlag(FLAGS_captions);
    const size_t dim = captions ? embedder_->text_dim() : embedder_->image_dim();
    const std::vector<float> rows = captions ? embedder_->TakeCaptions() : embedder_->TakeImages();
    size_t row = 0;
    for (const auto& [input, added] : pending_) {
      if (added.ok()) {
        NAVIT_RETURN_IF_ERROR(
            writer_->Add(input, absl::MakeConstSpan(rows).subspan(dim * row++, dim)));
      } else {
        NAVIT_RETURN_IF_ERROR(writer_->AddFailure(input, added.message()));
      }
    }
    pending_.clear();
    return absl::OkStatus();
  }

  int failures() const { return failures_; }

 private:
  absl::Status AddFile(const std::string& name) {
    NAVIT_ASSIGN_OR_RETURN(const std::string bytes, ReadObject(store_, name, kMaxImageBytes));
    return embedder_->AddImage(bytes);
  }

  ObjectStore* const store_;
  Embedder* const embedder_;
  RowWriter* const writer_;
  // Since the last Flush, in order.
  std::vector<std::pair<std::string, absl::Status>> pending_;
  int failures_ = 0;
};

absl::StatusOr<std::unique_ptr<RowWriter>> MakeWriter(int64_t dim, std::ofstream* file) {
  const std::string output = absl::GetFlag(FLAGS_output);
  const std::string format = absl::GetFlag(FLAGS_format);
  if (format == "npy") {
    if (output.empty()) return absl::InvalidArgumentError("--format=npy: needs --output");
    return MakeNpyWriter(output, dim);
  }
  if (format != "jsonl") return absl::InvalidArgumentError("--format: must be jsonl or npy");
  if (output.empty()) return MakeJsonLinesWriter(&std::cout);
  file->open(output, std::ios::trunc);
  if (!*file) return absl::InvalidArgumentError(absl::StrCat(output, ": cannot be written"));
  return MakeJsonLinesWriter(file);
}

// The number of inputs that could not be used.
absl::StatusOr<int> EmbedAll(const std::vector<std::string>& arguments) {
  if (absl::GetFlag(FLAGS_model).empty()) {
    return absl::InvalidArgumentError("--model: name a checkpoint or an exported folder");
  }
  if (absl::GetFlag(FLAGS_threads) < 1) {
    return absl::InvalidArgumentError("--threads: must be at least 1");
  }
  if (absl::GetFlag(FLAGS_token_budget) > 65536) {
    return absl::InvalidArgumentError("--token_budget: must be at most 65536");
  }
  ObjectStoreOptions store_options;
  store_options.environment = ProcessEnvironment();
  const std::shared_ptr<ObjectStore> store = MakeObjectStore(store_options);
  NAVIT_ASSIGN_OR_RETURN(StoredModel model,
                         LoadStoredModel(store.get(), absl::GetFlag(FLAGS_model)));
  EmbedderOptions options;
  options.token_budget = absl::GetFlag(FLAGS_token_budget);
  options.features = absl::GetFlag(FLAGS_features);
  options.threads = absl::GetFlag(FLAGS_threads);
  NAVIT_ASSIGN_OR_RETURN(const std::unique_ptr<Embedder> embedder,
                         Embedder::Create(std::move(model), store.get(), options));
  const bool captions = absl::GetFlag(FLAGS_captions);
  std::ofstream file;
  NAVIT_ASSIGN_OR_RETURN(
      const std::unique_ptr<RowWriter> writer,
      MakeWriter(captions ? embedder->text_dim() : embedder->image_dim(), &file));
  Run run(store.get(), embedder.get(), writer.get());
  if (!captions && !arguments.empty()) {
    for (const std::string& image : arguments) NAVIT_RETURN_IF_ERROR(run.Add(image));
  } else {
    Lines lines(arguments);
    std::string line;
    while (true) {
      NAVIT_ASSIGN_OR_RETURN(const bool more, lines.Next(&line));
      if (!more) break;
      NAVIT_RETURN_IF_ERROR(run.Add(line));
    }
  }
  NAVIT_RETURN_IF_ERROR(run.Flush());
  NAVIT_RETURN_IF_ERROR(writer->Finish());
  return run.failures();
}

}  // namespace
}  // namespace navit

int main(int argc, char** argv) {
  const std::vector<std::string> arguments = navit::InitProgram(
      argc, argv,
      {"navit-embed", "turns images or captions into embeddings",
       "--model=FOLDER [IMAGE...] [flags]         (no IMAGE: names on standard input)\n"
       "       navit-embed --model=FOLDER --captions [FILE...] [flags]"});
  const absl::StatusOr<int> failures = navit::EmbedAll(arguments);
  if (!failures.ok()) {
    std::cerr << "navit-embed: " << failures.status().message() << "\n";
    return 2;
  }
  return *failures == 0 ? 0 : 1;
}
