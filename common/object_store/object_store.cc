#include "common/object_store/object_store.h"

#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/object_store/schemes.h"
#include "common/object_store/url.h"
#include "common/status_macros.h"

namespace navit {
namespace {

class AllSchemes : public ObjectStore {
 public:
  explicit AllSchemes(const ObjectStoreOptions& options)
      : file_(MakeFileStore(options)), http_(MakeHttpStore(options)), s3_(MakeS3Store(options)) {}

  absl::StatusOr<ObjectInfo> Stat(const std::string& name) override {
    NAVIT_ASSIGN_OR_RETURN(ObjectStore * store, Of(name));
    return store->Stat(name);
  }
  absl::StatusOr<ObjectInfo> Read(const std::string& name, uint64_t offset, uint64_t bytes,
                                  const std::string& validator, std::string* out) override {
    NAVIT_ASSIGN_OR_RETURN(ObjectStore * store, Of(name));
    return store->Read(name, offset, bytes, validator, out);
  }
  absl::StatusOr<std::vector<std::string>> Glob(const std::string& pattern) override {
    NAVIT_ASSIGN_OR_RETURN(ObjectStore * store, Of(pattern));
    return store->Glob(pattern);
  }
  absl::Status Write(const std::string& name, absl::string_view bytes) override {
    NAVIT_ASSIGN_OR_RETURN(ObjectStore * store, Of(name));
    return store->Write(name, bytes);
  }
  absl::Status Remove(const std::string& name) override {
    NAVIT_ASSIGN_OR_RETURN(ObjectStore * store, Of(name));
    return store->Remove(name);
  }

 private:
  absl::StatusOr<ObjectStore*> Of(const std::string& name) const {
    if (!IsUrl(name)) return file_.get();
    NAVIT_ASSIGN_OR_RETURN(const Url url, ParseUrl(name));
    return url.scheme == "s3" ? s3_.get() : http_.get();
  }

  const std::unique_ptr<ObjectStore> file_;
  const std::unique_ptr<ObjectStore> http_;
  const std::unique_ptr<ObjectStore> s3_;
};

}  // namespace

Environment ProcessEnvironment() {
  return [](const std::string& name) {
    const char* value = std::getenv(name.c_str());
    return std::string(value == nullptr ? "" : value);
  };
}

std::shared_ptr<ObjectStore> MakeObjectStore(ObjectStoreOptions options) {
  return std::make_shared<AllSchemes>(options);
}

absl::StatusOr<std::string> ReadObject(ObjectStore* store, const std::string& name,
                                       uint64_t max_bytes) {
  NAVIT_ASSIGN_OR_RETURN(const ObjectInfo info, store->Stat(name));
  if (info.bytes > max_bytes) {
    return absl::FailedPreconditionError(absl::StrCat(
        name, ": it has ", info.bytes, " bytes, more than the ", max_bytes, " that are allowed"));
  }
  std::string bytes;
  if (info.bytes == 0) return bytes;
  NAVIT_RETURN_IF_ERROR(store->Read(name, 0, info.bytes, info.validator, &bytes).status());
  return bytes;
}

}  // namespace navit
