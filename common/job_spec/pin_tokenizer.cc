#include "common/job_spec/pin_tokenizer.h"

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/byte_tokenizer.h"
#include "common/tokenizer_file.h"

namespace navit {

std::vector<FieldViolation> PinTokenizer(ObjectStore* store, v1::JobSpec* spec) {
  if (!spec->model().has_text()) return {};
  v1::TextTowerSpec* text = spec->mutable_model()->mutable_text();
  uint32_t vocabulary = kByteVocabularySize;
  std::string hash;
  if (text->tokenizer() != kByteTokenizer) {
    const absl::StatusOr<TokenizerFile> file = ReadTokenizerFile(store, text->tokenizer());
    if (!file.ok()) return {{"model.text.tokenizer", std::string(file.status().message())}};
    vocabulary = file->pieces;
    hash = file->hash;
  }
  if (!text->tokenizer_hash().empty() && text->tokenizer_hash() != hash) {
    return {{"model.text.tokenizer_hash",
             absl::StrCat("is ", text->tokenizer_hash(), ", but ", text->tokenizer(), " has ",
                          hash.empty() ? "no file" : hash)}};
  }
  if (text->has_vocabulary_size() && text->vocabulary_size() != vocabulary) {
    return {{"model.text.vocabulary_size",
             absl::StrCat("is ", text->vocabulary_size(), ", but ", text->tokenizer(), " has ",
                          vocabulary, " tokens")}};
  }
  text->set_vocabulary_size(vocabulary);
  text->set_tokenizer_hash(hash);
  return {};
}

}  // namespace navit
