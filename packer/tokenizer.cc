#include "packer/tokenizer.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/byte_tokenizer.h"
#include "common/status_macros.h"
#include "common/tokenizer_file.h"
#include "packer/sentencepiece/model.h"

namespace navit {
namespace {

constexpr uint32_t kBegin = 0;
constexpr uint32_t kEnd = 1;

void AppendId(uint32_t id, std::string* ids) {
  ids->push_back(static_cast<char>(id));
  ids->push_back(static_cast<char>(id >> 8));
}

class ByteTokenizer : public Tokenizer {
 public:
  uint32_t vocabulary_size() const override { return kByteVocabularySize; }

  uint32_t Append(absl::string_view caption, uint32_t max_tokens, std::string* ids) const override {
    size_t bytes = std::min<size_t>(caption.size(), max_tokens - 2);
    // A continuation byte behind the cut means that the cut is inside a character.
    while (bytes > 0 && bytes < caption.size() && (caption[bytes] & 0xC0) == 0x80) --bytes;
    AppendId(kBegin, ids);
    for (size_t i = 0; i < bytes; ++i) AppendId(static_cast<uint8_t>(caption[i]) + 2u, ids);
    AppendId(kEnd, ids);
    return static_cast<uint32_t>(bytes + 2);
  }
};

class SentencePieceTokenizer : public Tokenizer {
 public:
  explicit SentencePieceTokenizer(std::unique_ptr<SentencePieceModel> model)
      : model_(std::move(model)) {}

  uint32_t vocabulary_size() const override { return model_->pieces(); }

  uint32_t Append(absl::string_view caption, uint32_t max_tokens, std::string* ids) const override {
    const std::vector<int32_t> pieces = model_->Encode(caption);
    if (pieces.empty()) return 0;
    const uint32_t frame = (model_->begin() >= 0) + (model_->end() >= 0);
    const size_t count = std::min<size_t>(pieces.size(), max_tokens - frame);
    if (model_->begin() >= 0) AppendId(static_cast<uint32_t>(model_->begin()), ids);
    for (size_t i = 0; i < count; ++i) AppendId(static_cast<uint32_t>(pieces[i]), ids);
    if (model_->end() >= 0) AppendId(static_cast<uint32_t>(model_->end()), ids);
    return static_cast<uint32_t>(count + frame);
  }

 private:
  const std::unique_ptr<SentencePieceModel> model_;
};

absl::Status AtFile(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrCat("model.text.tokenizer: ", path, ": ", status.message()));
}

absl::StatusOr<std::shared_ptr<const Tokenizer>> LoadModel(ObjectStore* store,
                                                           const v1::TextTowerSpec& text) {
  NAVIT_ASSIGN_OR_RETURN(const TokenizerFile file, ReadTokenizerFile(store, text.tokenizer()));
  if (file.hash != text.tokenizer_hash()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "model.text.tokenizer: ", text.tokenizer(), " changed under the job: its hash is ",
        file.hash, ", the job has ", text.tokenizer_hash()));
  }
  absl::StatusOr<std::unique_ptr<SentencePieceModel>> model = SentencePieceModel::Load(file.bytes);
  if (!model.ok()) return AtFile(text.tokenizer(), model.status());
  if ((*model)->pieces() != text.vocabulary_size()) {
    return absl::FailedPreconditionError(
        absl::StrCat("model.text.vocabulary_size: ", text.tokenizer(), " has ", (*model)->pieces(),
                     " pieces, the job has ", text.vocabulary_size()));
  }
  return std::make_shared<const SentencePieceTokenizer>(*std::move(model));
}

// The models that a process has in use, by their hash; the newest one stays for the next lease.
class Models {
 public:
  absl::StatusOr<std::shared_ptr<const Tokenizer>> Get(ObjectStore* store,
                                                       const v1::TextTowerSpec& text) {
    absl::MutexLock lock(&mutex_);
    std::weak_ptr<const Tokenizer>& known = by_hash_[text.tokenizer_hash()];
    std::shared_ptr<const Tokenizer> model = known.lock();
    if (model == nullptr) {
      NAVIT_ASSIGN_OR_RETURN(model, LoadModel(store, text));
      known = model;
    }
    newest_ = model;
    return model;
  }

 private:
  absl::Mutex mutex_;
  std::map<std::string, std::weak_ptr<const Tokenizer>> by_hash_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const Tokenizer> newest_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::unique_ptr<const Tokenizer> MakeByteTokenizer() { return std::make_unique<ByteTokenizer>(); }

absl::StatusOr<std::shared_ptr<const Tokenizer>> OpenTokenizer(ObjectStore* store,
                                                               const v1::TextTowerSpec& text) {
  if (text.tokenizer() == kByteTokenizer) return MakeByteTokenizer();
  static Models& models = *new Models;
  return models.Get(store, text);
}

}  // namespace navit
