#include "packer/sentencepiece/model.h"

#include <dlfcn.h>
#include <unistd.h>

#include <climits>
#include <cstddef>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "common/files.h"
#include "common/status_macros.h"
#include "packer/sentencepiece/bridge.h"

#if defined(__SANITIZE_ADDRESS__)
#define NAVIT_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define NAVIT_ADDRESS_SANITIZER 1
#endif
#endif

namespace navit {
namespace {

constexpr char kLibrary[] = "libnavit_sentencepiece.so";

struct Bridge {
  decltype(&navit_sp_load) load = nullptr;
  decltype(&navit_sp_free) free = nullptr;
  decltype(&navit_sp_pieces) pieces = nullptr;
  decltype(&navit_sp_begin) begin = nullptr;
  decltype(&navit_sp_end) end = nullptr;
  decltype(&navit_sp_encode) encode = nullptr;
  decltype(&navit_sp_train) train = nullptr;
};

// Where the shared object may be: beside the program (installed), or where the build put it, in a
// build's own folder and in the runfiles of a test.
std::vector<std::string> LibraryPaths() {
  char program[PATH_MAX] = {};
  std::vector<std::string> paths;
  const ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
  if (length > 0) {
    const std::string folder = FolderOf(absl::string_view(program, static_cast<size_t>(length)));
    paths.push_back(absl::StrCat(folder, "/", kLibrary));
    paths.push_back(absl::StrCat(folder, "/sentencepiece/", kLibrary));
    paths.push_back(absl::StrCat(folder, "/../lib/navit/", kLibrary));
  }
  if (const char* root = std::getenv("TEST_SRCDIR"); root != nullptr) {
    paths.push_back(absl::StrCat(root, "/navit/packer/sentencepiece/", kLibrary));
  }
  return paths;
}

template <typename Function>
bool Find(void* library, const char* name, Function* function) {
  *function = reinterpret_cast<Function>(dlsym(library, name));
  return *function != nullptr;
}

absl::StatusOr<Bridge> OpenBridge() {
#ifdef NAVIT_ADDRESS_SANITIZER
  return absl::UnimplementedError(
      "SentencePiece models cannot be used in an AddressSanitizer build: the sanitizer refuses "
      "RTLD_DEEPBIND, without which libsentencepiece's protobuf and ours collide");
#endif
  std::string tried;
  for (const std::string& path : LibraryPaths()) {
    if (!FileExists(path)) {
      absl::StrAppend(&tried, " ", path);
      continue;
    }
    void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (library == nullptr) return absl::UnimplementedError(dlerror());
    Bridge bridge;
    if (!Find(library, "navit_sp_load", &bridge.load) ||
        !Find(library, "navit_sp_free", &bridge.free) ||
        !Find(library, "navit_sp_pieces", &bridge.pieces) ||
        !Find(library, "navit_sp_begin", &bridge.begin) ||
        !Find(library, "navit_sp_end", &bridge.end) ||
        !Find(library, "navit_sp_encode", &bridge.encode) ||
        !Find(library, "navit_sp_train", &bridge.train)) {
      return absl::UnimplementedError(absl::StrCat(path, ": of another version of navit"));
    }
    return bridge;
  }
  return absl::UnimplementedError(
      absl::StrCat("no ", kLibrary, " beside the program; tried", tried));
}

// Opened once and never closed.
const absl::StatusOr<Bridge>& GetBridge() {
  static const absl::StatusOr<Bridge>& bridge = *new absl::StatusOr<Bridge>(OpenBridge());
  return bridge;
}

void StoreText(void* text, const char* bytes, size_t size) {
  static_cast<std::string*>(text)->assign(bytes, size);
}

// What the callbacks of a training share.
struct Training {
  const std::function<std::optional<absl::string_view>()>& next;
  std::string model;
  std::string error;
};

}  // namespace

bool SentencePieceAvailable() {
#ifdef NAVIT_ADDRESS_SANITIZER
  return false;
#else
  return true;
#endif
}

absl::StatusOr<std::unique_ptr<SentencePieceModel>> SentencePieceModel::Load(
    absl::string_view bytes) {
  NAVIT_RETURN_IF_ERROR(GetBridge().status());
  std::string error;
  void* const model = GetBridge()->load(bytes.data(), bytes.size(), StoreText, &error);
  if (model == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("not a SentencePiece model: ", error));
  }
  return std::unique_ptr<SentencePieceModel>(new SentencePieceModel(model));
}

SentencePieceModel::SentencePieceModel(void* model)
    : model_(model),
      pieces_(static_cast<uint32_t>(GetBridge()->pieces(model))),
      begin_(GetBridge()->begin(model)),
      end_(GetBridge()->end(model)) {}

SentencePieceModel::~SentencePieceModel() { GetBridge()->free(model_); }

std::vector<int32_t> SentencePieceModel::Encode(absl::string_view text) const {
  std::vector<int32_t> ids;
  GetBridge()->encode(
      model_, text.data(), text.size(),
      [](void* context, int32_t id) { static_cast<std::vector<int32_t>*>(context)->push_back(id); },
      &ids);
  return ids;
}

absl::StatusOr<std::string> TrainSentencePieceModel(
    const SentencePieceTraining& training,
    const std::function<std::optional<absl::string_view>()>& next) {
  NAVIT_RETURN_IF_ERROR(GetBridge().status());
  Training state{next, "", ""};
  const std::string flags = absl::StrCat(
      "--model_type=unigram --byte_fallback=true --vocab_size=", training.vocabulary_size,
      " --character_coverage=", training.character_coverage, " --num_threads=", training.threads,
      " --minloglevel=1");
  const int failed = GetBridge()->train(
      flags.c_str(),
      [](void* context, size_t* size) -> const char* {
        const std::optional<absl::string_view> text = static_cast<Training*>(context)->next();
        if (!text.has_value()) return nullptr;
        *size = text->size();
        return text->data();
      },
      [](void* context, const char* bytes, size_t size) {
        static_cast<Training*>(context)->model.assign(bytes, size);
      },
      [](void* context, const char* bytes, size_t size) {
        static_cast<Training*>(context)->error.assign(bytes, size);
      },
      &state);
  if (failed != 0) return absl::InvalidArgumentError(state.error);
  return std::move(state.model);
}

}  // namespace navit
