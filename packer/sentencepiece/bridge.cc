#include "packer/sentencepiece/bridge.h"

#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <exception>
#include <iostream>
#include <memory>
#include <new>
#include <streambuf>
#include <string>
#include <vector>

namespace {

using sentencepiece::SentencePieceProcessor;

// SentencePiece logs to std::cerr. Opened with RTLD_DEEPBIND it finds libstdc++'s own object of
// that name; where the program holds the process's std::cerr itself (a copy relocation), that one
// was never constructed. It then becomes a stream that says nothing: errors come back as statuses.
class Nowhere : public std::streambuf {
  int overflow(int c) override { return c == EOF ? 0 : c; }
};

__attribute__((constructor)) void ConstructCerr() {
  void* const stream = &std::cerr;
  if (*static_cast<void* const*>(stream) != nullptr) return;
  static Nowhere nowhere;
  new (stream) std::ostream(&nowhere);
}

const SentencePieceProcessor& Model(const void* model) {
  return *static_cast<const SentencePieceProcessor*>(model);
}

// Runs `body`, which gives a Status; an exception of the library is an error like any other.
template <typename Body>
int Guarded(navit_sp_text_fn error, void* context, Body body) {
  std::string message;
  try {
    const sentencepiece::util::Status status = body();
    if (status.ok()) return 0;
    message = status.ToString();
  } catch (const std::exception& e) {
    message = e.what();
  }
  error(context, message.data(), message.size());
  return 1;
}

class Sentences : public sentencepiece::SentenceIterator {
 public:
  Sentences(navit_sp_next_fn next, void* context) : next_(next), context_(context) { Next(); }
  bool done() const override { return done_; }
  void Next() override {
    size_t size = 0;
    const char* bytes = next_(context_, &size);
    done_ = bytes == nullptr;
    if (!done_) value_.assign(bytes, size);
  }
  const std::string& value() const override { return value_; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  const navit_sp_next_fn next_;
  void* const context_;
  bool done_ = false;
  std::string value_;
};

}  // namespace

void* navit_sp_load(const char* bytes, size_t size, navit_sp_text_fn error, void* context) {
  auto model = std::make_unique<SentencePieceProcessor>();
  const int failed = Guarded(error, context, [&] {
    return model->LoadFromSerializedProto(absl::string_view(bytes, size));
  });
  return failed == 0 ? model.release() : nullptr;
}

void navit_sp_free(void* model) { delete static_cast<SentencePieceProcessor*>(model); }

int32_t navit_sp_pieces(const void* model) { return Model(model).GetPieceSize(); }
int32_t navit_sp_begin(const void* model) { return Model(model).bos_id(); }
int32_t navit_sp_end(const void* model) { return Model(model).eos_id(); }

int navit_sp_encode(const void* model, const char* text, size_t size, navit_sp_id_fn id,
                    void* context) {
  try {
    std::vector<int> ids;
    if (!Model(model).Encode(absl::string_view(text, size), &ids).ok()) return 1;
    for (const int i : ids) id(context, i);
    return 0;
  } catch (const std::exception&) {
    return 1;
  }
}

int navit_sp_train(const char* flags, navit_sp_next_fn next, navit_sp_text_fn model,
                   navit_sp_text_fn error, void* context) {
  return Guarded(error, context, [&] {
    Sentences sentences(next, context);
    std::string bytes;
    const sentencepiece::util::Status status =
        sentencepiece::SentencePieceTrainer::Train(flags, &sentences, &bytes);
    if (status.ok()) model(context, bytes.data(), bytes.size());
    return status;
  });
}
