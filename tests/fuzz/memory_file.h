// A file in memory with a path, for readers that open one.
#ifndef NAVIT_TESTS_FUZZ_MEMORY_FILE_H_
#define NAVIT_TESTS_FUZZ_MEMORY_FILE_H_

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "common/object_store/object_store.h"

namespace navit::fuzz {

class MemoryFile {
 public:
  MemoryFile(const uint8_t* data, size_t size) : fd_(memfd_create("fuzz", MFD_CLOEXEC)) {
    for (size_t done = 0; done < size;) {
      const ssize_t put = write(fd_, data + done, size - done);
      if (put <= 0) std::abort();
      done += static_cast<size_t>(put);
    }
  }
  ~MemoryFile() { close(fd_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  // Opens at the beginning of the file, every time.
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  const int fd_;
};

// What opens it.
inline ObjectStore* Store() {
  static const auto* store = new std::shared_ptr<ObjectStore>(MakeObjectStore());
  return store->get();
}

}  // namespace navit::fuzz

#endif  // NAVIT_TESTS_FUZZ_MEMORY_FILE_H_
