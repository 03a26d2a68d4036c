// The memory that kernels see on the twin, with a shadow of who touched each byte last.
//
// Two accesses to one byte, at least one of them a write, conflict when nothing orders them:
//   threads of different blocks of one launch: never ordered;
//   threads of one block: ordered by a block barrier between them;
//   lanes of one warp: also by a warp barrier.
// Launches are ordered, as on one stream. This does not depend on the order in which the threads
// happen to run. Also reported: access outside of every buffer, reads of bytes that nobody wrote,
// reads and writes of bytes that a copy has yet to fill, misaligned accesses, broken guards.
#ifndef NAVIT_KERNELS_CUDA_HOST_TWIN_MEMORY_H_
#define NAVIT_KERNELS_CUDA_HOST_TWIN_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <source_location>
#include <string>
#include <vector>

namespace navit::kernels::cuda::twin {

using Site = std::source_location;

// Who makes an access: the thread that runs, in block, at a point of the block's order.
struct Actor {
  int64_t block = 0;
  uint16_t thread = 0;
  uint16_t warp_epoch = 0;    // warp barriers passed since the block barrier
  uint32_t interval = 0;      // unique to (launch, block, block barriers passed)
  uint32_t block_begin = 0;   // first interval of this block
  uint32_t launch_begin = 0;  // first interval of this launch
};

// One buffer with guard bytes on both sides.
class Region {
 public:
  Region(std::string name, size_t bytes);
  ~Region();
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  const std::string& name() const { return name_; }
  bool Contains(const void* p) const { return p >= data_ && p <= data_ + bytes_; }

  // The host's access: all of the bytes become written, or unwritten, and nobody's.
  void SetWritten(size_t offset, size_t bytes);
  void SetUnwritten(size_t offset, size_t bytes);

  // Of `actor`, with its checks. False: out of bounds or misaligned, and nothing was moved.
  bool Read(const Actor& actor, const std::byte* from, void* to, size_t bytes, const Site& site);
  bool Write(const Actor& actor, std::byte* to, const void* from, size_t bytes, const Site& site);

  // An asynchronous copy into [to, to + bytes): poisons the bytes; the second call, when it has
  // been waited for, fills them.
  bool BeginCopy(const Actor& actor, std::byte* to, size_t bytes, const Site& site);
  void EndCopy(const Actor& actor, std::byte* to, const void* from, size_t bytes);

  void CheckGuards() const;

 private:
  struct Stamp {
    uint32_t interval = 0;  // 0: never
    uint16_t thread = 0;
    uint16_t warp_epoch = 0;
  };
  // The last write and up to three reads: the last, one of another lane of the same warp, one of
  // another warp or block. They suffice to see any conflict of a later write.
  struct Shadow {
    Stamp write, read, lane_read, warp_read;
    bool written = false;
    bool pending = false;  // an asynchronous copy is under way
  };

  static bool Conflicts(const Actor& actor, const Stamp& earlier);
  bool InBounds(const std::byte* p, size_t bytes, const char* what, const Site& site) const;
  void CheckWrite(const Actor& actor, size_t offset, size_t bytes, const Site& site);
  std::string Where(size_t offset, size_t bytes) const;

  const std::string name_;
  const size_t bytes_;
  std::unique_ptr<std::byte[]> storage_;
  std::byte* data_;
  std::vector<Shadow> shadow_;
};

// Every region of the thread; the region that holds p, or null.
Region* FindRegion(const void* p);
// What the host wrote there counts as written; memory of no region is passed over.
void SetWritten(void* memory, size_t bytes);

// Notes one finding, for TakeFindings. The first twenty are kept, all are counted.
void Report(const Site& site, const std::string& what);

struct Findings {
  int64_t count = 0;
  std::vector<std::string> texts;
};

// What was found since the last call.
Findings TakeFindings();

}  // namespace navit::kernels::cuda::twin

#endif  // NAVIT_KERNELS_CUDA_HOST_TWIN_MEMORY_H_
